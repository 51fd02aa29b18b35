/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork-verify MIB CHILDREN DEPTH HOW [SEED]: fills memory of that size, forks that many children at once, each of which
 * forks one more, to that depth. Each process finds all pages as they were when it was forked, writes to a third of
 * them, and finds all as it left them, while its relatives do the same. HOW is how children are made:
 *
 *     fork     fork(3)
 *     raw      clone(2) by itself: the library does not know of them
 *     orphan   fork(3), and each parent but the first ends before its child looks
 *     raworphan  both, and other threads write to memory of their own and discard it all the time; there
 *              is memory that children do not get as it is, too
 *     threads  fork(3), while other threads write to memory of their own
 *     late     as raw, and the child looks when there is a file "go"
 *     many     fork(3), and each child looks at, and writes to, a sixteenth of the pages
 *     spawn    vfork(2), posix_spawn(3), system(3), popen(3) and fork with exec, of a program that does nothing; the
 *              memory that is right is the first process's
 *
 * Prints "right N", the number of processes that found all right; status 1 and a line where one did not.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE       4096u
#define WORDS      (PAGE / sizeof(uint64_t))
#define THREADS    3
#define DISCARD    (16u * PAGE)
#define MOST_FRESH 64u
#define SHARE      16u /* of the pages, with many */

/* Shared between all processes, and never paged. */
struct board {
        atomic_uint right, wrong, ended;
        char line[200]; /* what the first that was wrong has to say */
};

static struct board *board;
static uint64_t *memory;
static size_t pages;
static char *fresh;
static uint32_t *version; /* of each page; private to a process, in memory that is paged as well */
static const char *how;
static uint64_t seed;
static atomic_bool stop;

static uint64_t word(size_t page, uint32_t v, size_t i)
{
        return (page * UINT64_C(0x9e3779b97f4a7c15) ^ v * UINT64_C(0xbf58476d1ce4e5b9)) + i;
}

static void write_page(size_t page, uint32_t v)
{
        uint64_t *p = memory + page * WORDS;

        version[page] = v;
        for (size_t i = 0; i < WORDS; i++)
                p[i] = word(page, v, i);
}

/* Of the pages, every step-th from first on are this process's concern. */
static size_t first, step = 1;

static bool check(const char *when)
{
        for (size_t page = first; page < pages; page += step)
                for (size_t i = 0; i < WORDS; i++) {
                        uint64_t is = memory[page * WORDS + i], should = word(page, version[page], i);

                        if (is == should)
                                continue;
                        if (atomic_fetch_add(&board->wrong, 1) == 0)
                                snprintf(board->line, sizeof(board->line),
                                         "pid %d, %s: page %zu at %p, word %zu is %llx and not %llx (version %u)",
                                         (int)getpid(), when, page, (void *)(memory + page * WORDS), i,
                                         (unsigned long long)is, (unsigned long long)should, version[page]);
                        return false;
                }
        return true;
}

static pid_t make_child(void)
{
        if (strcmp(how, "raw") == 0 || strcmp(how, "late") == 0 || strcmp(how, "raworphan") == 0)
                return (pid_t)syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0);
        return fork();
}

static void wait_for_ended(unsigned n)
{
        while (atomic_load(&board->ended) < n && atomic_load(&board->wrong) == 0)
                usleep(1000);
}

static void live(unsigned depth, unsigned number);

/* Makes n children; returns when they have ended, or at once for orphans. */
static void make_children(unsigned n, unsigned depth)
{
        for (unsigned i = 0; i < n; i++) {
                pid_t pid = make_child();

                if (pid < 0) {
                        if (atomic_fetch_add(&board->wrong, 1) == 0)
                                snprintf(board->line, sizeof(board->line), "fork: %s", strerror(errno));
                        return;
                }
                if (pid == 0) {
                        live(depth, i);
                        _exit(0);
                }
        }
}

static void reap(void)
{
        int status;

        while (wait(&status) > 0)
                if ((!WIFEXITED(status) || WEXITSTATUS(status)) && atomic_fetch_add(&board->wrong, 1) == 0)
                        snprintf(board->line, sizeof(board->line), "a child ended with status 0x%x", (unsigned)status);
}

static void write_some(uint64_t salt)
{
        for (size_t page = first + salt % 3 * step; page < pages; page += 3 * step)
                write_page(page, (uint32_t)(version[page] + 1 + salt));
}

static void live(unsigned depth, unsigned number)
{
        bool orphan = strcmp(how, "orphan") == 0 || strcmp(how, "raworphan") == 0;

        while (strcmp(how, "late") == 0 && access("go", F_OK) < 0)
                usleep(1000);
        if (strcmp(how, "many") == 0) {
                first = number % SHARE;
                step = SHARE;
        }
        if (orphan && depth > 0) {
                make_children(1, depth - 1);
                /* When it has that page its pager has seen that it forked, and which process it is. */
                if (fresh)
                        fresh[(number + 1) % MOST_FRESH * PAGE] = 1;
                atomic_fetch_add(&board->right, 1);
                atomic_fetch_add(&board->ended, 1);
                return;
        }
        if (orphan)
                while (getppid() != 1 && (int)getppid() != (int)strtol(getenv("FORK_VERIFY_REAPER"), NULL, 10))
                        usleep(1000);
        if (!check("after the fork"))
                return;
        write_some(seed + number + depth);
        if (depth > 0)
                make_children(1, depth - 1);
        write_some(seed + number + depth + 1);
        if (!check("at the end"))
                return;
        reap();
        atomic_fetch_add(&board->right, 1);
        atomic_fetch_add(&board->ended, 1);
}

