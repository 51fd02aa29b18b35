/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that tests/unit/test-agent*.c run with the preload library in it. It stands for any program and knows
 * nothing of vmpager. It first says what it found when main() began: its environment, its signal mask, errno and
 * its descriptors; then it carries out one command a line of stdin, and answers each with one line.
 *
 *     map PAGES SEED          maps and fills pages         -> address
 *     zero ADDRESS            writes zeros to a page       -> ok
 *     drop ADDRESS            MADV_DONTNEED of a page      -> ok
 *     lock | unlock ADDRESS   mlock, munlock of a page     -> ok
 *     lockall | unlockall     mlockall(MCL_CURRENT)        -> ok
 *     readonly ADDRESS        mprotect of a page           -> ok
 *     pin ADDRESS             a registered io_uring buffer -> ok
 *     share ADDRESS           forks a child that stays     -> ok
 *     unmap ADDRESS PAGES                                  -> ok
 *     check ADDRESS SEED PAGE compares with what map wrote -> ok
 *     become UID              setgroups, setgid, setuid    -> ok
 *
 * A failure is answered with "errno N", wrong bytes with "wrong".
 */
#include <errno.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent-pattern.h"

extern char **environ;

static int do_pin(void *page)
{
        struct io_uring_params params = { 0 };
        struct iovec iov = { page, PAGE };
        int ring = (int)syscall(SYS_io_uring_setup, 1, &params);

        if (ring < 0)
                return -1;
        return (int)syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

static int do_share(void)
{
        pid_t parent = getpid();
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (getppid() == parent)
                        pause();
                _exit(0);
        }
        return pid < 0 ? -1 : 0;
}

static uint64_t *do_map(size_t pages, uint64_t seed)
{
        /* Between two pages of nothing, so that no other mapping becomes part of this one. */
        uint8_t *outer = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t *p = (uint64_t *)(outer + PAGE);

        if (outer == MAP_FAILED || mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE) < 0)
                return NULL;
        madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
        for (size_t page = 0; page < pages; page++)
                for (size_t word = 0; word < PAGE_WORDS; word++)
                        p[page * PAGE_WORDS + word] = pattern_word(seed, page, word);
        return p;
}

static int do_become(uid_t uid)
{
        return setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0 ? -1 : 0;
}

static int do_command(const char *name, uint8_t *page, unsigned long a, unsigned long b)
{
        if (strcmp(name, "zero") == 0)
                return memset(page, 0, PAGE) ? 0 : -1;
        if (strcmp(name, "drop") == 0)
                return madvise(page, PAGE, MADV_DONTNEED);
        if (strcmp(name, "lock") == 0)
                return mlock(page, PAGE);
        if (strcmp(name, "unlock") == 0)
                return munlock(page, PAGE);
        if (strcmp(name, "lockall") == 0)
                return mlockall(MCL_CURRENT);
        if (strcmp(name, "unlockall") == 0)
                return munlockall();
        if (strcmp(name, "readonly") == 0)
                return mprotect(page, PAGE, PROT_READ);
        if (strcmp(name, "pin") == 0)
                return do_pin(page);
        if (strcmp(name, "share") == 0)
                return do_share();
        if (strcmp(name, "unmap") == 0)
                return munmap(page, a * PAGE);
        if (strcmp(name, "check") == 0)
                return pattern_matches(page, a, b) ? 0 : 1;
        if (strcmp(name, "become") == 0)
                return do_become((uid_t)(uintptr_t)page);
        errno = ENOSYS;
        return -1;
}

static void report(int error)
{
        sigset_t mask;
        uint64_t bits = 0;
        int lowest = dup(0);

        sigprocmask(SIG_SETMASK, NULL, &mask);
        memcpy(&bits, &mask, sizeof(bits));
        close(lowest);
        printf("begin errno=%d mask=%llx fd=%d", error, (unsigned long long)bits, lowest);
        for (char **e = environ; *e; e++)
                printf(" %s", *e);
        printf("\n");
}

int main(void)
{
        int error = errno;
        char line[256];

        setvbuf(stdout, NULL, _IOLBF, 0);
        report(error);
        while (fgets(line, sizeof(line), stdin)) {
                char name[32] = "";
                unsigned long a = 0, b = 0, c = 0;
                int failed;

                sscanf(line, "%31s %lu %lu %lu", name, &a, &b, &c);
                if (strcmp(name, "map") == 0) {
                        printf("%lu\n", (unsigned long)(uintptr_t)do_map(a, b));
                        continue;
                }
                failed = do_command(name, (uint8_t *)a, b, c);
                if (failed < 0)
                        printf("errno %d\n", errno);
                else
                        puts(failed ? "wrong" : "ok");
        }
        return 0;
}
