/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the client did to its address space, as its userfaultfd tells it (userfaultfd(2), "Userfaultfd non-
 * cooperative mode").
 */
#include "pager/event.h"

#include "pager/evict.h"
#include "pager/fault.h"
#include "util/bug.h"
#include "util/log.h"

void event_act(struct space *s, const struct uffd_msg *msg)
{
        switch (msg->event) {
        case UFFD_EVENT_REMOVE:
                s->stats.events_remove++;
                event_note(s, msg);
                return;
        case UFFD_EVENT_UNMAP:
                s->stats.events_unmap++;
                event_note(s, msg);
                return;
        case UFFD_EVENT_REMAP:
                s->stats.events_remap++;
                event_note(s, msg);
                return;
        case UFFD_EVENT_FORK:
                s->stats.events_fork++;
                event_note(s, msg);
                return;
        default:
                log_warning("client %d: unknown userfaultfd event 0x%x", s->pid, msg->event);
        }
}

void event_drop_page(struct space *s, uint64_t addr, enum page_state to)
{
        page_entry e = ptable_get(&s->table, addr);

        switch (page_state(e)) {
        case PAGE_EVICTING:
                evict_item_drop(s, page_index(e));
                evict_cancel(s);
                break;
        case PAGE_STANDBY:
                evict_slot_recall(s, page_index(e));
                break;
        case PAGE_STORED:
        case PAGE_CLEAN:
                store_unref(s->pager->store, page_loc(e), 1);
                if (bug(CHILD_FREES_ALL) && s->heir)
                        store_unref(s->pager->store, page_loc(e), 1);
                break;
        case PAGE_FETCHING:
                if (!bug(FETCH_NOT_DROPPED))
                        fault_fetch_drop(s, page_index(e));
                break;
        default:
                break;
        }
        ptable_set(&s->table, addr, page_make(to, 0, 0));
}
