/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets the marks that the agent could not set, since something was just changing. */
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
