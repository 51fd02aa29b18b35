/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A forked child has notes of all that its parent had at a place, before the fork or after. Some of that it does not
 * have: memory with MADV_DONTFORK or MADV_WIPEONFORK, and what other threads of the parent changed just then. Its own
 * page tables say what it has: pages that are out are marked there. Once that was compared the child is a client as
 * any other.
 */
#include "pager/heir.h"

#include <errno.h>

#include "pager/event.h"
#include "util/bug.h"

#define RUNS 64u

/* The marks in all of the child's memory. Returns 0 or a negative errno. */
static int read_marks(struct space *s, struct region_set *marked)
{
        struct procfs_run run[RUNS];
        int r = 0;

        for (size_t i = 0; r == 0 && i < s->regions.n; i++)
                for (uint64_t at = s->regions.v[i].start, next; r == 0 && at < s->regions.v[i].end; at = next) {
                        int n = s->port->ops->marked(s->port, at, s->regions.v[i].end, run, RUNS, &next);

                        if (n < 0)
                                return n;
                        for (int k = 0; r == 0 && k < n; k++)
                                r = region_add(marked, run[k].start, run[k].end);
                }
        return r;
}

static bool is_its_own(const struct space *s, const struct region_set *marked, uint64_t addr)
{
        page_entry e = ptable_get(&s->table, addr);

        if (bug(HEIR_KEEPS_ALL))
                return true;
        if (!region_holds(&s->regions, addr, addr + PAGE_SIZE_))
                return false;
        switch (page_state(e)) {
        case PAGE_STANDBY:
        case PAGE_STORED:
        case PAGE_ZERO:
                return (e & PAGE_BARE) || region_holds(marked, addr, addr + PAGE_SIZE_);
        default:
                return true;
        }
}

int heir_settle(struct space *s)
{
        struct region_set marked = { 0 }, certain = { 0 };
        int r;

        if (event_is_unsettled(s) || s->port->ops->changing(s->port))
                return 0;
        r = read_marks(s, &marked);
        if (r == 0)
                r = region_copy(&certain, &s->regions);
        if (r < 0 || s->port->ops->changing(s->port)) {
                region_clear(&marked);
                region_clear(&certain);
                return 0;
        }
        for (uint64_t a = ptable_next(&s->table, 0, PTABLE_END); a < PTABLE_END;
             a = ptable_next(&s->table, a + PAGE_SIZE_, PTABLE_END))
                if (!is_its_own(s, &marked, a))
                        event_drop_page(s, a, PAGE_NATIVE);
        region_clear(&marked);
        region_clear(&s->certain);
        s->certain = certain;
        s->heir = false;
        return 1;
}
