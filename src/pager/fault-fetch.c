/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Third on the way of a fault: bytes that are in the store are read into buffers of the worker's, then installed
 * (fault-arrive.c). Between the two the client may have discarded, unmapped or moved the page; its events say so to the
 * fetch, which therefore looks at its own marks, and not at the address it began with, when the bytes arrive.
 *
 * The page that is asked for is read alone, and what comes along with it (fault-ahead.c) in reads of their own at the
 * same time, one for all that is adjacent both in the client and in the store: nobody waits for more than he has asked
 * for.
 *
 * Each part of the store has a portion of the fetches that is its own (portions.h). Where a part hangs, faults on what
 * is there wait for a fetch among the others to be tried again, and faults on the rest have theirs.
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

/* How many fetches there are for pages of a part of the store. */
static uint32_t fetches_left(const struct pager *p, uint32_t part)
{
        uint32_t left = portions_left(&p->parts, part);

        return left < p->fetches.n_free ? left : p->fetches.n_free;
}

void fault_fetch_free(struct pager *p, struct fetch *fetch)
{
        uint32_t waited = p->starved;

        fetch->space = NULL;
        runs_give(&p->fetches, (uint32_t)(fetch - p->fetch));
        portions_give(&p->parts, fetch->part, 1);
        for (uint32_t i = 0; waited >> i; i++)
                if (waited >> i & 1 && fetches_left(p, i))
                        p->starved &= ~(1u << i);
        if (p->starved == waited)
                return;
        for (struct space *s = p->spaces; s; s = s->next)
                if (s->retry.head)
                        s->port->ops->again(s->port);
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

/* Begins to read n adjacent pages of that part of the store from addr on, with fetches from `number` on. */
static void start(struct space *s, uint64_t addr, uint32_t part, uint32_t number, uint32_t n)
{
        portions_take(&s->pager->parts, part, n);
        for (uint32_t i = 0; i < n; i++) {
                struct fetch *fetch = &s->pager->fetch[number + i];
                page_entry e = ptable_get(&s->table, addr + i * PAGE_SIZE_);

                *fetch = (struct fetch){ .space = s, .addr = addr + i * PAGE_SIZE_, .loc = page_loc(e), .part = part };
                fault_list_init(&fetch->faults);
                ptable_set(&s->table, fetch->addr, page_make(PAGE_FETCHING, number + i, page_loc(e)) | (e & PAGE_BARE));
        }
        fault_fetch_submit(s, number, n);
}

/*
 * How many of the pages at addr[0 .. n - 1], one page apart if at all, can be read at once, in which direction, and
 * from which part of the store.
 */
static uint32_t cluster(const struct space *s, const uint64_t *addr, uint32_t n, int *direction, unsigned *part)
{
        uint32_t len = 1, same;
        page_entry e;

        *direction = n > 1 && addr[1] < addr[0] ? -1 : 1;
        while (len < n && addr[len] - addr[len - 1] == (uint64_t)*direction * PAGE_SIZE_ &&
               page_loc(ptable_get(&s->table, addr[len])) - page_loc(ptable_get(&s->table, addr[len - 1])) ==
                       (uint64_t)*direction)
                len++;
        e = ptable_get(&s->table, *direction > 0 ? addr[0] : addr[len - 1]);
        same = store_part(s->pager->store, page_loc(e), len, part);
        if (same == len || *direction > 0)
                return same;
        return store_part(s->pager->store, page_loc(ptable_get(&s->table, addr[0])), 1, part);
}

/* How many fetches of a part may be used for what nobody has asked for. */
static uint32_t to_spare(const struct pager *p, uint32_t part)
{
        uint32_t left = fetches_left(p, part), kept = portions_most(&p->parts) / FAULT_ASKED_SHARE;

        return p->parts.n == 1 ? left : left > kept ? left - kept : 0;
}

/*
 * Reads the pages at addr[0 .. n - 1], for which there is room, in as few reads as can be; but for those whose part of
 * the store has hardly any fetches left.
 */
static void fetch_along(struct space *s, const uint64_t *addr, uint32_t n)
{
        while (n) {
                int direction;
                unsigned part;
                uint32_t number, len = cluster(s, addr, n, &direction, &part), most = to_spare(s->pager, part);

                if (most) {
                        len = runs_take(&s->pager->fetches, len < most ? len : most, &number);
                        assert(len);
                        start(s, direction > 0 ? addr[0] : addr[len - 1], part, number, len);
                } else {
                        budget_unreserve(&s->budget, len * PAGE_SIZE_);
                }
                addr += len;
                n -= len;
        }
}

void fault_fetch(struct space *s, struct fault *f)
{
        struct pager *p = s->pager;
        uint64_t along[READAHEAD_MOST];
        uint32_t number, n;
        unsigned part;

        store_part(p->store, page_loc(ptable_get(&s->table, f->addr)), 1, &part);
        if (fetches_left(p, part) == 0) {
                p->starved |= 1u << part;
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
        start(s, f->addr, part, number, 1);
        p->fetch[number].asked = true;
        fault_list_add(&p->fetch[number].faults, f);
        n = fault_ahead(s, f, along);
        fetch_along(s, along, n);
}
