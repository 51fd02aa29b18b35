/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Third on the way of a fault: bytes that are in the store are read into buffers of the worker's, then installed
 * (fault-arrive.c). Between the two the client may have discarded, unmapped or moved the page; its events say so to the
 * fetch, which therefore looks at its own marks, and not at the address it began with, when the bytes arrive.
 *
 * The page that is asked for is read alone, and what comes along with it (fault-ahead.c) in reads of their own at the
 * same time, one for all that is adjacent both in the client and in the store: nobody waits for more than he has asked
 * for.
 */
#include "pager/fault.h"

#include <assert.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"

void fault_fetch_drop(struct space *s, uint32_t number)
{
        struct fetch *fetch = &s->pager->fetch[number];

        fetch->dropped = true;
        if (bug(LOCATION_FREED_TWICE))
                store_unref(s->pager->store, fetch->loc, 1);
        fault_list_move(&s->retry, &fetch->faults);
}

void fault_fetch_submit(struct space *s, uint32_t number, uint32_t n)
{
        struct pager *p = s->pager;
        struct fetch *fetch = &p->fetch[number];

        fetch->io = (struct store_io){
                .done = fault_arrived,
                .pages = n,
                .loc = fetch->loc,
                .buffer = p->buffers_index,
                .memory = p->buffers + (uint64_t)number * PAGE_SIZE_,
        };
        store_submit(p->store_port, &fetch->io);
        for (uint32_t i = 0; i < n && bug(LOCATION_FREED_EARLY); i++)
                store_unref(p->store, fetch[i].loc, 1);
}

/* Begins to read n adjacent pages from addr on, with fetches from `number` on. */
static void start(struct space *s, uint64_t addr, uint32_t number, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                struct fetch *fetch = &s->pager->fetch[number + i];
                page_entry e = ptable_get(&s->table, addr + i * PAGE_SIZE_);

                *fetch = (struct fetch){ .space = s, .addr = addr + i * PAGE_SIZE_, .loc = page_loc(e) };
                fault_list_init(&fetch->faults);
                ptable_set(&s->table, fetch->addr, page_make(PAGE_FETCHING, number + i, page_loc(e)) | (e & PAGE_BARE));
        }
        fault_fetch_submit(s, number, n);
}

/* How many of the pages at addr[0 .. n - 1], one page apart if at all, can be read at once, and in which direction. */
static uint32_t cluster(const struct space *s, const uint64_t *addr, uint32_t n, int *direction)
{
        uint32_t len = 1;

        *direction = n > 1 && addr[1] < addr[0] ? -1 : 1;
        while (len < n && addr[len] - addr[len - 1] == (uint64_t)*direction * PAGE_SIZE_ &&
               page_loc(ptable_get(&s->table, addr[len])) - page_loc(ptable_get(&s->table, addr[len - 1])) ==
                       (uint64_t)*direction)
                len++;
        return len;
}

/* Reads the pages at addr[0 .. n - 1], for which there is room, in as few reads as can be. */
static void fetch_along(struct space *s, const uint64_t *addr, uint32_t n)
{
        while (n) {
                int direction;
                uint32_t number, len = runs_take(&s->pager->fetches, cluster(s, addr, n, &direction), &number);

                assert(len);
                start(s, direction > 0 ? addr[0] : addr[len - 1], number, len);
                addr += len;
                n -= len;
        }
}

void fault_fetch(struct space *s, struct fault *f)
{
        struct pager *p = s->pager;
        uint64_t along[READAHEAD_MOST];
        uint32_t number, n;

        if (p->fetches.n_free == 0) {
                p->starved = true;
                fault_wait(s, &s->retry, f);
                return;
        }
        if (!budget_reserve(&s->budget, PAGE_SIZE_)) {
                /* A full store gets room by this very fetch; waiting for an eviction would be for ever. */
                if (!evict_is_hopeless(s) && !s->store_is_full && !fault_is_of_agent(s, f)) {
                        fault_stall(s, f);
                        return;
                }
                fault_beyond(s, f);
                s->budget.reserved += PAGE_SIZE_;
        }
        runs_take(&p->fetches, 1, &number);
        start(s, f->addr, number, 1);
        p->fetch[number].asked = true;
        fault_list_add(&p->fetch[number].faults, f);
        n = fault_ahead(s, f, along);
        fetch_along(s, along, n);
}
