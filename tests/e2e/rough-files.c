// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that close, replace and leave all that they have of files: the agent's descriptors are out of their reach.
 * See rough.h.
 */
#include "rough.h"

#include <sys/resource.h>
#include <sys/stat.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif

static void walk(void)
{
}

static void close_from(void)
{
        closefrom(0);
        rough_must(open("/dev/null", O_RDONLY) == 0);
}

static void close_range_all(void)
{
        rough_must(syscall(SYS_close_range, 0u, ~0u, 0u) == 0);
        rough_must(open("/dev/null", O_RDONLY) == 0);
}

/* The calling thread gets a table of its own and closes it; the others keep theirs. */
static void close_range_unshare(void)
{
        rough_must(syscall(SYS_close_range, 0u, ~0u, CLOSE_RANGE_UNSHARE) == 0);
        rough_must(open("/dev/null", O_RDONLY) == 0);
}

static void close_each(void)
{
        for (int fd = 0; fd < 1 << 16; fd++)
                close(fd);
        rough_must(open("/dev/null", O_RDONLY) == 0);
}

/* Every number there can be is taken, with a pipe that would block whoever reads from it. */
static void dup2_all(void)
{
        struct rlimit limit = { 4096, 4096 };
        int ends[2];

        rough_must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        rough_must(pipe(ends) == 0);
        for (int fd = 0; fd < 4096; fd++)
                if (fd != ends[0])
                        rough_must(dup2(ends[0], fd) == fd);
        rough_must(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
}

static void chroot_empty(void)
{
        rough_must(mkdir("empty", 0700) == 0 || errno == EEXIST);
        rough_must(chroot("empty") == 0 && chdir("/") == 0);
        rough_must(access("/proc", F_OK) < 0 && errno == ENOENT);
}

/* Started with 0, 1 and 2 closed, by its script: nothing has come there. */
static void closed_at_start(void)
{
        for (int fd = 0; fd < 3; fd++)
                rough_must(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
        rough_must(open("/dev/null", O_RDONLY) == 0);
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "walk", 1, walk },
                { "walk-threads", 4, walk },
                { "closefrom", 1, close_from },
                { "close_range", 3, close_range_all },
                { "close_range-unshare", 3, close_range_unshare },
                { "close-each", 1, close_each },
                { "dup2", 2, dup2_all },
                { "chroot", 2, chroot_empty },
                { "closed-at-start", 1, closed_at_start },
        };

        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
