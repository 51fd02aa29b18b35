/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Third on the way of a fault: bytes that are in the store are read into a buffer of the worker's, then installed.
 * Between the two the client may have discarded, unmapped or moved the page; its events say so to the fetch, which
 * therefore looks at its own marks, and not at the address it began with, when the bytes arrive.
 */
#include "pager/fault.h"

#include <errno.h>
#include <stddef.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

static uint32_t fetch_number(const struct pager *p, const struct fetch *fetch)
{
        return (uint32_t)(fetch - p->fetch);
}

static void fetch_free(struct pager *p, struct fetch *fetch)
{
        fetch->space = NULL;
        fetch->next = p->free_fetch;
        p->free_fetch = fetch;
        if (!p->starved)
                return;
        p->starved = false;
        for (struct space *s = p->spaces; s; s = s->next)
                if (s->retry.head)
                        s->port->ops->again(s->port);
}

/* The fetch is over, its page was dealt with. */
static void fetch_end(struct space *s, struct fetch *fetch)
{
        if (!bug(LOCATION_FREED_EARLY))
                store_unref(s->pager->store, fetch->io.loc, 1);
        budget_unreserve(&s->budget, PAGE_SIZE_);
        fetch_free(s->pager, fetch);
}

static void poison(struct space *s, struct fetch *fetch)
{
        unsigned long long addr = fetch->addr, loc = fetch->io.loc;

        if (fetch->result == -EBADMSG)
                log_error("client %d: page 0x%llx is lost: what the store has at location %llu is not what was written "
                          "there; the client gets SIGBUS when it touches the page",
                          s->pid, addr, loc);
        else
                log_error(
                        "client %d: page 0x%llx is lost: the store could not read location %llu: error %d; the client "
                        "gets SIGBUS when it touches the page",
                        s->pid, addr, loc, -fetch->result);
        ptable_set(&s->table, fetch->addr, page_make(PAGE_POISONED, 0, 0));
        s->stats.poisoned_pages++;
        s->port->ops->poison(s->port, fetch->addr, PAGE_SIZE_);
        s->port->ops->wake(s->port, fetch->addr, PAGE_SIZE_);
        fault_done_list(s, &fetch->faults, FAULT_DISK);
        fetch_end(s, fetch);
}

/* Not now: again after the next events. */
static void fetch_wait(struct space *s, struct fetch *fetch)
{
        fetch->arrived = true;
        fetch->next = s->arrived;
        s->arrived = fetch;
        s->port->ops->timer(s->port, s->port->ops->now(s->port) + FAULT_RETRY_NS);
}

/* The client has gone from under the installation. */
static void fetch_put_back(struct space *s, struct fetch *fetch)
{
        page_entry bare = ptable_get(&s->table, fetch->addr) & PAGE_BARE;

        ptable_set(&s->table, fetch->addr, page_make(PAGE_STORED, 0, fetch->io.loc) | bare);
        fault_done_list(s, &fetch->faults, FAULT_DISK);
        budget_unreserve(&s->budget, PAGE_SIZE_);
        fetch_free(s->pager, fetch);
}

/* Puts the bytes that arrived into the client, or the fetch into the list of those to be tried again. */
static void fetch_finish(struct space *s, struct fetch *fetch)
{
        int r;

        if (s->dying || fetch->dropped) {
                fetch_end(s, fetch);
                return;
        }
        if (event_is_pending(s, fetch->addr)) {
                fetch_wait(s, fetch);
                return;
        }
        if (fetch->result < 0 && !bug(READ_ERROR_IGNORED)) {
                poison(s, fetch);
                return;
        }
        r = fault_install(s, fetch->addr, fetch->io.memory);
        if (r == 0) {
                fetch_wait(s, fetch);
        } else if (r < 0) {
                fetch_put_back(s, fetch);
        } else {
                ptable_set(&s->table, fetch->addr, page_make(PAGE_NATIVE, 0, 0));
                fault_done_list(s, &fetch->faults, FAULT_DISK);
                fetch_end(s, fetch);
        }
}

static void fetch_read(struct store_io *io, int result)
{
        struct fetch *fetch = (struct fetch *)((char *)io - offsetof(struct fetch, io));
        struct space *s = fetch->space;

        fetch->result = result;
        fetch_finish(s, fetch);
        evict_kick(s);
}

void fault_fetch_retry(struct space *s)
{
        struct fetch *fetch = s->arrived, *next;

        s->arrived = NULL;
        for (; fetch; fetch = next) {
                next = fetch->next;
                fetch->arrived = false;
                fetch_finish(s, fetch);
        }
}

void fault_fetch_drop(struct space *s, uint32_t number)
{
        struct fetch *fetch = &s->pager->fetch[number];

        fetch->dropped = true;
        if (bug(LOCATION_FREED_TWICE))
                store_unref(s->pager->store, fetch->io.loc, 1);
        fault_list_move(&s->retry, &fetch->faults);
}

void fault_fetch(struct space *s, struct fault *f)
{
        struct pager *p = s->pager;
        struct fetch *fetch = p->free_fetch;
        page_entry e = ptable_get(&s->table, f->addr);

        if (!fetch) {
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
        p->free_fetch = fetch->next;
        *fetch = (struct fetch){
                .io = { .done = fetch_read,
                        .pages = 1,
                        .loc = page_loc(e),
                        .buffer = p->buffers_index,
                        .memory = p->buffers + (uint64_t)fetch_number(p, fetch) * PAGE_SIZE_ },
                .space = s,
                .addr = f->addr,
        };
        fault_list_init(&fetch->faults);
        fault_list_add(&fetch->faults, f);
        ptable_set(&s->table, f->addr, page_make(PAGE_FETCHING, fetch_number(p, fetch), page_loc(e)) | (e & PAGE_BARE));
        store_submit(p->store_port, &fetch->io);
        if (bug(LOCATION_FREED_EARLY))
                store_unref(p->store, fetch->io.loc, 1);
}
