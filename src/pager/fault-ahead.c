/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Beside a page that has to be read from the store others are, which the thread is about to want (model/readahead.h):
 * one large read takes hardly longer than a small one, and each page that is there already is a fault less.
 *
 * Nobody has asked for them. So they take nothing that somebody might wait for: no room but what is to spare, no
 * fetches but those that are not kept for faults, no page about which anything is in doubt. Where something comes in
 * between they stay in the store, or go back to it (fault-arrive.c).
 */
#include "pager/fault.h"

#include <errno.h>

#include "pager/event.h"

/* Places on the way of a stream that are looked at for a window, at most: some of them are present. */
#define LOOK_MOST (4 * READAHEAD_MOST)

/* Whether all that is noted of the client is what it is, and there is no shortage of anything. */
static bool is_at_ease(const struct space *s)
{
        return !event_is_unsettled(s) && !event_are_waiting(s) && !s->journal.n_children && !s->heir && !s->bereft &&
               !s->stalled.head && !s->store_is_full && !atomic_load_explicit(&s->ring->forks, memory_order_relaxed);
}

/* How many pages can come along now. */
static uint32_t most_now(const struct space *s, uint32_t wanted)
{
        uint64_t room = budget_spare(&s->budget) / PAGE_SIZE_;
        uint32_t fetches = s->pager->fetches.n_free, kept = s->pager->fetches.n / FAULT_ASKED_SHARE;

        if (!is_at_ease(s) || fetches <= kept)
                return 0;
        fetches -= kept;
        wanted = wanted < fetches ? wanted : fetches;
        return wanted < room ? wanted : (uint32_t)room;
}

static bool is_stored(page_entry e)
{
        return page_state(e) == PAGE_STORED && !(e & PAGE_BARE);
}

/*
 * How far a stream that is at addr may go: what is certain, and of that only the mapping that addr is in. Beyond its
 * ends there may be memory that nobody can touch, and whose pages, once there, could not be moved out again (MOVE
 * refuses what is not writable). A kernel that cannot tell has some of them brought in.
 */
static struct region bounds(const struct space *s, uint64_t addr)
{
        const struct region *certain = region_at_or_after(&s->certain, addr);
        struct procfs_mapping m;
        struct region none = { 0 }, r;
        int e;

        if (!certain || certain->start > addr)
                return none;
        e = s->port->ops->mapping_at(s->port, addr, &m);
        if (e < 0)
                return e == -ENOTTY ? *certain : none;
        r.start = certain->start > m.start ? certain->start : m.start;
        r.end = certain->end < m.end ? certain->end : m.end;
        return r;
}

/*
 * Finds up to `most` pages on the stream's way, and puts their addresses into out. Returns how many; *next is where the
 * stream is to be expected behind them.
 */
static uint32_t look(const struct space *s, uint64_t from, int32_t stride, uint32_t most, uint64_t *out, uint64_t *next)
{
        uint64_t step = (uint64_t)((int64_t)stride * (int64_t)PAGE_SIZE_), at = from + step;
        struct region r = bounds(s, from);
        uint32_t n = 0;

        /* An address that wraps round is outside, as well. */
        for (unsigned i = 0; i < LOOK_MOST && at >= r.start && at < r.end; i++, at += step) {
                if (!is_stored(ptable_get(&s->table, at)))
                        continue;
                if (n == most)
                        break;
                out[n++] = at;
        }
        *next = at;
        return n;
}

uint32_t fault_ahead(struct space *s, const struct fault *f, uint64_t *out)
{
        struct readahead_plan plan;
        uint64_t next = 0;
        uint32_t n = 0;

        if (!s->pager->readahead || fault_is_of_agent(s, f))
                return 0;
        plan = readahead_fault(&s->readahead, f->tid, f->addr, s->pager->readahead);
        if (plan.pages)
                n = look(s, f->addr, plan.stride, most_now(s, plan.pages), out, &next);
        if (plan.pages)
                readahead_given(&s->readahead, &plan, n, next);
        s->budget.reserved += n * PAGE_SIZE_;
        return n;
}
