/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel queues an event after the operation that it tells of, and after the lock on the mappings was dropped: two
 * threads' events can come in the other order than their operations, and one mremap(A -> B) sends REMAP(A -> B) first
 * and UNMAP(A) only when that was read. By then another thread can have moved C to A, and its REMAP(C -> A) was read.
 *
 * What helps is that a REMAP's target was free when it was moved there. So when REMAP(C -> A) is read while A has
 * a registered mapping, or is owed an UNMAP, an event that frees A is under way, and REMAP(C -> A) waits for it.
 * (A mapping that was found in /proc and not in an event may be there by the very REMAP that is still to be read:
 * it counts only from a moment on at which no event was unread.) What comes meanwhile and is about C (the UNMAP
 * that follows the REMAP) or about the new A (a REMOVE) waits behind it. While an event is unread the kernel
 * refuses every COPY and MOVE, so nothing is installed or detached by the state in between.
 */
#include "pager/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
        return a < b_end && b < a_end;
}

/* Whether the event has to wait behind the first n of the waiting ones, or for one that was not read yet. */
static bool has_to_wait(const struct space *s, const struct uffd_msg *msg, size_t n)
{
        uint64_t start, end;

        if (msg->event == UFFD_EVENT_REMAP) {
                start = msg->arg.remap.to;
                end = start + msg->arg.remap.len;
                return region_touches(&s->certain, start, end) || region_touches(&s->owed, start, end);
        }
        start = msg->arg.remove.start;
        end = msg->arg.remove.end;
        for (size_t i = 0; i < n; i++) {
                const struct uffd_msg *before = &s->waiting.v[i];
                uint64_t from = before->arg.remap.from, to = before->arg.remap.to, len = before->arg.remap.len;

                if (before->event != UFFD_EVENT_REMAP)
                        continue;
                if (msg->event == UFFD_EVENT_UNMAP && overlap(start, end, from, from + len))
                        return true;
                if (msg->event == UFFD_EVENT_REMOVE && overlap(start, end, to, to + len))
                        return true;
        }
        return false;
}

static void carry_out(struct space *s, const struct uffd_msg *msg)
{
        uint64_t start = msg->arg.remove.start, end = msg->arg.remove.end;
        int r = 0;

        switch (msg->event) {
        case UFFD_EVENT_REMOVE:
                event_remove(s, start, end);
                return;
        case UFFD_EVENT_UNMAP:
                event_unmap(s, start, end);
                r = region_remove(&s->owed, start, end) | region_remove(&s->certain, start, end);
                break;
        case UFFD_EVENT_REMAP:
                event_remap(s, msg->arg.remap.from, msg->arg.remap.to, msg->arg.remap.len);
                start = msg->arg.remap.from;
                end = start + msg->arg.remap.len;
                r = region_add(&s->owed, start, end) | region_remove(&s->certain, start, end) |
                    region_add(&s->certain, msg->arg.remap.to, msg->arg.remap.to + msg->arg.remap.len);
                if (r == 0)
                        r = region_remove(&s->owed, msg->arg.remap.to, msg->arg.remap.to + msg->arg.remap.len);
                break;
        }
        if (r < 0)
                s->port->ops->kill(s->port, "no memory for its list of regions");
}

static void wait(struct space *s, const struct uffd_msg *msg)
{
        struct event_queue *q = &s->waiting;

        if (q->n == q->room) {
                size_t room = q->room ? q->room * 2 : 16;
                struct uffd_msg *v = realloc(q->v, room * sizeof(*v));

                if (!v) {
                        s->port->ops->kill(s->port, "no memory for its events");
                        return;
                }
                q->v = v;
                q->room = room;
        }
        q->v[q->n++] = *msg;
}

/* Carries out what needs to wait no longer, in order; each may free the way for another. */
static void go_on(struct space *s)
{
        struct event_queue *q = &s->waiting;

        for (size_t i = 0; i < q->n;) {
                struct uffd_msg msg = q->v[i];

                if (has_to_wait(s, &msg, i)) {
                        i++;
                        continue;
                }
                memmove(&q->v[i], &q->v[i + 1], (q->n - i - 1) * sizeof(q->v[0]));
                q->n--;
                carry_out(s, &msg);
                i = 0;
        }
}

void event_in_order(struct space *s, const struct uffd_msg *msg)
{
        if (has_to_wait(s, msg, s->waiting.n)) {
                wait(s, msg);
                return;
        }
        carry_out(s, msg);
        go_on(s);
}

static void make_certain(struct space *s)
{
        for (size_t i = 0; i < s->regions.n; i++)
                if (region_add(&s->certain, s->regions.v[i].start, s->regions.v[i].end) < 0)
                        s->port->ops->kill(s->port, "no memory for its list of regions");
        s->doubtful = false;
}

void event_settle_order(struct space *s)
{
        struct event_queue *q = &s->waiting;

        if ((q->n == 0 && !s->doubtful) || s->port->ops->changing(s->port))
                return;
        /* Nothing is unread, so nothing is to be waited for. */
        for (size_t i = 0; i < q->n; i++)
                carry_out(s, &q->v[i]);
        q->n = 0;
        region_clear(&s->owed);
        make_certain(s);
}
