/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork(2), as pthread_atfork(3) tells of it. The child has the forking thread alone, and of the agent only its memory:
 * a new one is started in the same place before any of the program's code runs. The child's userfaultfd is vmpagerd's
 * already, and the agent gets it by its handshake (vmpager/protocol.h). Where there cannot be one (the socket is out of
 * reach in a chroot, threads are used up) the child goes on without: vmpagerd serves it, and evicts nothing of it.
 *
 * The agent is held while the program forks, so that at that moment each page is known to be in or out.
 *
 * Children's handlers run in the order in which they were set, and starting a thread calls malloc(). A malloc of the
 * program's own has its locks back by then, since it has set its handlers at the latest when the agent's thread was
 * made by the constructor, and fork_watch() is called after that.
 *
 * Signals are blocked from before the fork until the child's agent is there: a handler is the program's code.
 * vfork(2) and posix_spawn(3) run none of this, and need not: their child has no memory of its own. _Fork(3) and a raw
 * clone(2) do not either: such a child has no agent.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "preload.h"
#include "syscall.h"

/* Of the fork that this thread is in. */
static __thread struct agent *fork_held;
static __thread uint64_t fork_mask;

static void fork_block_signals(void)
{
        uint64_t all = ~(uint64_t)0;

        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &fork_mask, sizeof(all));
}

static void fork_restore_signals(void)
{
        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &fork_mask, 0, sizeof(fork_mask));
}

static void fork_prepare(void)
{
        struct agent *a = init_agent;

        fork_block_signals();
        fork_held = a && atomic_load(&a->outcome) == AGENT_READY ? a : NULL;
        if (fork_held)
                agent_hold(fork_held);
}

static void fork_parent(void)
{
        if (fork_held)
                agent_release(fork_held);
        fork_restore_signals();
}

static void fork_child(void)
{
        int error = errno;

        if (init_agent && !filter_forbids_agent)
                init_again();
        errno = error;
        fork_restore_signals();
}

int fork_watch(void)
{
        return pthread_atfork(fork_prepare, fork_parent, fork_child);
}
