/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel reads and writes memory whose pages are out of the program for the sake of its threads: futexes, signals,
 * programs to be executed, debuggers (see paged.h).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "paged.h"

#define PART MIB

extern char **environ;

/* --- futexes --------------------------------------------------------------------------------- */

struct waiter {
        pthread_t thread;
        _Atomic uint32_t *word; /* paged */
        int flag, result;
        _Atomic pid_t tid;
};

static void *futex_wait(void *arg)
{
        struct waiter *w = arg;

        atomic_store(&w->tid, gettid());
        while (atomic_load(w->word) == 1) {
                long r = syscall(SYS_futex, w->word, FUTEX_WAIT | w->flag, 1, NULL, NULL, 0);

                if (r < 0 && errno != EINTR && errno != EAGAIN) {
                        w->result = errno;
                        break;
                }
        }
        return NULL;
}

/* Waits until a thread sleeps in futex(2). */
static void await_sleep(_Atomic pid_t *tid)
{
        double end = now_s() + DEADLINE_S;
        char path[64], text[64];
        int fd;

        while (!atomic_load(tid))
                sched_yield();
        snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(tid));
        for (;;) {
                ssize_t n;

                fd = open(path, O_RDONLY | O_CLOEXEC);
                n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
                close(fd);
                text[n < 0 ? 0 : n] = '\0';
                if (strtol(text, NULL, 10) == SYS_futex)
                        return;
                if (now_s() > end) {
                        failed("a thread does not wait for a futex: %s", text);
                        return;
                }
                poll(NULL, 0, 1);
        }
}

/* The word goes out while a thread waits for it. */
static void futexes(int flag)
{
        struct waiter *w = map_shared(sizeof(*w));
        _Atomic uint32_t *word = (_Atomic uint32_t *)map(PAGE);

        w->word = word;
        w->flag = flag;
        atomic_store(word, 1);
        evict_out((void *)word, PAGE);
        pthread_create(&w->thread, NULL, futex_wait, w);
        await_sleep(&w->tid);
        evict_out((void *)word, PAGE);
        atomic_store(word, 2);
        evict_out((void *)word, PAGE);
        check(syscall(SYS_futex, word, FUTEX_WAKE | flag, 1, NULL, NULL, 0) == 1, "nobody was woken");
        pthread_join(w->thread, NULL);
        check(w->result == 0, "FUTEX_WAIT: %s", strerror(w->result));
        munmap((void *)word, PAGE);
        munmap(w, sizeof(*w));
}

static void futex_private(void)
{
        futexes(FUTEX_PRIVATE_FLAG);
}

static void futex_shared(void)
{
        futexes(0);
}

struct pair {
        pthread_mutex_t *mutex; /* paged */
        pthread_cond_t *cond;   /* paged */
        uint64_t *counter;      /* paged */
        unsigned number;
        pthread_t thread;
};

#define TURNS 60u

/* Two threads take turns; each drops what both need to a place from which it has to come back. */
static void *take_turns(void *arg)
{
        struct pair *p = arg;

        pthread_mutex_lock(p->mutex);
        while (*p->counter < TURNS) {
                while (*p->counter < TURNS && *p->counter % 2 != p->number)
                        pthread_cond_wait(p->cond, p->mutex);
                if (*p->counter >= TURNS)
                        break;
                if (*p->counter % 8 == 0) {
                        evict_out(p->mutex, PAGE);
                        evict_out(p->cond, PAGE);
                        evict_out(p->counter, PAGE);
                }
                ++*p->counter;
                pthread_cond_broadcast(p->cond);
        }
        pthread_cond_broadcast(p->cond);
        pthread_mutex_unlock(p->mutex);
        return NULL;
}

static void turns(int protocol, bool robust)
{
        pthread_mutexattr_t attr;
        struct pair *p = map_shared(2 * sizeof(*p));

        p[0].mutex = (pthread_mutex_t *)map(PAGE);
        p[0].cond = (pthread_cond_t *)map(PAGE);
        p[0].counter = (uint64_t *)map(PAGE);
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_setprotocol(&attr, protocol);
        if (robust)
                pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(p[0].mutex, &attr);
        pthread_cond_init(p[0].cond, NULL);
        *p[0].counter = 0;
        p[1] = p[0];
        p[1].number = 1;
        for (int i = 0; i < 2; i++)
                pthread_create(&p[i].thread, NULL, take_turns, &p[i]);
        for (int i = 0; i < 2; i++)
                pthread_join(p[i].thread, NULL);
        check(*p[0].counter == TURNS, "%lu turns", *p[0].counter);
        munmap(p[0].mutex, PAGE);
        munmap(p[0].cond, PAGE);
        munmap(p[0].counter, PAGE);
}

