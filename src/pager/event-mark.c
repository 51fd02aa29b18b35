/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets the marks that the agent could not set, since something was just changing, and takes away those of pages that
 * were discarded: MADV_FREE leaves the marks of absent pages where they are. What came to their places since, by an
 * mremap() that is known of by now, keeps its marks.
 */
#include "pager/event.h"

void event_mark_bare(struct space *s)
{
        uint64_t at = 0;

        if (!s->table.bare)
                return;
        while ((at = ptable_next_bare(&s->table, at)) < PTABLE_END) {
                page_entry e = ptable_get(&s->table, at);

                if (s->port->ops->mark(s->port, at, PAGE_SIZE_) < 0)
                        return; /* changing again, or the mapping is gone: its event says so */
                ptable_set(&s->table, at, e & ~PAGE_BARE);
                at += PAGE_SIZE_;
        }
}

static void unmark(struct space *s, uint64_t start, uint64_t end)
{
        if (start < end && s->port->ops->unmark(s->port, start, end - start) < 0)
                s->stray_marks += (end - start) / PAGE_SIZE_;
}

void event_unmark(struct space *s)
{
        for (size_t i = 0; i < s->unmark.n; i++) {
                uint64_t at = s->unmark.v[i].start, end = s->unmark.v[i].end;

                while (at < end) {
                        uint64_t held = ptable_next(&s->table, at, end);

                        while (held < end && page_state(ptable_get(&s->table, held)) == PAGE_CLEARED)
                                held = ptable_next(&s->table, held + PAGE_SIZE_, end);
                        unmark(s, at, held);
                        at = held + PAGE_SIZE_;
                }
        }
        s->unmark.n = 0;
}
