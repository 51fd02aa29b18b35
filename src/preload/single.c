/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program without threads of its own is to stay one for the C library. While glibc knows of one thread only it takes
 * no locks: such a program can fork in a signal handler that has interrupted malloc() or stdio, where one with a second
 * thread waits for ever for the lock that it holds itself. The agent calls nothing of libc's, so it makes no difference
 * to what these locks are for, and glibc's word that there is but one thread (sys/single_threaded.h) is put back after
 * the agent's start. The first thread that the program makes takes it away, as always.
 *
 * One thing has to reach the agent: setuid(2) and its family, which glibc has all threads do. It is told of two threads
 * during these calls.
 */
#include <dlfcn.h>
#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

#include "preload.h"
#include "syscall.h"

#define EXPORT __attribute__((visibility("default")))

/* libc's own, and the copy that a program which refers to it has (see "copy relocation"); NULL where there is none. */
static volatile char *single_word[2];

/* By the constructor's start of the agent, or that of a child's; false from the program's first thread on. */
static bool single_is(void)
{
        return single_word[0] && *single_word[0];
}

static void single_set(char value)
{
        for (int i = 0; i < 2; i++)
                if (single_word[i])
                        *single_word[i] = value;
}

bool single_before(void)
{
        return single_is();
}

void single_after(bool before)
{
        if (before)
                single_set(1);
}

/* Makes glibc tell the agent what follows. A child of vfork(2) is a process of its own, without an agent. */
static bool single_hide(void)
{
        const struct agent *a = init_agent;

        if (!single_is() || !a || atomic_load(&a->outcome) != AGENT_READY || sys_call(SYS_getpid) != a->pid)
                return false;
        single_set(0);
        return true;
}

/*
 * libc's, or whose it is that comes after this library. Looked for by the constructor, since dlsym() may not be called
 * in a signal handler, and setuid() may.
 */
#define SINGLE_NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

#define SINGLE_CALL(name, parameters, arguments)           \
        static __typeof__(&(name)) single_##name;          \
        EXPORT int name parameters                         \
        {                                                  \
                bool hidden = single_hide();               \
                int result;                                \
                                                           \
                if (!single_##name)                        \
                        single_##name = SINGLE_NEXT(name); \
                result = single_##name arguments;          \
                single_after(hidden);                      \
                return result;                             \
        }

SINGLE_CALL(setuid, (uid_t uid), (uid))
SINGLE_CALL(setgid, (gid_t gid), (gid))
SINGLE_CALL(seteuid, (uid_t uid), (uid))
SINGLE_CALL(setegid, (gid_t gid), (gid))
SINGLE_CALL(setreuid, (uid_t real, uid_t effective), (real, effective))
SINGLE_CALL(setregid, (gid_t real, gid_t effective), (real, effective))
SINGLE_CALL(setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
SINGLE_CALL(setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
SINGLE_CALL(setgroups, (size_t n, const gid_t *groups), (n, groups))
SINGLE_CALL(initgroups, (const char *user, gid_t group), (user, group))

void single_find(void)
{
        single_word[0] = dlsym(RTLD_NEXT, "__libc_single_threaded");
        single_word[1] = dlsym(RTLD_DEFAULT, "__libc_single_threaded");
        single_setuid = SINGLE_NEXT(setuid);
        single_setgid = SINGLE_NEXT(setgid);
        single_seteuid = SINGLE_NEXT(seteuid);
        single_setegid = SINGLE_NEXT(setegid);
        single_setreuid = SINGLE_NEXT(setreuid);
        single_setregid = SINGLE_NEXT(setregid);
        single_setresuid = SINGLE_NEXT(setresuid);
        single_setresgid = SINGLE_NEXT(setresgid);
        single_setgroups = SINGLE_NEXT(setgroups);
        single_initgroups = SINGLE_NEXT(initgroups);
}