static void mutexes(void)
{
        turns(PTHREAD_PRIO_NONE, false);
}

static void mutexes_inheriting(void)
{
        turns(PTHREAD_PRIO_INHERIT, false);
}

static void mutexes_robust(void)
{
        turns(PTHREAD_PRIO_NONE, true);
}

struct owner {
        pthread_mutex_t *mutex; /* paged */
        pthread_t thread;
        _Atomic pid_t tid;
        _Atomic uint32_t go;
};

static void *lock_and_end(void *arg)
{
        struct owner *o = arg;

        pthread_mutex_lock(o->mutex);
        atomic_store(&o->tid, gettid());
        while (!atomic_load(&o->go))
                syscall(SYS_futex, &o->go, FUTEX_WAIT, 0, NULL, NULL, 0);
        return NULL;
}

/* The kernel walks the list of a thread's robust mutexes when the thread ends. */
static void owner_ends(bool out)
{
        struct owner *o = map_shared(sizeof(*o));
        pthread_mutexattr_t attr;
        struct timespec end;
        int r;

        o->mutex = (pthread_mutex_t *)map(PAGE);
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(o->mutex, &attr);
        evict_out(o->mutex, PAGE);
        pthread_create(&o->thread, NULL, lock_and_end, o);
        await_sleep(&o->tid);
        if (out)
                evict_out(o->mutex, PAGE);
        atomic_store(&o->go, 1);
        syscall(SYS_futex, &o->go, FUTEX_WAKE, 1, NULL, NULL, 0);
        pthread_join(o->thread, NULL);
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += out && !is_native ? 1 : DEADLINE_S;
        r = pthread_mutex_timedlock(o->mutex, &end);
        if (r == ETIMEDOUT && out && !is_native) {
                skip_case("a known gap: nobody hears of its end");
                return;
        }
        check(r == EOWNERDEAD, "the lock of a thread that ended: %s", strerror(r));
        check(pthread_mutex_consistent(o->mutex) == 0 && pthread_mutex_unlock(o->mutex) == 0, "made consistent");
        munmap(o->mutex, PAGE);
        munmap(o, sizeof(*o));
}

static void owner_ends_in(void)
{
        owner_ends(false);
}

static void owner_ends_out(void)
{
        owner_ends(true);
}

/* --- signals --------------------------------------------------------------------------------- */

#define FRAMES 3

static uint8_t *alternate;
static volatile int depth, handled;
static volatile double computed;

/* In the handler its own frame is put out, and with it what the program is to go on with. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
        double before = computed;
        int value = info->si_value.sival_int;

        (void)context;
        depth++;
        if (depth < FRAMES)
                sigqueue(getpid(), signal, (union sigval){ .sival_int = value + 1 });
        evict_to(alternate, PART / 2, 2); /* but for those that are in use just now */
        check(info->si_value.sival_int == value, "the value of a signal is %d, not %d", info->si_value.sival_int,
              value);
        check(computed == before, "a register has another value"); /* NOLINT */
        depth--;
        handled++;
}

static void alternate_stack(void)
{
        stack_t stack = { .ss_size = PART / 2 }, none = { .ss_flags = SS_DISABLE };
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

        alternate = map(PART);
        stack.ss_sp = alternate;
        check_call(sigaltstack(&stack, NULL));
        check_call(sigaction(SIGUSR1, &action, NULL));
        for (int i = 0; i < 4; i++) {
                double sum = i;

                handled = 0;
                fill_out(alternate, PART, 1, 0);
                for (int k = 1; k < 100; k++)
                        sum += 1.0 / k;
                computed = sum;
                sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = i * 10 });
                check(handled == FRAMES, "%d signals were handled", handled);
                for (int k = 1; k < 100; k++)
                        sum -= 1.0 / k;
                check(sum > i - 1e-9 && sum < i + 1e-9, "a sum is %f", sum);
        }
        check_call(sigaltstack(&none, NULL));
        check_filled("beside the stack", alternate + PART / 2, PART / 2, 1, PART / 2 / PAGE);
        munmap(alternate, PART);
}

/* --- other processes ------------------------------------------------------------------------- */

/* What another process says by its exit status. */
enum { THIRD_RIGHT, THIRD_WRONG, THIRD_REFUSED, THIRD_NOT_THERE };

/* All of it and right, refused with EIO, or wrong. */
static int third_read(ssize_t n, const uint8_t *bytes)
{
        if (n < 0 && errno == EIO)
                return THIRD_REFUSED;
        return n == (ssize_t)PART && is_filled(bytes, PART, 1, 0) ? THIRD_RIGHT : THIRD_WRONG;
}

