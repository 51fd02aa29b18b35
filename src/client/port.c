/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real way from the pager to a client: its userfaultfd, its /proc, its agent's futexes. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/session.h"
#include "client/unattended.h"
#include "client/worker.h"
#include "sys/uffd.h"
#include "util/log.h"

static struct session *session_of(struct port *p)
{
        return (struct session *)p;
}

static int port_read(struct port *p, struct uffd_msg *msgs, unsigned n)
{
        return uffd_read(session_of(p)->uffd, msgs, n);
}

static int64_t port_copy(struct port *p, uint64_t dst, const void *src, uint64_t len)
{
        return uffd_copy(session_of(p)->uffd, dst, src, len);
}

static int64_t port_zeropage(struct port *p, uint64_t dst, uint64_t len)
{
        return uffd_zeropage(session_of(p)->uffd, dst, len);
}

static int64_t port_poison(struct port *p, uint64_t dst, uint64_t len)
{
        /* POISON refuses a page with a mark. Nobody can get in between: the page stays absent. */
        uffd_unmark(session_of(p)->uffd, dst, len);
        return uffd_poison(session_of(p)->uffd, dst, len);
}

static int port_mark(struct port *p, uint64_t start, uint64_t len)
{
        return uffd_mark(session_of(p)->uffd, start, len);
}

static int port_unmark(struct port *p, uint64_t start, uint64_t len)
{
        return uffd_unmark(session_of(p)->uffd, start, len);
}

/* The kernel looks at its count of changes before it looks at the address, where there is nothing. */
static bool port_changing(struct port *p)
{
        struct session *s = session_of(p);
        int64_t r = uffd_copy(s->uffd, UFFD_NOWHERE, s->worker->pager.zeros, PAGE_SIZE_);

        return r == -EAGAIN || r == -ESRCH;
}

static int port_wake(struct port *p, uint64_t start, uint64_t len)
{
        return uffd_wake(session_of(p)->uffd, start, len);
}

static int port_enlist(struct port *p, uint64_t start, uint64_t len)
{
        return uffd_register(session_of(p)->uffd, start, len);
}

static int port_discharge(struct port *p, uint64_t start, uint64_t len)
{
        return uffd_unregister(session_of(p)->uffd, start, len);
}

/* The memfd is shared between two processes, so the futex is not a private one. */
static void futex_wake(_Atomic uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void port_kick(struct port *p)
{
        struct session *s = session_of(p);

        /* The slots are pinned for I/O when the first eviction begins, not before: until then they cost nothing. */
        if (!s->slots_tried) {
                int index = loop_register_buffer(s->worker->loop, s->space.slots, (size_t)s->n_slots * VMPAGER_PAGE);

                s->slots_tried = true;
                s->space.slots_buffer = index < 0 ? -1 : index;
        }
        futex_wake(&s->ring->posted);
}

static void port_ungate(struct port *p)
{
        futex_wake(&session_of(p)->ring->reading);
}

static int port_memory(struct port *p, struct procfs_memory *out)
{
        return procfs_memory(&session_of(p)->proc, out);
}

static int port_mappings(struct port *p, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        return procfs_mappings(&session_of(p)->proc, fn, arg);
}

static int port_mapping_at(struct port *p, uint64_t addr, struct procfs_mapping *m)
{
        return procfs_mapping_at(&session_of(p)->proc, addr, m);
}

static int port_thread_ends(struct port *p, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg)
{
        return procfs_thread_ends(&session_of(p)->proc, fn, arg);
}

static int port_present(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                        uint64_t max_pages, uint64_t *next)
{
        /* Nothing is evicted from a process that is not known. */
        if (session_of(p)->proc.dir < 0)
                return -ESRCH;
        return procfs_present(&session_of(p)->proc, start, end, runs, max_runs, max_pages, next);
}

static int port_marked(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                       uint64_t *next)
{
        unattended_identify(session_of(p));
        if (session_of(p)->proc.dir < 0)
                return -ESRCH;
        return procfs_marked(&session_of(p)->proc, start, end, runs, max_runs, next);
}

static bool port_alone(struct port *p)
{
        struct session *s = session_of(p);
        int n;

        unattended_identify(s);
        n = s->proc.dir < 0 ? -ESRCH : procfs_threads(&s->proc);

        return n > 0 && n <= (s->state == SESSION_PAGED ? 2 : 1);
}

/* The agent never ends the process. */
static bool port_ending(struct port *p)
{
        const struct session *s = session_of(p);
        bool agent = s->state == SESSION_PAGED && !atomic_load(&s->ring->away);

        return s->proc.dir >= 0 && procfs_is_ending(&s->proc, agent ? (pid_t)atomic_load(&s->ring->tid) : s->proc.tid);
}

static int port_sharing(struct port *p, uint64_t start, uint64_t end, struct procfs_sharing *out)
{
        return procfs_sharing(&session_of(p)->proc, start, end, out);
}

static int port_inherited(struct port *p, uint64_t addr)
{
        return procfs_inherited(&session_of(p)->proc, addr);
}

static int port_taken(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                      uint64_t *next)
{
        return procfs_taken(&session_of(p)->proc, start, end, runs, max_runs, next);
}

static uint64_t port_now(struct port *p)
{
        return loop_now(session_of(p)->worker->loop);
}

/* The timer fires no later than asked for: an earlier one that is set already stays. */
static void port_timer(struct port *p, uint64_t at)
{
        struct session *s = session_of(p);

        if (s->state == SESSION_ENDING || (s->timer_at && s->timer_at <= at))
                return;
        s->timer_at = at;
        if (s->timer_op.armed)
                loop_cancel(s->worker->loop, &s->timer_op); /* armed anew when it comes back */
        else
                loop_timer(s->worker->loop, &s->timer_op, at);
}

static void port_again(struct port *p)
{
        struct session *s = session_of(p);

        if (s->state != SESSION_ENDING && !s->again_op.armed)
                loop_defer(s->worker->loop, &s->again_op);
}

static void port_kill(struct port *p, const char *why)
{
        struct session *s = session_of(p);

        unattended_identify(s);
        if (!s->killed)
                log_error("client %d (%s) is killed: %s", s->peer.pid, s->comm, why);
        s->killed = true;
        syscall(SYS_pidfd_send_signal, s->peer.pidfd, SIGKILL, NULL, 0);
}

static struct space *port_forked(struct port *p, int fd)
{
        struct session *child = unattended_new(session_of(p), fd);

        if (child)
                return &child->space;
        /* Without the descriptor the child reads zeros. It is not known by number, so its parent goes with it. */
        port_kill(p, "there is no room for a child that it forked");
        return NULL;
}

const struct port_ops port_real = {
        .read = port_read,
        .copy = port_copy,
        .zeropage = port_zeropage,
        .poison = port_poison,
        .mark = port_mark,
        .unmark = port_unmark,
        .changing = port_changing,
        .wake = port_wake,
        .enlist = port_enlist,
        .discharge = port_discharge,
        .kick = port_kick,
        .ungate = port_ungate,
        .memory = port_memory,
        .mappings = port_mappings,
        .mapping_at = port_mapping_at,
        .thread_ends = port_thread_ends,
        .present = port_present,
        .marked = port_marked,
        .sharing = port_sharing,
        .inherited = port_inherited,
        .taken = port_taken,
        .now = port_now,
        .timer = port_timer,
        .again = port_again,
        .forked = port_forked,
        .alone = port_alone,
        .ending = port_ending,
        .kill = port_kill,
};
