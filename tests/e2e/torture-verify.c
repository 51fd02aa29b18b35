/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads and their children do at random all that a program may do to its address space, and know at any time what
 * each page must hold.
 *
 *     torture-verify THREADS MIB SECONDS SEED [exec]
 *
 * What is known of the pages, and the operations, are in torture.h, torture-map.h and torture-io.h. Children verify all
 * regions of the thread that forked them, go on with operations of their own, and verify again; some fork again, some
 * end before their child does, some start the program anew ("exec": short, without children). One more thread reads
 * everywhere meanwhile.
 *
 * What is wrong is told with the seed, the actor, the region, what was done to it last, what was found and what was
 * expected; exit status 1. So it is when an actor does nothing for long. TORTURE_HOLD in the environment: the program
 * stays then, to be looked at.
 */
#include "torture.h"
#include "torture-map.h"
#include "torture-io.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <malloc.h>

/* From one read of the ghost's to the next: the others are to get on as well. */
#define GHOST_US 300

static uint32_t n_threads;
static bool is_exec;
static char arg_mib[24];

static void live(struct actor *a);

/* --- children -------------------------------------------------------------------------------------------------- */

static void copy_actor(struct actor *to, const struct actor *from, uint64_t random)
{
        to->random = random | 1;
        to->depth = from->depth + 1;
        to->parent = from->number;
        to->regions_made = from->regions_made;
        to->writes = from->writes;
        to->signal_stack = from->signal_stack;
        to->writer = MAX_THREADS + (uint32_t)(atomic_fetch_add(&board->births, 1) % (255 - MAX_THREADS));
        atomic_store(&to->doing, "being forked");
        for (unsigned i = 0; i <= REGIONS; i++) {
                const struct region *f = &from->region[i];
                struct region *t = &to->region[i];
                uint64_t *stamp = t->stamp;
                uint8_t *marks = t->marks;

                *t = *f;
                t->stamp = stamp;
                t->marks = marks;
                memcpy(t->stamp, f->stamp, f->pages * sizeof(*t->stamp));
                memcpy(t->marks, f->marks, f->pages);
        }
}

static struct actor *claim_child(void)
{
        for (unsigned i = MAX_THREADS; i < MAX_ACTORS; i++) {
                int state = FREE;

                if (atomic_compare_exchange_strong(&board->actor[i].state, &state, LIVE))
                        return &board->actor[i];
        }
        return NULL;
}

static void tell_ended(const struct actor *c, pid_t pid, int status)
{
        size_t length = 0;

        if (atomic_exchange(&board->wrong, true))
                return;
        add_text(&length, "ENDED child pid %d with status 0x%x\n  ", pid, (unsigned)status);
        add_who(&length, c, NULL);
        for (unsigned i = 0; i <= REGIONS; i++) {
                add_text(&length, " region %u:\n", i);
                add_past(&length, &c->region[i], UINT64_MAX);
        }
        atomic_store(&board->told, true);
}

