/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Last on the way of an eviction: the write has ended. Pages that are still on standby are STORED now, and their
 * slots free; those that were wanted back meanwhile leave their location free as well. After a failed write the
 * pages stay where they are, in the ring, and are written elsewhere later. A store that takes no write for some time is
 * as good as full.
 */
#include "pager/evict.h"

#include <errno.h>
#include <stddef.h>

#include "pager/fault.h"
#include "util/bug.h"
#include "util/log.h"

/* Other places, and other media, have been tried by then. */
#define REFUSED_NS 200000000ull

static void note_failure(struct space *s, uint32_t pages, int error)
{
        uint64_t now = s->port->ops->now(s->port);

        if (!s->store_is_full)
                log_error("client %d: %u pages could not be written to the store (error %d); they stay in memory",
                          s->pid, pages, error);
        if (s->refused_since == 0)
                s->refused_since = now;
        else if (now - s->refused_since >= REFUSED_NS)
                evict_refused(s, error);
}

static void release_slot(struct space *s, uint32_t slot, store_loc loc, int result)
{
        struct ring_slot *v = &s->ring_slots.v[slot];

        v->writing = 0;
        if (v->owner == RING_SLOT_NO_OWNER || (result < 0 && !bug(WRITE_ERROR_IGNORED))) {
                store_unref(s->pager->store, loc, 1);
                if (v->owner == RING_SLOT_NO_OWNER)
                        ring_slots_free(&s->ring_slots, slot);
                else
                        s->unwritten++;
                return;
        }
        ptable_set(&s->table, v->owner, page_make(PAGE_STORED, 0, loc) | (ptable_get(&s->table, v->owner) & PAGE_BARE));
        s->stats.written_pages++;
        ring_slots_free(&s->ring_slots, slot);
}

void evict_release(struct store_io *io, int result)
{
        struct evict_io *e = (struct evict_io *)((char *)io - offsetof(struct evict_io, io));
        struct space *s = e->space;

        if (result == -ENOSPC && !evict_clean_yield(s->pager)) /* no piece is large enough */
                evict_full(s);
        else if (result < 0 && result != -ENOSPC)
                note_failure(s, io->pages, -result);
        else if (result == 0)
                s->refused_since = 0;
        for (uint32_t i = 0; i < io->pages; i++)
                release_slot(s, e->first_slot + i, io->loc + i, result);
        if (result == 0 && s->unwritten == 0)
                s->store_is_full = false;
        s->writes--;
        s->writing -= io->pages;
        s->budget.packed = store_owner_ram(s->pager->store, s->owner);
        e->next = s->free_io;
        s->free_io = e;
        if (s->dying)
                return;
        evict_kick(s);
        fault_unstall(s);
}
