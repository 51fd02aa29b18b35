/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a space: set up, given a limit, ended while I/O may still be under way. */
#include "pager/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "pager/fault.h"

#include <utlist.h>

void pager_init(struct pager *p, struct store *store, struct store_port *port, const struct idle_ops *idle,
                char *buffers, int buffers_index, const char *zeros)
{
        unsigned parts = store_parts(store);

        *p = (struct pager){
                .store = store,
                .store_port = port,
                .idle = idle,
                .buffers = buffers,
                .buffers_index = buffers_index,
                .zeros = zeros,
        };
        runs_init(&p->fetches, PAGER_FETCHES);
        /* What the store has in memory is like one part more. */
        portions_init(&p->parts, PAGER_FETCHES, parts == 1 ? 1 : parts + 1);
}

int space_init(struct space *s, struct pager *pager, struct port *port, struct vmpager_ring *ring, uint32_t n_slots,
               void *table_memory, uint64_t table_bytes)
{
        *s = (struct space){
                .pager = pager,
                .port = port,
                .ring = ring,
                .slots = (char *)ring + VMPAGER_RING_SLOTS_AT,
                .slots_buffer = -1,
                .swap = UINT64_MAX,
        };
        fault_list_init(&s->stalled);
        fault_list_init(&s->retry);
        portions_init(&s->room, n_slots, store_parts(pager->store));
        s->batch = calloc(VMPAGER_RING_BATCHES, sizeof(*s->batch));
        if (!s->batch || ring_slots_init(&s->ring_slots, n_slots) < 0 ||
            ptable_init(&s->table, table_memory, table_bytes) < 0 ||
            store_owner_new(pager->store, &pager->owner, &s->owner) < 0) {
                space_clear(s);
                return -ENOMEM;
        }
        DL_APPEND(pager->spaces, s);
        return 0;
}

void space_set_limit(struct space *s, uint64_t limit)
{
        uint64_t ram = limit / 100 * s->pager->ram_percent;

        s->budget.limit = limit;
        store_owner_limit(s->pager->store, s->owner, ram < s->pager->ram_bytes ? ram : s->pager->ram_bytes);
        evict_clean_forget_all(s); /* the table is as large as the limit wants it */
        s->quiet_ns = 0;
        s->port->ops->timer(s->port, s->port->ops->now(s->port));
}

void space_set_swap(struct space *s, uint64_t bytes)
{
        s->swap = bytes ? bytes / PAGE_SIZE_ : UINT64_MAX;
}

void space_end(struct space *s)
{
        struct fetch *fetch, *next;

        if (s->dying)
                return;
        event_fork_end(s);
        for (uint64_t a = ptable_next(&s->table, 0, PTABLE_END); a < PTABLE_END;
             a = ptable_next(&s->table, a + PAGE_SIZE_, PTABLE_END))
                event_drop_page(s, a, PAGE_NATIVE);
        evict_clean_forget_all(s);
        s->dying = true;
        for (fetch = s->arrived; fetch; fetch = next) {
                next = fetch->next;
                store_unref(s->pager->store, fetch->loc, 1);
                fault_fetch_free(s->pager, fetch);
        }
        s->arrived = NULL;
        DL_DELETE(s->pager->spaces, s);
}

bool space_busy(const struct space *s)
{
        if (s->writes || store_owner_busy(s->pager->store, s->owner))
                return true;
        for (unsigned i = 0; i < PAGER_FETCHES; i++)
                if (s->pager->fetch[i].space == s)
                        return true;
        return false;
}

void space_clear(struct space *s)
{
        if (s->batch)
                for (unsigned b = 0; b < VMPAGER_RING_BATCHES; b++)
                        for (unsigned i = 0; i < s->batch[b].n_pages; i++)
                                if (s->batch[b].item[i].faults.head)
                                        fault_list_move(&s->retry, &s->batch[b].item[i].faults);
        fault_free_all(s);
        store_owner_free(s->pager->store, s->owner);
        s->owner = NULL;
        store_port_tidy(s->pager->store_port);
        free(s->batch);
        s->batch = NULL;
        ring_slots_clear(&s->ring_slots);
        region_clear(&s->regions);
        region_clear(&s->certain);
        region_clear(&s->unmark);
        region_clear(&s->kept[0]);
        region_clear(&s->kept[1]);
        free(s->journal.v);
        free(s->journal.fork);
        free(s->journal.child);
        region_clear(&s->journal.ranges);
        s->journal = (struct event_journal){ 0 };
        while (s->free_io) {
                struct evict_io *io = s->free_io;

                s->free_io = io->next;
                free(io);
        }
}