/* Gives back the places of children of this process that have ended. */
static void reap(void)
{
        for (unsigned i = MAX_THREADS; i < MAX_ACTORS; i++) {
                struct actor *c = &board->actor[i];
                pid_t pid = atomic_load(&c->pid);
                int status;

                if (atomic_load(&c->state) != LIVE || pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
                        continue;
                if (status)
                        tell_ended(c, pid, status);
                atomic_store(&c->pid, 0);
                atomic_store(&c->state, FREE);
        }
}

static bool has_children(const struct actor *a)
{
        for (unsigned i = MAX_THREADS; i < MAX_ACTORS; i++)
                if (atomic_load(&board->actor[i].state) == LIVE && board->actor[i].parent == a->number)
                        return true;
        return false;
}

/* What MADV_WIPEONFORK and MADV_DONTFORK make of a region in a child. */
static void inherit(struct actor *a, struct region *r)
{
        r->locked = false;
        r->forked = true;
        if (!r->base)
                return;
        remember(a, r, "fork", 0, r->pages, 0);
        for (uint64_t page = 0; page < r->pages; page++)
                if (r->marks[page] & WIPE) {
                        r->stamp[page] = 0;
                        r->marks[page] &= (uint8_t)~MAYBE;
                }
}

/* A region with holes: what is there is verified, and unmapped. */
static void leave_holes(struct actor *a, struct region *r)
{
        if (!r->base || !any_mark(r, 0, r->pages, DONT_FORK))
                return;
        for (uint64_t page = 0; page < r->pages; page++) {
                if (r->marks[page] & DONT_FORK)
                        continue;
                check_page(a, r, page);
                if (munmap(page_at(r, page), PAGE) < 0)
                        tell_error(a, r, "munmap beside a hole");
        }
        r->base = NULL;
        r->pages = 0;
}

static void check_all(struct actor *a, const char *when, uint64_t step)
{
        for (unsigned i = 0; i <= REGIONS; i++) {
                struct region *r = &a->region[i];

                if (!r->base)
                        continue;
                remember(a, r, when, 0, r->pages, 0);
                check_run(a, r, 0, r->pages, step);
        }
}

static void step(struct actor *a);

static void exec_anew(struct actor *a)
{
        char threads[] = "1", seconds[] = "1", what[] = "exec", name[] = "torture-verify", seed[24];
        char *argv[] = { name, threads, arg_mib, seconds, seed, what, NULL };

        snprintf(seed, sizeof(seed), "%lu", next_random(a) >> 1);
        atomic_store(&a->doing, "exec");
        atomic_fetch_add(&board->execs, 1);
        execv("/proc/self/exe", argv);
        tell_error(a, NULL, "execv");
}

static void live(struct actor *a)
{
        uint64_t steps = 10 + below(a, 40), ends = now_ms() + 10000;

        self = a;
        atomic_store(&a->pid, getpid());
        if (a->orphan) {
                /* Its child is there, and it is not. */
                for (unsigned i = 0; i <= REGIONS; i++)
                        inherit(a, &a->region[i]);
                step(a);
                _exit(0);
        }
        for (unsigned i = 0; i <= REGIONS; i++) {
                inherit(a, &a->region[i]);
                leave_holes(a, &a->region[i]);
        }
        check_all(a, "verify all, after the fork", 1);
        for (uint64_t i = 0; i < steps && now_ms() < ends && !atomic_load(&board->stop); i++) {
                step(a);
                reap();
        }
        check_all(a, "verify all, in a child at its end", atomic_load(&board->stop) ? 8 : 1);
        if (below(a, 8) == 0 && !atomic_load(&board->stop) && !has_children(a))
                exec_anew(a);
        atomic_store(&a->doing, "waiting for its children");
        while (has_children(a) && !atomic_load(&board->wrong)) {
                reap();
                atomic_fetch_add(&a->steps, 1);
                usleep(2000);
        }
        _exit(0);
}

static void make_child(struct actor *a, struct region *r, bool raw, bool orphan)
{
        struct actor *c;
        pid_t pid;

        if (is_exec || a->depth >= 2 || atomic_load(&board->stop))
                return;
        c = claim_child();
        if (!c)
                return;
        copy_actor(c, a, next_random(a));
        c->raw = raw || a->raw;
        c->orphan = orphan;
        remember(a, r, c->raw ? "clone(2)" : orphan ? "fork, of one that ends first" : "fork", 0, 0, c->number);
        pid = c->raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0) : fork();
        if (pid == 0)
                live(c);
        if (pid < 0)
                tell_error(a, r, "fork");
        atomic_fetch_add(&board->children, 1);
}

static void op_fork(struct actor *a, struct region *r)
{
        make_child(a, r, false, false);
}

static void op_clone(struct actor *a, struct region *r)
{
        make_child(a, r, true, false);
}

static void op_fork_twice(struct actor *a, struct region *r)
{
        make_child(a, r, false, a->depth == 0);
}

static void op_spawn(struct actor *a, struct region *r)
{
        char name[] = "true", *argv[] = { name, NULL };
        bool by_vfork = below(a, 2);
        int status = -1;
        pid_t pid;

        if (a->raw)
                return;
        remember(a, r, by_vfork ? "vfork" : "posix_spawn", 0, 0, 0);
        if (by_vfork) {
                pid = vfork();
                if (pid == 0) {
                        execv("/bin/true", argv);
                        _exit(127);
                }
        } else if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ)) {
                pid = -1;
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
                errno = status;
                tell_error(a, r, "vfork or posix_spawn of true");
        }
        atomic_fetch_add(&board->execs, 1);
}

