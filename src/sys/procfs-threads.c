// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The threads of a process, as far as the kernel itself has to do with their memory. What it writes to at a thread's
 * end it has been told by set_robust_list(2) and set_tid_address(2). Of another process only the first address can be
 * asked for; glibc has both in the same structure, 16 bytes from each other.
 */
#include "sys/procfs.h"

#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As far from the list's head the word of set_tid_address() is looked for. */
#define TID_DISTANCE 64u

static int tell(pid_t tid, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg)
{
        struct robust_list_head *head = NULL;
        size_t len;

        /* It may have ended just now, or have no list. */
        if (syscall(SYS_get_robust_list, tid, &head, &len) < 0 || (uintptr_t)head < TID_DISTANCE)
                return 0;
        return fn((uintptr_t)head - TID_DISTANCE, (uintptr_t)head + sizeof(*head), arg);
}

int procfs_thread_ends(const struct procfs *p, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg)
{
        _cleanup_(closep) int fd = procfs_open_in(p->dir, "task");
        _Alignas(struct dirent64) char buf[4096];
        int r = 0;

        if (fd < 0)
                return fd;
        for (;;) {
                ssize_t n = getdents64(fd, buf, sizeof(buf));

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                for (ssize_t at = 0; at < n;) {
                        const struct dirent64 *e = (const struct dirent64 *)(buf + at);
                        long tid = strtol(e->d_name, NULL, 10); /* 0: "." and ".." */

                        if (tid > 0)
                                r = tell((pid_t)tid, fn, arg);
                        if (r != 0)
                                return r;
                        at += e->d_reclen;
                }
        }
}