/* Threads that keep their pager busy, in memory that nobody checks but they. */
static void *busy(void *arg)
{
        size_t bytes = (pages / 4) * PAGE;
        uint64_t *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t round = (uintptr_t)arg;

        while (own != MAP_FAILED && !atomic_load(&stop)) {
                for (size_t i = 0; i < bytes / 8; i += WORDS)
                        own[i] = i ^ round;
                for (size_t i = 0; i < bytes / 8; i += WORDS)
                        if (own[i] != (i ^ round) && atomic_fetch_add(&board->wrong, 1) == 0)
                                snprintf(board->line, sizeof(board->line), "a thread's word %zu is wrong", i);
                for (size_t i = 0; strcmp(how, "raworphan") == 0 && i < bytes; i += DISCARD)
                        if (madvise((char *)own + i, i + DISCARD < bytes ? DISCARD : bytes - i, MADV_DONTNEED) < 0)
                                atomic_fetch_add(&board->wrong, 1);
                round++;
        }
        return NULL;
}

static void check_status(const char *what, int status)
{
        if (status && atomic_fetch_add(&board->wrong, 1) == 0)
                snprintf(board->line, sizeof(board->line), "%s: status 0x%x", what, (unsigned)status);
}

static void spawn_all(void)
{
        char *argv[] = { (char *)"true", NULL };
        int status = -1;
        pid_t pid;
        FILE *f;

        check_status("system", system("true"));
        f = popen("true", "r");
        check_status("popen", f ? pclose(f) : -1);
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0)
                waitpid(pid, &status, 0);
        check_status("posix_spawn", status);
        status = -1;
        pid = vfork();
        if (pid == 0) {
                execv("/bin/true", argv);
                _exit(127);
        }
        waitpid(pid, &status, 0);
        check_status("vfork", status);
        status = -1;
        pid = fork();
        if (pid == 0) {
                execv("/bin/true", argv);
                _exit(127);
        }
        waitpid(pid, &status, 0);
        check_status("fork and exec", status);
}

/* Memory that is out in the first process, and not in its children; and some that none of them has touched. */
static bool fill_wiped(size_t bytes)
{
        char *wiped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (wiped == MAP_FAILED || madvise(wiped, bytes, MADV_WIPEONFORK) < 0)
                return false;
        memset(wiped, 1, bytes);
        fresh = mmap(NULL, MOST_FRESH * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return fresh != MAP_FAILED;
}

int main(int argc, char **argv)
{
        pthread_t thread[THREADS];
        bool threads;
        unsigned children, depth, all;
        char reaper[32];

        if (argc < 5) {
                fprintf(stderr, "usage: fork-verify MIB CHILDREN DEPTH "
                                "fork|raw|late|orphan|raworphan|threads|many|spawn [SEED]\n");
                return 2;
        }
        pages = (size_t)strtoul(argv[1], NULL, 10) << 8;
        children = (unsigned)strtoul(argv[2], NULL, 10);
        depth = (unsigned)strtoul(argv[3], NULL, 10);
        how = argv[4];
        threads = strcmp(how, "threads") == 0 || strcmp(how, "raworphan") == 0;
        seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        snprintf(reaper, sizeof(reaper), "%d", (int)getpid());
        setenv("FORK_VERIFY_REAPER", reaper, 1);
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        version = calloc(pages, sizeof(*version));
        if (board == MAP_FAILED || memory == MAP_FAILED || !version)
                return 2;
        if (strcmp(how, "raworphan") == 0 && !fill_wiped(pages / 4 * PAGE))
                return 2;
        for (size_t page = 0; page < pages; page++)
                write_page(page, (uint32_t)seed);
        for (int i = 0; threads && i < THREADS; i++)
                pthread_create(&thread[i], NULL, busy, (void *)(uintptr_t)(i + 1));

        if (strcmp(how, "spawn") == 0) {
                for (unsigned i = 0; i < children; i++) {
                        spawn_all();
                        write_some(seed + i);
                }
                children = 0;
        }
        make_children(children, depth);
        write_some(seed + 77);
        check("in the first process");
        reap();
        check("in the first process, at the end");
        all = children * (depth + 1);
        wait_for_ended(all);
        reap();
        atomic_store(&stop, true);
        for (int i = 0; threads && i < THREADS; i++)
                pthread_join(thread[i], NULL);
        if (board->wrong || board->right != all) {
                fprintf(stderr, "fork-verify: %u of %u right, %u wrong: %s\n", board->right, all, board->wrong,
                        board->line);
                return 1;
        }
        printf("right %u\n", board->right + 1);
        return 0;
}
