/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which user the agent is. glibc has every thread follow setuid(2) and its family. A program that makes the system call
 * itself changes its first thread alone, which is all of it as far as it knows: the agent would stay root in a
 * program that is not any more. So it reads who the first thread is, in /proc/self/status, which it has had open since
 * before the program could leave for another root. It follows once that thread cannot come back, and not before: what
 * glibc does with all threads has to have the same result in each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>

#include "preload.h"
#include "syscall.h"

#define STATUS_BYTES 4096
#define GROUPS_MOST  64

/* The numbers behind "\nNAME:"; returns how many there are, at most `most`. */
static unsigned int identity_numbers(const char *text, const char *name, uint32_t *out, unsigned int most)
{
        unsigned int n = 0;

        for (; *text; text++) {
                const char *at = text, *want = name;

                while (*want && *at == *want) {
                        at++;
                        want++;
                }
                if (*want)
                        continue;
                while (n < most && *at && *at != '\n') {
                        bool any = false;

                        out[n] = 0;
                        for (; *at >= '0' && *at <= '9'; at++) {
                                out[n] = out[n] * 10 + (uint32_t)(*at - '0');
                                any = true;
                        }
                        if (any)
                                n++;
                        else
                                at++;
                }
                return n;
        }
        return 0;
}

void identity_open(struct agent *a)
{
        a->status = (int)sys_call(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
}

/* Becomes the user that the program's first thread is, which has given CAP_SETUID up. */
static void identity_become(const struct agent *a)
{
        char text[STATUS_BYTES];
        uint32_t uid[4], gid[4], groups[GROUPS_MOST], own[3];
        long n = sys_call(SYS_pread64, a->status, text, sizeof(text) - 1, 0);
        unsigned int n_groups;

        if (n <= 0)
                return;
        text[n] = '\0';
        if (identity_numbers(text, "\nUid:", uid, 4) != 4 || identity_numbers(text, "\nGid:", gid, 4) != 4 ||
            sys_call(SYS_getresuid, &own[0], &own[1], &own[2]) < 0)
                return;
        if (uid[0] == own[0] && uid[1] == own[1] && uid[2] == own[2])
                return;
        n_groups = identity_numbers(text, "\nGroups:", groups, GROUPS_MOST);
        sys_call(SYS_setgroups, n_groups, groups);
        sys_call(SYS_setresgid, gid[0], gid[1], gid[2]);
        sys_call(SYS_setresuid, uid[0], uid[1], uid[2]);
}

static bool identity_capget(int tid, struct __user_cap_data_struct data[2])
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = tid };

        return sys_call(SYS_capget, &header, data) == 0;
}

/*
 * Keeps, of what the agent has, at most CAP_SETUID and CAP_SETGID, and those only where the
 * program's first thread has them. See capabilities(7), nptl(7).
 */
void identity_follow(const struct agent *a)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct own[2], first[2], set[2] = { { 0 }, { 0 } };

        if (!identity_capget(0, own))
                return;
        if (identity_capget((int)sys_call(SYS_getpid), first)) {
                if (own[0].permitted & ~first[0].permitted & CAP_TO_MASK(CAP_SETUID))
                        identity_become(a);
                set[0].permitted =
                        own[0].permitted & first[0].permitted & (CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID));
                set[0].effective = own[0].effective & set[0].permitted;
        }
        if (own[0].permitted == set[0].permitted && own[1].permitted == 0 && own[0].inheritable == 0 &&
            own[1].inheritable == 0)
                return;
        sys_call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        sys_call(SYS_capset, &header, set);
}
