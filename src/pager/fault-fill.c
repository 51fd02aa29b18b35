/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page that holds nothing is touched: zeros, for a thread that goes on in sequence a run of them that doubles
 * each time. Copied zeros and not the shared zero page, since that one could be written later without passing by
 * here; the limit would not hold. Only a read far below the limit gets the shared page.
 */
#include "pager/fault.h"

#include <errno.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

/*
 * The first place at or after addr, below end, that is not empty: COPY overlooks what the kernel keeps there that is no
 * page, and guards (MADV_GUARD_INSTALL) must stay. The marks of ZERO pages are ours.
 */
static uint64_t next_taken(struct space *s, uint64_t addr, uint64_t end)
{
        struct procfs_run run[STREAM_MAX_RUN];
        uint64_t next;
        int n = s->port->ops->taken(s->port, addr, end, run, STREAM_MAX_RUN, &next);

        if (n < 0)
                return addr;
        for (int i = 0; i < n; i++)
                for (uint64_t a = run[i].start; a < run[i].end; a += PAGE_SIZE_)
                        if (page_state(ptable_get(&s->table, a)) != PAGE_ZERO)
                                return a;
        return end;
}

/* How far zeros may go from addr on: to the end of the mapping, to the first page that holds something. */
static uint64_t run_length(struct space *s, const struct fault *f)
{
        const struct region *r = region_at_or_after(&s->regions, f->addr);
        uint64_t len = stream_run(&s->streams, f->tid, f->addr) * PAGE_SIZE_, room = budget_room(&s->budget);

        if (!r || r->start > f->addr)
                return PAGE_SIZE_;
        if (len > r->end - f->addr)
                len = r->end - f->addr;
        if (len > page_floor(room))
                len = page_floor(room);
        if (len <= PAGE_SIZE_ || event_are_waiting(s))
                return PAGE_SIZE_;
        len = ptable_next_held(&s->table, f->addr + PAGE_SIZE_, f->addr + len) - f->addr;
        return len > PAGE_SIZE_ ? next_taken(s, f->addr + PAGE_SIZE_, f->addr + len) - f->addr : PAGE_SIZE_;
}

static int64_t give_zeros(struct space *s, const struct fault *f, uint64_t len)
{
        int64_t r;

        if (!f->write && !s->budget.gated) {
                r = s->port->ops->zeropage(s->port, f->addr, PAGE_SIZE_);
                if (r != -EEXIST)
                        return r;
                /* It is there, or has a mark left over (MADV_FREE does not take it away), which only COPY overlooks. */
                len = PAGE_SIZE_;
        }
        r = s->port->ops->copy(s->port, f->addr, s->pager->zeros, len);
        /* A run across two mappings is refused whole, however they touch: then one page, which lies in one. */
        if ((r == -ENOENT || r == -EINVAL) && len > PAGE_SIZE_)
                r = s->port->ops->copy(s->port, f->addr, s->pager->zeros, PAGE_SIZE_);
        if (r > 0)
                budget_installed(&s->budget, (uint64_t)r);
        return r;
}

/*
 * Whether a fault that finds no room is to wait for it. Where nothing can be evicted it is not; but its memory, grown
 * in place just now perhaps, may be what the search does not know of yet. Then the mappings are looked at first.
 */
static bool has_to_wait(struct space *s, struct fault *f)
{
        if (fault_is_of_agent(s, f))
                return false;
        if (!evict_is_hopeless(s))
                return true;
        if (f->looked || region_holds(&s->certain, f->addr, f->addr + PAGE_SIZE_))
                return false;
        f->looked = true;
        s->mapped = 0;
        s->port->ops->timer(s->port, s->port->ops->now(s->port));
        return true;
}

void fault_fill(struct space *s, struct fault *f)
{
        bool no_room = budget_room(&s->budget) < PAGE_SIZE_;
        uint64_t len;
        int64_t r;

        if (no_room && has_to_wait(s, f)) {
                fault_stall(s, f);
                return;
        }
        if (no_room)
                fault_beyond(s, f);
        len = run_length(s, f);
        r = give_zeros(s, f, len);
        if (bug(EEXIST_IS_ERROR) && r == -EEXIST)
                r = -EAGAIN;
        if (r > 0) {
                /* They were absent, so a REMOVE that was read before has taken effect. */
                for (uint64_t a = f->addr; a < f->addr + (uint64_t)r; a += PAGE_SIZE_)
                        ptable_set(&s->table, a, page_make(PAGE_NATIVE, 0, 0));
                stream_given(&s->streams, f->tid, f->addr, (uint32_t)(r / (int64_t)PAGE_SIZE_));
                fault_done(s, f, FAULT_ZERO);
                return;
        }
        switch (r) {
        case -EAGAIN:
                if (bug(EAGAIN_DROPPED)) {
                        fault_done(s, f, FAULT_STALE);
                        return;
                }
                fault_retry(s, f);
                return;
        case -EINVAL:
                /* Not memory that we can serve (huge pages were mapped there meanwhile): let the kernel have it. */
                log_debug("client %d: page 0x%llx cannot be filled, left to the kernel", s->pid,
                          (unsigned long long)f->addr);
                s->port->ops->discharge(s->port, f->addr, PAGE_SIZE_);
                break;
        default:
                /* EEXIST: somebody was quicker. ENOENT: the mapping went. ESRCH: the client did. */
                break;
        }
        s->port->ops->wake(s->port, f->addr, PAGE_SIZE_);
        fault_done(s, f, FAULT_STALE);
}
