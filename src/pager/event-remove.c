/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event is sent before the kernel zaps the pages, and nothing says when it has. A page that is present now may
 * still be the old one: it is CLEARED, and not evictable, until it was seen absent or was missed. In a registered
 * range an absent page comes back only through the pager, so one that is absent now needs no such mark.
 */
#include "pager/event.h"

#include <errno.h>

#include "pager/evict.h"
#include "util/bug.h"

#define RUNS 64

static void clear_present(struct space *s, uint64_t start, uint64_t end)
{
        struct procfs_run run[RUNS];

        while (start < end && !bug(NO_CLEARED)) {
                uint64_t next = end;
                int n = s->port->ops->present(s->port, start, end, run, RUNS, UINT64_MAX, &next);

                if (n == -ESRCH)
                        return;
                if (n < 0) {
                        s->port->ops->kill(s->port, "its pagemap cannot be read");
                        return;
                }
                for (int i = 0; i < n; i++)
                        for (uint64_t a = run[i].start; a < run[i].end; a += PAGE_SIZE_)
                                if (ptable_set(&s->table, a, page_make(PAGE_CLEARED, 0, 0)) < 0) {
                                        s->port->ops->kill(s->port, "no memory for its page table");
                                        return;
                                }
                start = next;
        }
}

void event_remove(struct space *s, uint64_t start, uint64_t end)
{
        uint64_t first = end, last = start;

        for (uint64_t a = ptable_next(&s->table, start, end); a < end;
             a = ptable_next(&s->table, a + PAGE_SIZE_, end)) {
                /* An order that the agent may have carried out: its page was the old one, or is still there. */
                bool evicting = page_state(ptable_get(&s->table, a)) == PAGE_EVICTING;

                event_drop_page(s, a, evicting ? PAGE_CLEARED : PAGE_NATIVE);
                first = a < first ? a : first;
                last = a;
        }
        if (first < end && region_add(&s->unmark, first, last + PAGE_SIZE_) < 0)
                s->stray_marks += (last - first) / PAGE_SIZE_ + 1;
        clear_present(s, start, end);
        evict_clean_forget(s, start, end);
}

static void settle_absent(struct space *s, uint64_t start, uint64_t end)
{
        for (uint64_t a = ptable_next(&s->table, start, end); a < end; a = ptable_next(&s->table, a + PAGE_SIZE_, end))
                if (page_state(ptable_get(&s->table, a)) == PAGE_CLEARED)
                        ptable_set(&s->table, a, page_make(PAGE_NATIVE, 0, 0));
}

void event_settle_absent(struct space *s, uint64_t start, uint64_t end, const struct procfs_run *present, int n)
{
        for (int i = 0; i < n; i++) {
                settle_absent(s, start, present[i].start);
                start = present[i].end;
        }
        settle_absent(s, start, end);
}
