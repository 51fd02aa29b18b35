/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages have moved, and their registration with them. Whatever is under way for one (an order, a slot, a
 * fetch) follows it; orders that the agent has not carried out are void, since they name the old address.
 */
#include "pager/event.h"

#include "pager/evict.h"
#include "pager/fault.h"
#include "util/bug.h"

static void follow(struct space *s, page_entry e, uint64_t to)
{
        switch (page_state(e)) {
        case PAGE_EVICTING:
                evict_item_at(s, page_index(e))->addr = to;
                fault_list_move(&s->retry, &evict_item_at(s, page_index(e))->faults);
                evict_cancel(s);
                break;
        case PAGE_STANDBY:
                if (!bug(SLOT_NOT_MOVED))
                        s->ring_slots.v[page_index(e)].owner = to;
                break;
        case PAGE_FETCHING:
                if (!bug(FETCH_NOT_MOVED))
                        s->pager->fetch[page_index(e)].addr = to;
                fault_list_move(&s->retry, &s->pager->fetch[page_index(e)].faults);
                break;
        default:
                break;
        }
}

void event_remap(struct space *s, uint64_t from, uint64_t to, uint64_t len)
{
        uint64_t end = from + len;

        /* The target was free; what is noted there can only be left over. */
        for (uint64_t a = ptable_next(&s->table, to, to + len); a < to + len;
             a = ptable_next(&s->table, a + PAGE_SIZE_, to + len))
                event_drop_page(s, a, PAGE_NATIVE);
        for (uint64_t a = ptable_next(&s->table, from, end); a < end; a = ptable_next(&s->table, a + PAGE_SIZE_, end)) {
                page_entry e = ptable_get(&s->table, a);
                uint64_t target = to + (a - from);

                if (ptable_set(&s->table, target, e) < 0) {
                        s->port->ops->kill(s->port, "no memory for its page table");
                        return;
                }
                follow(s, e, target);
                ptable_set(&s->table, a, page_make(PAGE_NATIVE, 0, 0));
        }
        evict_clean_forget(s, from, end);
        evict_clean_forget(s, to, to + len);
        if (region_remove(&s->regions, from, end) < 0 || region_add(&s->regions, to, to + len) < 0 ||
            region_remove(&s->certain, from, end) < 0 || region_add(&s->certain, to, to + len) < 0)
                s->port->ops->kill(s->port, "no memory for its list of regions");
        s->mapped = 0; /* look at the mappings again */
}
