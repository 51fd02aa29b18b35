/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent: one thread of the paged program that carries out vmpagerd's orders, since the kernel
 * lets nobody else move a process's pages.
 *
 * It lives in the program and is no part of it. Its descriptors are in a table of its own, so the
 * program neither sees nor can close them, and the agent keeps none of the program's open. It makes
 * system calls itself (syscall.h) and calls no function outside src/preload: no malloc, no stdio, no
 * errno, nothing a program could have replaced. It touches no memory that can be paged: its state,
 * stack, thread-local storage, staging area and ring are mapped for it alone and excluded from paging.
 *
 * Signals. All that a program can send are blocked for ever. The one that glibc uses to make every
 * thread follow a setuid(2) has to be let in, but its handler reads libc's variables, which may be
 * paged out; so it is let in only while the agent sleeps, when vmpagerd can answer a fault without it.
 *
 * Privileges. A program that is hijacked steers its agent too, so the agent gives all capabilities away.
 * CAP_SETUID and CAP_SETGID are the exception, where the program has them: a program that starts as
 * root and becomes somebody else does so in all threads at once, and glibc aborts it where one
 * thread is refused. They go when the program changes its identity, or at the latest
 * AGENT_LOOK_MS after the program's first thread has dropped them.
 *
 * When vmpagerd goes away the agent stays: its userfaultfd is what keeps evicted pages from reading as
 * zeros.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <poll.h>
#include <signal.h>

#include "preload.h"
#include "syscall.h"

#define AGENT_LOOK_MS 2000

/* Numbers of the signals that glibc keeps to itself: 32 (cancellation) and 33 (setuid and its family). */
#define GLIBC_SIGNALS ((uint64_t)3 << 31)

bool agent_refuse(struct agent *a, const char *reason, long error, const char *advice)
{
        a->reason = reason;
        a->error = error < 0 ? (int)-error : (int)error;
        a->advice = advice;
        return false;
}

bool agent_daemon_gone(const struct agent *a)
{
        struct pollfd fd = { .fd = a->sock, .events = POLLRDHUP };
        struct __kernel_timespec zero = { 0 };

        return sys_call(SYS_ppoll, &fd, 1, &zero, 0, 0) == 1 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void agent_notify(const struct agent *a)
{
        uint64_t one = 1;

        sys_call(SYS_write, a->event, &one, sizeof(one));
}

static void agent_block_signals(uint64_t mask)
{
        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof(mask));
}

/* Publishes how the start went. False when the constructor no longer waits for it. */
static bool agent_report(struct agent *a, uint32_t outcome)
{
        uint32_t starting = AGENT_STARTING;
        bool reported = atomic_compare_exchange_strong(&a->outcome, &starting, outcome);

        sys_futex_wake(&a->outcome);
        return reported;
}

static void agent_close(struct agent *a)
{
        sys_call(SYS_close_range, 0, ~0U, 0);
        a->sock = a->uffd = a->event = a->status = -1;
        if (a->ring)
                sys_call(SYS_munmap, a->ring, a->ring_bytes);
        a->ring = NULL;
}

/* Sleeps until a batch is posted, there is a thread to look after, or AGENT_LOOK_MS. */
static void agent_sleep(struct agent *a, uint32_t posted)
{
        agent_block_signals(~GLIBC_SIGNALS);
        sys_futex_wait(&a->ring->posted, posted, ends_due(a, AGENT_LOOK_MS));
        agent_block_signals(~(uint64_t)0);
}

/* The agent can be killed by a seccomp filter that the program put on all of its threads. */
static bool agent_is_dead(const struct agent *a)
{
        return sys_call(SYS_tgkill, sys_call(SYS_getpid), a->tid, 0) == -ESRCH;
}

void agent_hold(struct agent *a)
{
        _Atomic uint32_t *busy = &a->ring->busy;

        atomic_fetch_add(&a->ring->forks, 1);
        while (atomic_load(busy))
                if (sys_futex_wait(busy, 1, AGENT_LOOK_MS) == -ETIMEDOUT && agent_is_dead(a))
                        return;
}

void agent_release(struct agent *a)
{
        if (atomic_fetch_sub(&a->ring->forks, 1) == 1)
                sys_futex_wake(&a->ring->forks);
}

/* Until agent_idle() the agent is not held. Either it sees a hold, or the holder sees that it is busy. */
static void agent_busy(struct agent *a)
{
        uint32_t forks;

        for (;;) {
                atomic_store(&a->ring->busy, 1);
                forks = atomic_load(&a->ring->forks);
                if (!forks)
                        return;
                atomic_store(&a->ring->busy, 0);
                sys_futex_wake(&a->ring->busy);
                sys_futex_wait(&a->ring->forks, forks, AGENT_LOOK_MS);
        }
}

