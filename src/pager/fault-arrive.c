/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fourth on the way of a fault: a read has ended. Its pages go their own ways from here: each may have gone or moved
 * meanwhile, and each has somebody who waits for it or not.
 *
 * What somebody has asked for is installed first, and tried again until it is, or its client is gone. What nobody has
 * asked for is installed if that can be done at once, and is STORED again if not. No fault has looked at it, so it is
 * seen now that it has its mark, and was not discarded without an event (fault-route.c).
 *
 * A read of many that fails says nothing of any of them: what is asked for is read again, alone, and only that error
 * counts.
 */
#include "pager/fault.h"

#include <errno.h>
#include <stddef.h>

#include "idle/idle.h"
#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

/* More holes than that in the marks of a run, and the rest of it is left in the store. */
#define MARK_RUNS 16u

static uint32_t fetch_number(const struct pager *p, const struct fetch *fetch)
{
        return (uint32_t)(fetch - p->fetch);
}

static char *fetch_bytes(const struct pager *p, const struct fetch *fetch)
{
        return p->buffers + (uint64_t)fetch_number(p, fetch) * PAGE_SIZE_;
}

/* The fetch is over, its page is not in the store any more. */
static void fetch_end(struct space *s, struct fetch *fetch)
{
        if (!bug(LOCATION_FREED_EARLY))
                store_unref(s->pager->store, fetch->loc, 1);
        budget_unreserve(&s->budget, PAGE_SIZE_);
        fault_fetch_free(s->pager, fetch);
}

/* The page is in the program now. */
static void fetch_given(struct space *s, struct fetch *fetch)
{
        ptable_set(&s->table, fetch->addr, page_make(PAGE_NATIVE, 0, 0));
        /* What the store has in memory would be there twice. */
        if (fetch->kind == FAULT_RAM)
                store_unref(s->pager->store, fetch->loc, 1);
        else if (!bug(LOCATION_FREED_EARLY))
                evict_clean_note(s, fetch->addr, fetch->loc);
        budget_unreserve(&s->budget, PAGE_SIZE_);
        fault_fetch_free(s->pager, fetch);
}

/* The page stays in the store: the client has gone from under the installation, or nobody has asked for it. */
static void fetch_put_back(struct space *s, struct fetch *fetch)
{
        page_entry bare = ptable_get(&s->table, fetch->addr) & PAGE_BARE;

        ptable_set(&s->table, fetch->addr, page_make(PAGE_STORED, 0, fetch->loc) | bare);
        fault_done_list(s, &fetch->faults, FAULT_DISK);
        budget_unreserve(&s->budget, PAGE_SIZE_);
        fault_fetch_free(s->pager, fetch);
}

static void poison(struct space *s, struct fetch *fetch)
{
        unsigned long long addr = fetch->addr, loc = fetch->loc;

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
        r = fault_install(s, fetch->addr, fetch_bytes(s->pager, fetch));
        if (r == 0) {
                fetch_wait(s, fetch);
        } else if (r < 0) {
                fetch_put_back(s, fetch);
        } else {
                fault_done_list(s, &fetch->faults, fetch->kind);
                fetch_given(s, fetch);
        }
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

/* --- what nobody has asked for --- */

/* Installs n pages that lie one behind the other, or as many as can be. */
static void give(struct space *s, struct fetch *fetch, uint32_t n)
{
        while (n) {
                int r = fault_install_run(s, fetch->addr, fetch_bytes(s->pager, fetch), n);

                if (r <= 0)
                        break;
                for (; r > 0; r--, n--, fetch++)
                        fetch_given(s, fetch);
        }
        for (; n; n--, fetch++)
                fetch_put_back(s, fetch);
}

static bool is_in(const struct procfs_run *run, int n, uint64_t addr)
{
        for (int i = 0; i < n; i++)
                if (addr >= run[i].start && addr < run[i].end)
                        return true;
        return false;
}

/* The same, for those that have their marks. The others stay: a fault is to find out what has become of them. */
static void give_marked(struct space *s, struct fetch *fetch, uint32_t n)
{
        struct procfs_run run[MARK_RUNS];
        uint64_t next;
        struct chunk *c = ptable_chunk(&s->table, fetch->addr);
        int runs = s->port->ops->marked(s->port, fetch->addr, fetch->addr + n * PAGE_SIZE_, run, MARK_RUNS, &next);

        while (n) {
                bool marked = is_in(run, runs, fetch->addr);
                uint32_t len = 1;

                while (len < n && is_in(run, runs, fetch[len].addr) == marked)
                        len++;
                if (marked)
                        give(s, fetch, len);
                for (uint32_t i = 0; i < len && !marked; i++)
                        fetch_put_back(s, &fetch[i]);
                fetch += len;
                n -= len;
        }
        /* Not to be taken out again before they are used. */
        if (c)
                s->pager->idle->refault(c);
}

/* Whether it can be tried to install the page now. */
static bool can_be_given(const struct space *s, const struct fetch *fetch)
{
        return !s->dying && (!fetch->dropped || bug(AHEAD_NOT_DROPPED)) && fetch->result == 0 &&
               !event_is_pending(s, fetch->addr);
}

static void leave(struct space *s, struct fetch *fetch)
{
        if (s->dying || fetch->dropped)
                fetch_end(s, fetch);
        else
                fetch_put_back(s, fetch);
}

/* The pages of n fetches that follow each other, that nobody has asked for, have arrived. */
static void land(struct space *s, struct fetch *fetch, uint32_t n)
{
        while (n) {
                uint32_t len = 0;

                while (len < n && can_be_given(s, &fetch[len]) && fetch[len].addr == fetch->addr + len * PAGE_SIZE_)
                        len++;
                if (len)
                        give_marked(s, fetch, len);
                else
                        leave(s, fetch);
                len += len == 0;
                fetch += len;
                n -= len;
        }
}

/* --- the end of a read --- */

/* Of those that were read together, what was asked for is read again alone. */
static void read_again(struct space *s, struct fetch *fetch, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                if (bug(CLUSTER_POISONED) && !s->dying && !fetch[i].dropped)
                        poison(s, &fetch[i]);
                else if (fetch[i].asked && !s->dying && !fetch[i].dropped)
                        fault_fetch_submit(s, fetch_number(s->pager, &fetch[i]), 1);
                else
                        leave(s, &fetch[i]);
        }
}

void fault_arrived(struct store_io *io, int result)
{
        struct fetch *fetch = (struct fetch *)((char *)io - offsetof(struct fetch, io));
        struct space *s = fetch->space;
        uint32_t n = io->pages;
        bool asked[READAHEAD_MOST];

        if (result < 0 && n > 1) {
                read_again(s, fetch, n);
                evict_kick(s);
                return;
        }
        for (uint32_t i = 0; i < n; i++) {
                fetch[i].result = result;
                fetch[i].kind = io->tier == STORE_MEMORY ? FAULT_RAM : FAULT_DISK;
                asked[i] = fetch[i].asked;
        }
        for (uint32_t i = 0; i < n; i++)
                if (asked[i])
                        fetch_finish(s, &fetch[i]);
        for (uint32_t i = 0, len; i < n; i += len) {
                for (len = 0; i + len < n && !asked[i + len]; len++)
                        ;
                land(s, &fetch[i], len);
                len += len == 0;
        }
        evict_kick(s);
}