/* --- operations ------------------------------------------------------------------------------------------------ */

static void op_write(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, below(a, 4) ? 64 : 512, &first);

        remember(a, r, "write", first, n, 0);
        for (uint64_t page = first; page < first + n; page++)
                write_page(a, r, page);
}

static void op_scatter(struct actor *a, struct region *r)
{
        remember(a, r, "write here and there", 0, r->pages, 0);
        for (unsigned i = 0; i < 64; i++)
                write_page(a, r, below(a, r->pages));
}

static void op_fill(struct actor *a, struct region *r)
{
        remember(a, r, "write all", 0, r->pages, 0);
        for (uint64_t page = 0; page < r->pages; page++)
                write_page(a, r, page);
}

static void op_verify(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, below(a, 4) ? 64 : 512, &first);

        remember(a, r, "verify", first, n, 0);
        check_run(a, r, first, n, 1);
}

static void op_verify_all(struct actor *a, struct region *r)
{
        remember(a, r, "verify all", 0, r->pages, 0);
        check_run(a, r, 0, r->pages, 1);
}

struct op {
        const char *name;
        void (*run)(struct actor *a, struct region *r);
        unsigned weight;
        bool no_brk; /* not on what brk(2) gave */
};

static const struct op ops[] = {
        { "write", op_write, 180, false },
        { "write here and there", op_scatter, 40, false },
        { "write all", op_fill, 25, false },
        { "verify", op_verify, 200, false },
        { "verify all", op_verify_all, 8, false },
        { "DONTNEED", op_dontneed, 35, false },
        { "FREE", op_free, 25, false },
        { "WIPEONFORK", op_wipe, 6, false },
        { "KEEPONFORK", op_keep, 8, false },
        { "DONTFORK", op_dontfork, 4, false },
        { "DOFORK", op_dofork, 8, false },
        { "HUGEPAGE", op_huge, 8, false },
        { "NOHUGEPAGE", op_nohuge, 8, false },
        { "COLLAPSE", op_collapse, 8, false },
        { "POPULATE_READ", op_populate_read, 15, false },
        { "POPULATE_WRITE", op_populate_write, 15, false },
        { "WILLNEED", op_willneed, 8, false },
        { "COLD", op_cold, 12, false },
        { "PAGEOUT", op_pageout, 15, false },
        { "MERGEABLE", op_mergeable, 4, false },
        { "UNMERGEABLE", op_unmergeable, 4, false },
        { "mprotect read-only", op_readonly, 12, false },
        { "mprotect none", op_none, 8, false },
        { "mprotect writable", op_writable, 30, false },
        { "mlock", op_lock, 8, false },
        { "munlock", op_unlock, 4, false },
        { "munmap and mmap", op_renew, 8, true },
        { "mmap over a part", op_map_over, 8, true },
        { "munmap of a part", op_unmap_part, 8, true },
        { "mremap, growing", op_grow, 8, true },
        { "mremap, shrinking", op_shrink, 6, true },
        { "mremap to a new place", op_move, 10, true },
        { "mremap to a place left", op_move_left, 10, true },
        { "mremap DONTUNMAP", op_dontunmap, 6, true },
        { "mremap over a region", op_move_over, 6, true },
        { "brk", op_brk, 15, false },
        { "copy through a pipe", op_pipe, 20, false },
        { "copy by O_DIRECT", op_direct, 20, false },
        { "copy by vm_readv", op_vm_readv, 15, false },
        { "thread", op_thread, 8, false },
        { "signal", op_signal, 12, false },
        { "fork", op_fork, 8, false },
        { "clone", op_clone, 3, false },
        { "fork, parent ends", op_fork_twice, 3, false },
        { "vfork, posix_spawn", op_spawn, 3, false },
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

_Static_assert(N_OPS <= MAX_OPS, "the counts have room for all operations");

static void step(struct actor *a)
{
        struct region *r = &a->region[below(a, REGIONS + 1)];
        unsigned i = 0, sum = 0;
        uint64_t pick;

        for (unsigned n = 0; n < N_OPS; n++)
                sum += ops[n].weight;
        pick = below(a, sum);
        for (sum = 0; pick >= sum + ops[i].weight; i++)
                sum += ops[i].weight;
        if (r == &a->region[BRK] && (!r->base || !r->pages || ops[i].no_brk))
                r = &a->region[below(a, REGIONS)];
        if (!r->base)
                map_region(a, r);
        if (a->orphan)
                make_child(a, r, false, false);
        else
                ops[i].run(a, r);
        atomic_fetch_add_explicit(&board->count[i], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&a->steps, 1, memory_order_relaxed);
}

static void *run(void *arg)
{
        struct actor *a = arg;

        self = a;
        for (unsigned i = 0; i < REGIONS; i++) {
                map_region(a, &a->region[i]);
                op_fill(a, &a->region[i]);
        }
        while (!atomic_load(&board->stop))
                step(a);
        check_all(a, "verify all, at the end", 1);
        atomic_store(&a->doing, NULL);
        return NULL;
}

/*
 * Reads anywhere, at any time, and does not mind what it finds or that nothing is there: so pages are on their way in
 * while their owner discards, moves and unmaps them. What it sees of the regions may be out of date, or half changed.
 */
static void *ghost(void *arg)
{
        static struct actor a;

        a.random = *(const uint64_t *)arg | 1;
        while (!atomic_load(&board->stop)) {
                const struct region *r = &board->actor[below(&a, n_threads)].region[below(&a, REGIONS)];
                const volatile uint64_t *pages = &r->pages;
                uint8_t *const volatile *base = &r->base;
                uint64_t n = *pages;
                uint8_t byte;
                struct iovec to = { &byte, 1 }, from = { *base + below(&a, n ? n : 1) * PAGE, 1 };

                process_vm_readv(getpid(), &to, 1, &from, 1, 0);
                usleep(GHOST_US);
        }
        return NULL;
}

/* --- the whole ------------------------------------------------------------------------------------------------- */

static void *map_or_exit(size_t bytes, int how)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        return p;
}