static int third_by_ptrace(pid_t pid, uint8_t *there)
{
        int status;

        if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
                return THIRD_NOT_THERE;
        for (size_t i = 0; i < PART; i += 8) {
                uint64_t word;

                errno = 0;
                word = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, there + i, NULL);
                if (errno == EIO)
                        return THIRD_REFUSED;
                if (word != pattern_word(1, i / PAGE, i % PAGE / 8) ||
                    ptrace(PTRACE_POKEDATA, pid, there + i, pattern_word(2, i / PAGE, i % PAGE / 8)) < 0)
                        return THIRD_WRONG;
        }
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
        return THIRD_RIGHT;
}

/* This program again, natively: "third HOW PID ADDRESS" finds PART bytes of seed 1, and writes others of seed 2. */
static int third(char **argv)
{
        uint8_t *here = map_shared(PART), *there = (uint8_t *)strtoul(argv[4], NULL, 16);
        pid_t pid = (pid_t)strtol(argv[3], NULL, 10);
        struct iovec mine = { here, PART }, its = { there, PART };
        char path[64];
        int fd, r;

        if (strcmp(argv[2], "ptrace") == 0)
                return third_by_ptrace(pid, there);
        if (strcmp(argv[2], "process_vm") == 0) {
                r = third_read(process_vm_readv(pid, &mine, 1, &its, 1, 0), here);
                fill(here, PART, 2, 0);
                if (r == THIRD_RIGHT && process_vm_writev(pid, &mine, 1, &its, 1, 0) != (ssize_t)PART)
                        r = THIRD_WRONG;
                return r;
        }
        snprintf(path, sizeof(path), "/proc/%d/mem", pid);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return THIRD_NOT_THERE;
        r = third_read(pread(fd, here, PART, (off_t)(uintptr_t)there), here);
        fill(here, PART, 2, 0);
        if (r == THIRD_RIGHT && pwrite(fd, here, PART, (off_t)(uintptr_t)there) != (ssize_t)PART)
                r = THIRD_WRONG;
        return r;
}