static void agent_idle(struct agent *a)
{
        atomic_store(&a->ring->busy, 0);
        if (atomic_load(&a->ring->forks))
                sys_futex_wake(&a->ring->busy);
}

/* Carries out the next batch. */
static void agent_work(struct agent *a, uint32_t completed)
{
        struct vmpager_batch *shared = &a->ring->batch[completed % VMPAGER_RING_BATCHES];
        struct order o;
        bool sound = evict_take(a, shared, &o);

        if (sound)
                evict_reclaim(a, &o);
        agent_busy(a);
        if (sound)
                evict_carry_out(a, shared, &o);
        atomic_store_explicit(&a->ring->completed, completed + 1, memory_order_release);
        agent_idle(a);
        agent_notify(a);
}

/* Looks after its capabilities every AGENT_LOOK_MS, however busy it is. *last: when it last did. */
static void agent_look(const struct agent *a, int64_t *last)
{
        int64_t now = sys_now_ms();

        if (now - *last < AGENT_LOOK_MS)
                return;
        identity_follow(a);
        *last = now;
}

/* Returns when the agent has stepped aside. */
static void agent_loop(struct agent *a)
{
        struct vmpager_ring *ring = a->ring;
        uint32_t completed = atomic_load(&ring->completed);
        int64_t looked = sys_now_ms();

        agent_block_signals(~(uint64_t)0);
        for (;;) {
                uint32_t posted = atomic_load_explicit(&ring->posted, memory_order_acquire);

                agent_look(a, &looked);
                ends_look(a);
                if (atomic_load(&a->aside) && aside_give(a))
                        return;
                if (posted == completed)
                        agent_sleep(a, posted);
                else
                        agent_work(a, completed++);
        }
}

static void agent_name(struct agent *a)
{
        a->pid = (int)sys_call(SYS_getpid);
        a->tid = (int)sys_call(SYS_gettid);
        sys_call(SYS_prctl, PR_SET_NAME, "vmpager-agent");
}

void *agent_main(void *argument)
{
        struct agent *a = argument;

        agent_name(a);

        /* It never executes a program, and whoever steers it is to gain nothing by doing so. */
        sys_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

        /* A new table without the program's files in it, rather than a copy that is then closed:
         * closing a copy can be seen by a file system (flush). */
        long error = sys_call(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE);
        if (error < 0) {
                agent_refuse(a, "the agent cannot have a descriptor table of its own", error,
                             "close_range(2) must be allowed");
                agent_report(a, AGENT_REFUSED);
                return NULL;
        }
        identity_open(a);
        identity_follow(a);
        ends_learn(a);

        if (!handshake_run(a)) {
                agent_close(a);
                agent_report(a, AGENT_REFUSED);
                return NULL;
        }
        if (!agent_report(a, AGENT_READY)) {
                agent_close(a);
                return NULL;
        }
        agent_loop(a);
        return NULL;
}

/* A new descriptor table with sock, uffd and event alone. What is copied is closed, so they had best be high ones. */
static bool agent_keep_own(const struct agent *a)
{
        unsigned int keep[4] = { (unsigned int)a->sock, (unsigned int)a->uffd, (unsigned int)a->event, ~0U };
        unsigned int next = 0, flags = CLOSE_RANGE_UNSHARE;

        for (int i = 0; i < 3; i++)
                for (int k = i + 1; k < 3; k++)
                        if (keep[k] < keep[i]) {
                                unsigned int other = keep[i];

                                keep[i] = keep[k];
                                keep[k] = other;
                        }
        for (int i = 0; i < 4; i++) {
                unsigned int last = i < 3 ? keep[i] - 1 : ~0U;

                if (next <= last && keep[i] > 0) {
                        if (sys_call(SYS_close_range, next, last, flags) < 0)
                                return false;
                        flags = 0;
                }
                next = keep[i] + 1;
        }
        return true;
}

void *agent_return(void *argument)
{
        struct agent *a = argument;
        bool kept = agent_keep_own(a);

        agent_name(a);
        identity_open(a);
        identity_follow(a);
        ends_learn(a);
        if (kept) {
                atomic_store(&a->ring->tid, (uint32_t)a->tid);
                atomic_store(&a->ring->away, 0);
        }
        agent_report(a, kept ? AGENT_READY : AGENT_REFUSED);
        if (kept)
                agent_loop(a);
        return NULL;
}