static void set_up_heap(struct region *r)
{
        void *volatile p;

        /* What malloc still needs it has at hand: the end of the heap is the program's. */
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        p = malloc(100 << 10);
        free(p);
        r->base = (uint8_t *)(((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1));
        if (brk(r->base) < 0)
                r->base = NULL;
        r->pages = 0;
}

static void set_up(uint64_t mib, uint64_t seed)
{
        struct sigaction on = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
        struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

        board = map_or_exit(sizeof(*board), MAP_SHARED);
        board->seed = seed;
        /* Regions have five eighths of the most pages on average, some are not there, and brk has one more. */
        max_pages = mib * 256 * 8 / 5 / REGIONS / n_threads;
        for (uint32_t i = 0; i < MAX_ACTORS; i++) {
                struct actor *a = &board->actor[i];

                a->number = a->writer = i;
                a->random = ((seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xd1342543de82ef95)) | 1;
                for (unsigned n = 0; n <= REGIONS; n++) {
                        a->region[n].stamp = map_or_exit(max_pages * sizeof(uint64_t), MAP_SHARED);
                        a->region[n].marks = map_or_exit(max_pages, MAP_SHARED);
                }
                if (i < n_threads)
                        a->signal_stack = map_or_exit(SIGNAL_STACK_PAGES * PAGE, MAP_PRIVATE);
        }
        sigaction(SIGUSR1, &on, NULL);
        sigaction(SIGSEGV, &fault, NULL);
        sigaction(SIGBUS, &fault, NULL);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        torture_file = open(".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
        if (torture_file < 0) {
                perror("a file with O_DIRECT in the current folder");
                exit(2);
        }
        set_up_heap(&board->actor[0].region[BRK]);
}

static void print_file(const char *path)
{
        char text[4096];
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

        if (f)
                fclose(f);
        text[n] = 0;
        printf("    %s:\n%s", path, text);
}

static void end_children(int signal)
{
        for (unsigned i = MAX_THREADS; i < MAX_ACTORS; i++)
                if (atomic_load(&board->actor[i].state) == LIVE && atomic_load(&board->actor[i].pid) > 0)
                        kill(board->actor[i].pid, signal);
}

static void fail_all(void)
{
        fflush(stdout);
        if (getenv("TORTURE_HOLD"))
                for (;;)
                        pause();
        end_children(SIGKILL);
        _exit(1);
}

/* All that is under way, when one has done nothing for long. */
static void tell_stuck(uint32_t number)
{
        printf("STUCK actor %u, seed %lu\n", number, board->seed);
        for (unsigned i = 0; i < MAX_ACTORS; i++) {
                const struct actor *a = &board->actor[i];
                char path[64];

                if (i < MAX_THREADS ? !a->doing : a->state != LIVE)
                        continue;
                printf("  actor %u, pid %d, depth %u%s, %lu steps: %s, at %lx\n", i, a->pid, a->depth,
                       a->raw ? ", raw clone" : "", a->steps, a->doing ? a->doing : "-", a->at);
                if (a->pid == 0)
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/stack", a->pid);
                print_file(path);
        }
        fail_all();
}

static bool watch(uint64_t *seen, uint64_t *since)
{
        bool any = false;

        if (atomic_load(&board->told)) {
                printf("%s", board->text);
                fail_all();
        }
        reap();
        for (uint32_t i = 0; i < MAX_ACTORS; i++) {
                const struct actor *a = &board->actor[i];
                bool lives = i < MAX_THREADS ? atomic_load(&a->doing) != NULL : atomic_load(&a->state) == LIVE;
                uint64_t now = atomic_load(&a->steps) ^ atomic_load(&a->at) ^ (uint64_t)atomic_load(&a->doing);

                any |= lives;
                if (!lives || now != seen[i] || !since[i]) {
                        seen[i] = now;
                        since[i] = now_ms();
                } else if (now_ms() - since[i] > STUCK_S * 1000) {
                        tell_stuck(i);
                }
        }
        return any;
}

static void report(void)
{
        for (unsigned i = 0; i < N_OPS; i++)
                printf("  %-24s %8lu\n", ops[i].name, board->count[i]);
        printf("mremap %lu, EFAULT for a moment %lu, lost by it %lu, parted by a fork %lu, children that lost "
               "something %lu, regions of several mappings mapped anew %lu, wishes refused %lu\n",
               board->moves, board->efaults, board->lost, board->parted, board->bereft, board->healed, board->refused);
        printf("pages written %lu, verified %lu, children %lu, execs %lu\n", board->written, board->verified,
               board->children, board->execs);
}

int main(int argc, char **argv)
{
        uint64_t seen[MAX_ACTORS] = { 0 }, since[MAX_ACTORS] = { 0 }, seed, mib;
        pthread_t id[MAX_THREADS], ghost_id;

        if (argc < 5) {
                fprintf(stderr, "usage: torture-verify THREADS MIB SECONDS SEED [exec]\n");
                return 2;
        }
        n_threads = (uint32_t)strtoul(argv[1], NULL, 10);
        mib = strtoull(argv[2], NULL, 10);
        seed = strtoull(argv[4], NULL, 10);
        is_exec = argc > 5;
        if (n_threads < 1 || n_threads > MAX_THREADS || mib < 16)
                return 2;
        snprintf(arg_mib, sizeof(arg_mib), "%lu", mib / 4 < 16 ? 16 : mib / 4);
        set_up(mib, seed);
        board->end_ms = now_ms() + strtoull(argv[3], NULL, 10) * 1000;
        for (uint32_t i = 0; i < n_threads; i++)
                atomic_store(&board->actor[i].doing, "beginning");
        for (uint32_t i = 0; i < n_threads; i++)
                pthread_create(&id[i], NULL, run, &board->actor[i]);
        pthread_create(&ghost_id, NULL, ghost, &seed);
        while (watch(seen, since)) {
                if (now_ms() >= board->end_ms)
                        atomic_store(&board->stop, true);
                usleep(20000);
        }
        for (uint32_t i = 0; i < n_threads; i++)
                pthread_join(id[i], NULL);
        pthread_join(ghost_id, NULL);
        if (is_exec)
                return 0;
        report();
        if (board->bereft > 1 + board->children / 20) {
                printf("too many children have lost something\n");
                return 1;
        }
        if (board->parted > 1 + board->children / 100 || board->efaults > 10 + board->moves / 20) {
                printf("too many EFAULT from mremap\n");
                return 1;
        }
        return 0;
}
