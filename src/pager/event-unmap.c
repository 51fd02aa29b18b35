/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The range is gone, and another mapping may be there already, which is not registered. Orders for it were
 * cancelled before this event was let go (see fault-receive.c), so nothing of the new one was touched.
 */
#include "pager/event.h"

#include "pager/evict.h"

void event_unmap(struct space *s, uint64_t start, uint64_t end)
{
        for (uint64_t a = ptable_next(&s->table, start, end); a < end; a = ptable_next(&s->table, a + PAGE_SIZE_, end))
                event_drop_page(s, a, PAGE_NATIVE);
        evict_clean_forget(s, start, end);
        if (region_remove(&s->regions, start, end) < 0 || region_remove(&s->certain, start, end) < 0)
                s->port->ops->kill(s->port, "no memory for its list of regions");
        s->mapped = 0; /* look at the mappings again */
}