/* Runs a program with no environment, and so without vmpager's library, and returns its status. */
static int spawn(char **argv)
{
        char *none[] = { NULL };
        pid_t pid;
        int status, r = posix_spawn(&pid, argv[0], NULL, NULL, argv, none);

        if (r) {
                failed("posix_spawn: %s", strerror(r));
                return -1;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Rule 31. Linux lets process_vm_readv() wait for a page, and tells ptrace() and readers of /proc/PID/mem that there is
 * none (EIO), which is at least not other bytes.
 */
static void seen_by_third(const char *how)
{
        uint8_t *block = map(PART);
        char program[PATH_MAX], pid[16], address[32], name[16], word[16] = "third";
        char *argv[] = { program, word, name, pid, address, NULL };
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
        int status;

        program[n < 0 ? 0 : n] = '\0';
        snprintf(pid, sizeof(pid), "%d", getpid());
        snprintf(address, sizeof(address), "%lx", (unsigned long)(uintptr_t)block);
        snprintf(name, sizeof(name), "%s", how);
        fill_out(block, PART, 1, 0);
        status = spawn(argv);
        if (status == THIRD_REFUSED && !is_native)
                skip_case("a known gap: EIO");
        else
                check(status == THIRD_RIGHT, "%s",
                      status == THIRD_WRONG ? "another process finds other bytes" : "another process could not look");
        check_filled("seen by another", block, PART, status == THIRD_RIGHT ? 2 : 1, 0);
        munmap(block, PART);
}

static void by_process_vm(void)
{
        seen_by_third("process_vm");
}

static void by_mem(void)
{
        seen_by_third("mem");
}

static void by_ptrace(void)
{
        seen_by_third("ptrace");
}

/* What programs do to read what may not be mapped, or to write to their own code. */
static void by_own_mem(void)
{
        uint8_t *block = map(PART), *shadow = map_shared(PART);
        int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
        ssize_t n;

        fill_out(block, PART, 1, 0);
        n = pread(fd, shadow, PART, (off_t)(uintptr_t)block);
        if (n < 0 && errno == EIO && !is_native)
                skip_case("a known gap: EIO");
        else
                check(n == (ssize_t)PART && is_filled(shadow, PART, 1, 0), "read: %zd bytes, %s", n, strerror(errno));
        check_filled("read", block, PART, 1, 0);
        evict_out(block, PART);
        fill(shadow, PAGE, 2, 0);
        n = pwrite(fd, shadow, PAGE, (off_t)(uintptr_t)block);
        check(n == (ssize_t)PAGE || (n < 0 && errno == EIO && !is_native), "write: %zd bytes, %s", n, strerror(errno));
        check_filled("written", block, PAGE, n > 0 ? 2 : 1, 0);
        check_filled("not written", block + PAGE, PART - PAGE, 1, 1);
        close(fd);
        munmap(block, PART);
        munmap(shadow, PART);
}

/* --- execve ---------------------------------------------------------------------------------- */

#define WORDS 40u

/* Strings, their list and the environment's, each in pages that are out. Returns the list. */
static char **new_arguments(uint8_t *block, const char *first)
{
        char **list = (char **)block, *at = (char *)block + 4 * PAGE;

        for (unsigned i = 0; i < WORDS; i++) {
                list[i] = at + i * 2 * PAGE + 4000; /* across two pages */
                memset(list[i], 'a' + (char)(i % 26), 300);
                list[i][300] = '\0';
        }
        snprintf(list[0], 300, "/proc/self/exe");
        snprintf(list[1], 300, "%s", first);
        list[WORDS] = NULL;
        return list;
}

static bool are_arguments(char **argv, int argc)
{
        for (unsigned i = 2; i < WORDS; i++)
                if (strlen(argv[i]) != 300 || argv[i][0] != 'a' + (char)(i % 26) || argv[i][299] != argv[i][0])
                        return false;
        return argc == WORDS;
}

/* Rule 24: posix_spawn() shares the memory with the child until that executes another program. */
static void executes(void)
{
        uint8_t *block = map(PART);
        char **argv = new_arguments(block, "arguments");
        int status;

        evict_out(block, PART);
        status = spawn(argv);
        check(status == 0, "the arguments are wrong: status %d", status);
        evict_out(block, PART);
        if (vfork() == 0) {
                execve(argv[0], argv, environ);
                _exit(9);
        }
        while (wait(&status) < 0 && errno == EINTR)
                ;
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the arguments are wrong after vfork: status %x", status);
        munmap(block, PART);
}

/* The last case, since it does not come back: the program executes itself, and is paged again. */
static void executes_itself(void)
{
        uint8_t *block = map(PART);
        char **argv = new_arguments(block, "last");

        evict_out(block, PART);
        execve(argv[0], argv, environ);
        failed("execve: %s", strerror(errno));
}

/* Operations that change a word themselves. A program that makes them itself has touched it long ago, perhaps. */
static void futex_words(void)
{
        uint8_t *block = map(CHUNK);
        uint32_t *first = (uint32_t *)block, *second = (uint32_t *)(block + CHUNK / 2), tid = (uint32_t)gettid();

        fill(block, CHUNK, 1, 0);
        *first = *second = 0;
        evict_out(block, CHUNK);
        check_call(syscall(SYS_futex, first, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, 1, second,
                           FUTEX_OP(FUTEX_OP_SET, 77, FUTEX_OP_CMP_EQ, 0)));
        check(*second == 77, "the second word is %u", *second);
        evict_out(block, CHUNK);
        check_call(syscall(SYS_futex, first, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
        check(*first == tid, "the lock is %x's", *first);
        evict_out(block, CHUNK);
        check_call(syscall(SYS_futex, first, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
        check(*first == 0, "the lock is %x's", *first);
        check_filled("the rest", block + PAGE, CHUNK / 2 - PAGE, 1, 1);
        munmap(block, CHUNK);
        errno = 0;
        check(syscall(SYS_futex, first, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0) < 0 && errno == EFAULT,
              "no memory: %s", strerror(errno));
}

static const struct paged_case cases[] = {
        { "a futex that goes out under its waiter", futex_private },
        { "a shared futex that goes out under its waiter", futex_shared },
        { "mutexes, condition variables", mutexes },
        { "mutexes with priority inheritance", mutexes_inheriting },
        { "futexes that the kernel changes", futex_words },
        { "robust mutexes", mutexes_robust },
        { "a robust mutex whose owner ends", owner_ends_in },
        { "a robust mutex that is out when its owner ends", owner_ends_out },
        { "an alternate signal stack", alternate_stack },
        { "process_vm_readv, process_vm_writev", by_process_vm },
        { "/proc/PID/mem of another process", by_mem },
        { "PTRACE_PEEKDATA, PTRACE_POKEDATA", by_ptrace },
        { "/proc/self/mem", by_own_mem },
        { "posix_spawn, vfork and execve", executes },
        { "execve of itself", executes_itself },
};

int main(int argc, char **argv)
{
        if (argc == 5 && strcmp(argv[1], "third") == 0)
                return third(argv);
        if (argc > 2 && strcmp(argv[1], "arguments") == 0)
                return are_arguments(argv, argc) ? 0 : 1;
        if (argc > 2 && strcmp(argv[1], "last") == 0) {
                puts(are_arguments(argv, argc) ? "ok" : "FAILED");
                return are_arguments(argv, argc) ? 0 : 1;
        }
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
