/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library's constructor: finds vmpagerd's socket, maps the agent's memory, starts the agent and waits
 * until vmpagerd has taken the program on. A program that was to be limited does not run unlimited in
 * silence: when there is no vmpagerd, or it refuses, the program ends with status 125 and one line on stderr,
 * unless VMPAGER_OPTIONAL is set in its environment.
 *
 * The agent's memory is one reservation, in which pages that nobody can touch keep the parts from being
 * merged with each other or with a neighbour of the program's:
 *
 *     | probe | struct agent | guard | stack, with the thread's TLS on top | guard | staging | guard |
 *
 * The probe is a guard by which vmpagerd finds out which process it has to do with (protocol.h, VMPAGER_REGISTER).
 *
 * The socket is, in this order: what VMPAGER_SOCKET names; vmpager.sock beside the name under which the
 * library was loaded (a private daemon's directory holds a link to the library, so that the program's
 * environment needs nothing but LD_PRELOAD); VMPAGER_DEFAULT_SOCKET.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "preload.h"
#include "syscall.h"
#include "text.h"

#define EXIT_REFUSED 125

/* vmpager's own programs must not be paged by themselves: they export this symbol (-rdynamic). */
extern const char vmpager_no_preload[] __attribute__((weak, visibility("default")));

/* More than the agent takes at most (handshake.c). */
#define INIT_WAIT_MS 30000

/* The thread's TLS lies on its stack, and some programs have a lot: pthread_create() says EINVAL and
 * the next size is tried. */
#define STACK_FIRST ((size_t)256 << 10)
#define STACK_LAST  ((size_t)64 << 20)

#define GUARD           ((size_t)VMPAGER_PAGE)
#define PROBE           ((size_t)2 * VMPAGER_PAGE)
#define ADVICE_OPTIONAL "set VMPAGER_OPTIONAL=1 to run it without vmpager"

/* Why the constructor itself gave up; error is an errno or 0. */
struct failure {
        const char *reason;
        int error;
        const char *advice;
};

struct agent *init_agent;

/* Where the agent's memory is, in this process and its children, and what it connects to. */
static struct {
        uint8_t *start;
        size_t stack_bytes;
        struct sockaddr_un address;
} init_place;

static size_t init_round(size_t bytes)
{
        return (bytes + VMPAGER_PAGE - 1) & ~((size_t)VMPAGER_PAGE - 1);
}

static bool init_is_socket(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Finds the socket beside the library; false when there is none. */
static bool init_path_beside(char *path, size_t size)
{
        Dl_info info;
        size_t dir = 0;

        if (!dladdr((void *)init_path_beside, &info) || !info.dli_fname)
                return false;
        for (size_t i = 0; info.dli_fname[i]; i++)
                if (info.dli_fname[i] == '/')
                        dir = i + 1;
        if (dir == 0 || dir >= size)
                return false;
        memcpy(path, info.dli_fname, dir);
        text_add(path, size, dir, VMPAGER_SOCKET_NAME);
        return init_is_socket(path);
}

static bool init_find_socket(struct sockaddr_un *address, struct failure *why)
{
        const char *named = secure_getenv("VMPAGER_SOCKET");
        char beside[PATH_MAX];
        const char *path = VMPAGER_DEFAULT_SOCKET;

        if (named && *named)
                path = named;
        else if (init_path_beside(beside, sizeof(beside)))
                path = beside;

        address->sun_family = AF_UNIX;
        if (strlen(path) >= sizeof(address->sun_path)) {
                *why = (struct failure){ "the path of vmpagerd's socket is too long", 0,
                                         "use one of at most 107 characters" };
                return false;
        }
        text_add(address->sun_path, sizeof(address->sun_path), 0, path);
        return true;
}

static bool init_part(uint8_t *start, size_t bytes)
{
        if (mprotect(start, bytes, PROT_READ | PROT_WRITE) < 0)
                return false;
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, bytes, "vmpager");
        return true;
}

/* Maps the agent's memory, at that address if it is not NULL; NULL and errno on failure. */
static struct agent *init_map(uint8_t *at, size_t stack_bytes)
{
        size_t state = init_round(sizeof(struct agent));
        size_t staging = (size_t)VMPAGER_BATCH_PAGES * VMPAGER_PAGE;
        size_t bytes = PROBE + state + GUARD + stack_bytes + GUARD + staging + GUARD;
        uint8_t *base =
                mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
        uint8_t *stack = base + PROBE + state + GUARD;

        if (base == MAP_FAILED)
                return NULL;
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, base, bytes, "vmpager");
        if (!init_part(base + PROBE, state) || !init_part(stack, stack_bytes)) {
                munmap(base, bytes);
                return NULL;
        }

        /* In any child it is all zeros, and says that there is no agent. */
        struct agent *a = (struct agent *)(base + PROBE);
        madvise(a, state, MADV_WIPEONFORK);
        a->own = (struct vmpager_range){ (uintptr_t)base, (uintptr_t)base + bytes };
        a->stack = stack;
        a->stack_bytes = stack_bytes;
        a->staging = stack + stack_bytes + GUARD;
        a->sock = a->uffd = a->event = a->status = -1;
        return a;
}

static void init_unmap(struct agent *a)
{
        munmap((void *)(uintptr_t)a->own.start, a->own.end - a->own.start);
}

/*
 * How many threads glibc counts. The thread that ends last ends the process (pthread_exit(3)), so the agent must not
 * be counted: a program whose own threads have all ended would live on for ever. NULL where the C library has no such
 * symbol. Set once, by the constructor.
 */
