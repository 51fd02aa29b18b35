/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * REMOVE and UNMAP are carried out as they are read, until there is a REMAP. From then on events are written down,
 * until the kernel says that nothing is changing any more: then every call of which an event was read has returned
 * from its waiting, none has more to tell, and the order of all of them can be found out (model/order.h). Until then
 * what is noted of those ranges is older than the client: faults and fetches there wait, nothing is evicted and
 * nothing registered. Little of it could be done in any case: the kernel refuses COPY and MOVE while something is
 * changing.
 *
 * Where events of several threads are about the same place the client's page tables decide: pages that are out
 * are marked there, and the marks went with the pages. If they do not decide, the client is ended.
 */
#include "pager/event.h"

#include <errno.h>
#include <stdlib.h>

#include "pager/evict.h"
#include "pager/registration.h"
#include "util/log.h"

/* As many events while something is always changing: no program does that but by design. */
#define JOURNAL_MAX 4096u

/* From how many events on a moment at which nothing is changing is sought and not waited for. */
#define LOOK_LONGER 16u

static int grow(struct event_journal *j)
{
        size_t room = j->room ? j->room * 2 : 16;
        struct order_event *v;

        if (j->n < j->room)
                return 0;
        if (room > JOURNAL_MAX)
                return -E2BIG;
        v = realloc(j->v, room * sizeof(*v));
        if (!v)
                return -ENOMEM;
        j->v = v;
        j->room = room;
        return 0;
}

static void carry_out(struct space *s, const struct order_event *e)
{
        switch (e->kind) {
        case ORDER_REMOVE:
                event_remove(s, e->start, e->end);
                return;
        case ORDER_UNMAP:
                event_unmap(s, e->start, e->end);
                return;
        case ORDER_REMAP:
                event_remap(s, e->start, e->to, e->end - e->start);
                return;
        }
}

void event_note(struct space *s, const struct uffd_msg *msg)
{
        struct event_journal *j = &s->journal;
        struct order_event e = { .kind = ORDER_REMOVE, .start = msg->arg.remove.start, .end = msg->arg.remove.end };

        if (msg->event == UFFD_EVENT_UNMAP)
                e.kind = ORDER_UNMAP;
        if (msg->event == UFFD_EVENT_REMAP)
                e = (struct order_event){ .kind = ORDER_REMAP,
                                          .start = msg->arg.remap.from,
                                          .end = msg->arg.remap.from + msg->arg.remap.len,
                                          .to = msg->arg.remap.to };
        if (j->n == 0 && e.kind != ORDER_REMAP) {
                carry_out(s, &e);
                return;
        }
        if (grow(j) < 0 || region_add(&j->ranges, e.start, e.end) < 0 ||
            (e.kind == ORDER_REMAP && region_add(&j->ranges, e.to, e.to + (e.end - e.start)) < 0)) {
                s->port->ops->kill(s->port, "its events cannot be kept track of");
                return;
        }
        j->v[j->n++] = e;
        /* Another mapping may be there now: orders for the one that was must not be carried out on it. */
        if (e.kind != ORDER_REMOVE)
                evict_cancel_in(s, e.start, e.end);
}

/* Finds the order. Returns how many events are to be carried out, or negative: -EAGAIN not now, others: never. */
static long find_order(struct space *s, struct event_judge *judge, uint32_t *order)
{
        struct order_question q = {
                .events = s->journal.v, .n = s->journal.n, .certain = &s->certain, .judge = event_judge, .arg = judge
        };
        size_t n = 0;
        int r = order_find(&q, order, &n);

        if (judge->error)
                r = judge->error;
        return r > 0 ? (long)n : r == 0 ? -EINVAL : r;
}

/* Carries out what was written down. False: not now. */
static bool carry_out_all(struct space *s)
{
        struct event_journal *j = &s->journal;
        struct event_judge judge;
        uint32_t *order;
        long n;

        /* The agent has pages of which it is not known whether they are out. It answers soon: no MOVE succeeds now. */
        if (s->in_flight)
                return false;
        order = malloc(j->n * sizeof(*order));
        event_judge_init(&judge, s);
        n = 0;
        /* A REMAP and its UNMAP alone need no judge. For others it looks now, before the moment has passed. */
        if (j->n > 2)
                n = event_judge_look(&judge);
        if (n == 0)
                n = order ? find_order(s, &judge, order) : -ENOMEM;
        event_judge_clear(&judge);
        for (long i = 0; i < n; i++)
                carry_out(s, &j->v[order[i]]);
        free(order);
        if (n == -EAGAIN || n == -ESRCH) /* gone: its pidfd says so soon */
                return false;
        if (n == -EINVAL)
                s->port->ops->kill(s->port,
                                   "threads of it moved and unmapped memory at the same addresses at once, and "
                                   "it cannot be told which pages are where");
        else if (n < 0)
                s->port->ops->kill(s->port, "its events could not be put in order");
        j->n = 0;
        region_clear(&j->ranges);
        return true;
}

bool event_settle(struct space *s)
{
        if (s->journal.n == 0 && !s->doubtful && !s->table.bare)
                return true;
        /* With more than that it is worth a longer look, see event-judge.c. */
        if (s->journal.n < LOOK_LONGER && s->port->ops->changing(s->port))
                return false;
        if (s->journal.n && !carry_out_all(s))
                return false;
        if (s->doubtful && registration_confirm(s) == 1)
                s->doubtful = false;
        event_mark_bare(s);
        return true;
}
