/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a session is told by its descriptors: the userfaultfd (faults and events), the eventfd (the agent), the pidfd
 * (the end), and timers (pressure; patience with who does not answer).
 */
#include "client/session.h"

#include <errno.h>

#include "client/unattended.h"
#include "client/worker.h"
#include "pager/evict.h"
#include "pager/fault.h"

/* How long a client may take from HELLO, or OFFER, to REGISTER. */
#define PATIENCE_NS 20000000000ull

static void on_uffd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, uffd_op);

        if (s->state == SESSION_ENDING) {
                if (!(flags & LOOP_MORE))
                        session_free_if_idle(s);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_poll_multishot(s->worker->loop, op, s->uffd, POLLIN);
        if (res >= 0)
                fault_receive(&s->space);
}

static void on_eventfd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, eventfd_op);

        if (s->state == SESSION_ENDING) {
                if (!(flags & LOOP_MORE))
                        session_free_if_idle(s);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_poll_multishot(s->worker->loop, op, s->eventfd, POLLIN);
        /* The poll fires on each write, so the counter need not be read. */
        if (res >= 0)
                evict_completed(&s->space);
}

static void on_timer(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, timer_op);
        uint64_t at = s->timer_at;

        (void)flags;
        if (s->state == SESSION_ENDING) {
                session_free_if_idle(s);
                return;
        }
        if (res == -ECANCELED) {
                loop_timer(s->worker->loop, op, at);
                return;
        }
        s->timer_at = 0;
        space_tick(&s->space);
}

static void on_again(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, again_op);

        (void)res;
        (void)flags;
        if (s->state == SESSION_ENDING)
                session_free_if_idle(s);
        else
                fault_receive(&s->space);
}

/* Its process has ended, or was found to be about other memory by now. */
static void on_pidfd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, pidfd_op);

        (void)res;
        (void)flags;
        if (s->state == SESSION_ENDING)
                session_free_if_idle(s);
        else if (s->state == SESSION_OFFERED || session_is_gone(s))
                session_end(s);
        else
                unattended_orphan(s);
}

static void on_patience(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, patience_op);
        bool up = res != -ECANCELED;

        (void)flags;
        switch (s->state) {
        case SESSION_OFFERED:
                if (up)
                        session_end(s);
                return;
        case SESSION_UNATTENDED:
                if (up)
                        unattended_look(s);
                else
                        session_patience(s);
                return;
        case SESSION_RETURNING:
                if (up)
                        unattended_begin(s);
                else
                        session_patience(s);
                return;
        case SESSION_PAGED:
                return;
        case SESSION_ENDING:
                session_free_if_idle(s);
                return;
        }
}

void session_patience(struct session *s)
{
        struct loop *loop = s->worker->loop;

        if (s->patience_op.armed)
                loop_cancel(loop, &s->patience_op); /* armed anew when it comes back */
        else
                loop_timer(loop, &s->patience_op,
                           loop_now(loop) + (s->state == SESSION_UNATTENDED ? s->look_ns : PATIENCE_NS));
}

void session_watch_uffd(struct session *s)
{
        loop_poll_multishot(s->worker->loop, &s->uffd_op, s->uffd, POLLIN);
}

void session_watch_process(struct session *s)
{
        loop_poll(s->worker->loop, &s->pidfd_op, s->peer.pidfd, POLLIN);
}

void session_watch_init(struct session *s)
{
        s->pidfd_op.done = on_pidfd;
        s->uffd_op.done = on_uffd;
        s->eventfd_op.done = on_eventfd;
        s->timer_op.done = on_timer;
        s->again_op.done = on_again;
        s->patience_op.done = on_patience;
}