static atomic_uint *init_count;

static void *init_live(void *argument)
{
        struct agent *a = argument;

        a->life(a);
        /* The C library takes every thread off that ends. */
        if (init_count)
                atomic_fetch_add(init_count, 1);
        return NULL;
}

int init_create(struct agent *a, void *(*life)(void *))
{
        pthread_attr_t attr;
        sigset_t all, before;
        bool single = single_before();
        int error = pthread_attr_init(&attr);

        if (error)
                return error;
        error = pthread_attr_setstack(&attr, a->stack, a->stack_bytes);
        if (!error) {
                sigfillset(&all);
                pthread_sigmask(SIG_SETMASK, &all, &before);
                a->life = life;
                error = pthread_create(&a->thread, &attr, init_live, a);
                if (!error && init_count)
                        atomic_fetch_sub(init_count, 1);
                single_after(single);
                pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        pthread_attr_destroy(&attr);
        return error;
}

static struct agent *init_start(const struct sockaddr_un *address, struct failure *why)
{
        int error = EINVAL;

        for (size_t stack = STACK_FIRST; stack <= STACK_LAST && error == EINVAL; stack *= 4) {
                struct agent *a = init_map(NULL, stack);

                if (!a) {
                        *why = (struct failure){ "cannot map the agent's memory", errno, ADVICE_OPTIONAL };
                        return NULL;
                }
                a->address = *address;
                error = init_create(a, agent_main);
                if (!error)
                        return a;
                init_unmap(a);
        }
        *why = (struct failure){ "cannot start the agent's thread", error, ADVICE_OPTIONAL };
        return NULL;
}

/* Waits for the agent's word; returns what became of the start. */
static enum agent_outcome init_wait(struct agent *a)
{
        int64_t deadline = sys_now_ms() + INIT_WAIT_MS;
        uint32_t outcome;

        while ((outcome = atomic_load(&a->outcome)) == AGENT_STARTING) {
                int64_t left = deadline - sys_now_ms();

                if (left > 0)
                        sys_futex_wait(&a->outcome, AGENT_STARTING, (unsigned int)left);
                else if (atomic_compare_exchange_strong(&a->outcome, &outcome, AGENT_ABANDONED))
                        return AGENT_ABANDONED;
        }
        return outcome;
}

/* Writes "vmpager: NAME: PATH: reason (error): advice", or "vmpager: NAME: " and a text that says it all. */
static void init_say(const char *path, const char *text, const struct failure *why)
{
        char line[1024];
        size_t room = sizeof(line) - 1;
        size_t at = text_add(line, room, 0, "vmpager: ");

        at = text_add(line, room, at, program_invocation_short_name);
        at = text_add(line, room, at, ": ");
        if (text) {
                at = text_add(line, room, at, text);
        } else {
                const char *error = why->error ? strerrordesc_np(why->error) : NULL;

                if (*path) {
                        at = text_add(line, room, at, path);
                        at = text_add(line, room, at, ": ");
                }
                at = text_add(line, room, at, why->reason);
                if (error) {
                        at = text_add(line, room, at, " (");
                        at = text_add(line, room, at, error);
                        at = text_add(line, room, at, ")");
                }
                at = text_add(line, room, at, ": ");
                at = text_add(line, room, at, why->advice);
        }
        at = text_add(line, sizeof(line), at, "\n");
        sys_call(SYS_write, 2, line, at);
}

bool init_again(void)
{
        struct agent *a = init_map(init_place.start, init_place.stack_bytes);

        init_agent = a;
        if (!a)
                return false;
        a->address = init_place.address;
        a->forked = true;
        if (init_create(a, agent_main) != 0)
                return false;
        if (init_wait(a) == AGENT_REFUSED)
                pthread_join(a->thread, NULL);
        return atomic_load(&a->outcome) == AGENT_READY;
}

/* Starts the agent. False when the program is not paged and the line that says why was written. */
static bool init_first(void)
{
        struct sockaddr_un address = { 0 };
        struct failure why = { 0 };
        struct agent *a = NULL;

        if (init_find_socket(&address, &why))
                a = init_start(&address, &why);
        if (!a) {
                init_say(address.sun_path, NULL, &why);
                return false;
        }

        enum agent_outcome outcome = init_wait(a);
        if (outcome == AGENT_READY) {
                init_agent = a;
                init_place.start = (uint8_t *)(uintptr_t)a->own.start;
                init_place.stack_bytes = a->stack_bytes;
                init_place.address = address;
                return true;
        }
        if (outcome == AGENT_REFUSED) {
                pthread_join(a->thread, NULL);
                why = (struct failure){ a->reason, a->error, a->advice };
                init_say(address.sun_path, a->reason ? NULL : a->text, &why);
                init_unmap(a);
                return false;
        }
        /* The thread may be stuck: its memory stays. */
        pthread_detach(a->thread);
        why = (struct failure){ "vmpagerd does not answer", ETIMEDOUT, "restart vmpagerd and look into its log" };
        init_say(address.sun_path, NULL, &why);
        return false;
}

static void __attribute__((constructor(101))) init_library(void)
{
        int error = errno;

        init_count = dlsym(RTLD_DEFAULT, "__nptl_nthreads");
        single_find();

        bool paged = !vmpager_no_preload && init_first();

        if (paged) {
                fork_watch();
        } else if (!vmpager_no_preload) {
                const char *optional = secure_getenv("VMPAGER_OPTIONAL");

                if (!optional || !*optional)
                        sys_call(SYS_exit_group, EXIT_REFUSED);
        }
        errno = error;
}
