/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * REMOVE and UNMAP are carried out as they are read where nothing is held of their pages. All others, and what is read
 * after one, are written down, until the kernel says that nothing is changing any more (event-order.c). Even the first
 * can be about a mapping that came where an mremap() took pages away and has not told of it: munmap() tells of the
 * whole of its range, whether all of it is registered or not. Until then what is noted of those ranges is older than
 * the client: faults and fetches there wait, nothing is evicted and nothing registered. Little of it could be done in
 * any case: the kernel refuses COPY and MOVE while something is changing.
 */
#include "pager/event.h"

#include <errno.h>
#include <stdlib.h>

#include "pager/event-journal.h"
#include "pager/evict.h"
#include "util/bug.h"

/* As many events while something is always changing: no program does that but by design. */
#define JOURNAL_MAX 4096u

/* As many without a REMAP among them; then they are carried out as they were read. */
#define PLAIN_MAX 256u

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

void journal_carry_out(struct space *s, const struct order_event *e)
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

void journal_clear(struct space *s)
{
        s->journal.n = s->journal.remaps = 0;
        region_clear(&s->journal.ranges);
        event_unmark(s);
}

/* There is no moment to put them in order. */
static void carry_out_as_read(struct space *s)
{
        for (size_t i = 0; i < s->journal.n; i++)
                journal_carry_out(s, &s->journal.v[i]);
        journal_clear(s);
}

/* Whether pages there are more than what the kernel has. */
static bool holds_any(const struct space *s, uint64_t start, uint64_t end)
{
        while ((start = ptable_next(&s->table, start, end)) < end &&
               page_state(ptable_get(&s->table, start)) == PAGE_CLEARED)
                start += PAGE_SIZE_;
        return start < end;
}

void event_note(struct space *s, const struct uffd_msg *msg)
{
        struct event_journal *j = &s->journal;
        struct order_event e = { .kind = ORDER_REMOVE, .start = msg->arg.remove.start, .end = msg->arg.remove.end };

        if (msg->event == UFFD_EVENT_FORK) {
                children_note_fork(s, (int)msg->arg.fork.ufd);
                return;
        }
        if (msg->event == UFFD_EVENT_UNMAP)
                e.kind = ORDER_UNMAP;
        if (msg->event == UFFD_EVENT_REMAP)
                e = (struct order_event){ .kind = ORDER_REMAP,
                                          .start = msg->arg.remap.from,
                                          .end = msg->arg.remap.from + msg->arg.remap.len,
                                          .to = msg->arg.remap.to };
        children_doubt(s, &e);
        if (j->remaps == 0 && j->n >= PLAIN_MAX && j->n_forks == 0 && !event_is_unsettled(s) &&
            !atomic_load(&s->ring->forks))
                carry_out_as_read(s);
        if ((!event_are_waiting(s) && !event_is_unsettled(s) && e.kind != ORDER_REMAP &&
             !holds_any(s, e.start, e.end)) ||
            (bug(UNMAP_AS_READ) && e.kind == ORDER_UNMAP)) {
                journal_carry_out(s, &e);
                event_unmark(s);
                return;
        }
        if (grow(j) < 0 || region_add(&j->ranges, e.start, e.end) < 0 ||
            (e.kind == ORDER_REMAP && region_add(&j->ranges, e.to, e.to + (e.end - e.start)) < 0)) {
                s->port->ops->kill(s->port, "its events cannot be kept track of");
                return;
        }
        j->v[j->n++] = e;
        j->remaps += e.kind == ORDER_REMAP;
        /*
         * Another mapping may be there now: orders for the one that was must not be carried out on it. And what was
         * written after a REMOVE must not be taken out before that is carried out, which would drop it.
         */
        if (!bug(REMOVE_KEEPS_ORDERS) || e.kind != ORDER_REMOVE)
                evict_cancel_in(s, e.start, e.end);
        /* An heir can have orders for what is not registered: nothing is told when something takes its place. */
        if (e.kind == ORDER_REMAP)
                evict_cancel_in(s, e.to, e.to + (e.end - e.start));
}
