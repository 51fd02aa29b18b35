/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork() waits until its event is read, and the child does not run before. It has the parent's page tables, marks
 * included, and what is out in the parent is out in the child: they share the stored page, which counts its references.
 * A page that is still in the parent's ring is copied to the child's, since the parent can write to its own.
 *
 * What is present is shared by the kernel, copied on write, and cannot be detached from either while it is.
 */
#include "pager/event.h"

#include <string.h>

#include "pager/evict.h"
#include "pager/sharing.h"
#include "util/log.h"

/* What the child notes of a page that is in the store. */
static page_entry share_stored(struct space *s, store_loc loc)
{
        if (store_ref(s->pager->store, loc) == 0)
                return page_make(PAGE_STORED, 0, loc);
        log_error("client %d: a child of it loses a page: too many share it", s->pid);
        return page_make(PAGE_POISONED, 0, 0);
}

/* Copies a page from the parent's ring to the child's, which has as many slots, all free. */
static page_entry share_standby(struct space *s, struct space *child, uint64_t addr, uint32_t slot)
{
        uint32_t copy;

        if (ring_slots_take(&child->ring_slots, 1, &copy) != 1)
                return page_make(PAGE_POISONED, 0, 0);
        memcpy(child->slots + (uint64_t)copy * VMPAGER_PAGE, s->slots + (uint64_t)slot * VMPAGER_PAGE, VMPAGER_PAGE);
        child->ring_slots.v[copy].owner = addr;
        return page_make(PAGE_STANDBY, copy, 0);
}

static page_entry share(struct space *s, struct space *child, uint64_t addr, page_entry e, bool half_done)
{
        page_entry bare = e & PAGE_BARE;

        switch (page_state(e)) {
        case PAGE_STANDBY:
                return share_standby(s, child, addr, page_index(e)) | bare;
        case PAGE_STORED:
        case PAGE_FETCHING:
                return share_stored(s, page_loc(e)) | bare;
        case PAGE_ZERO:
        case PAGE_POISONED:
                return page_make(page_state(e), 0, 0) | bare;
        case PAGE_EVICTING:
                /* The parent ends in the middle of it. Present in the child, or gone with the parent's agent. */
                return page_make(half_done ? PAGE_POISONED : PAGE_NATIVE, 0, 0);
        default:
                return page_make(PAGE_NATIVE, 0, 0);
        }
}

static int share_all(struct space *s, struct space *child)
{
        bool half_done = evict_is_half_done(s);

        for (uint64_t a = ptable_next(&s->table, 0, PTABLE_END); a < PTABLE_END;
             a = ptable_next(&s->table, a + PAGE_SIZE_, PTABLE_END)) {
                /* Memory first: nothing is shared that cannot be noted. */
                if (!ptable_reserve(&child->table, a))
                        return -1;
                ptable_set(&child->table, a, share(s, child, a, ptable_get(&s->table, a), half_done));
        }
        return region_copy(&child->regions, &s->regions) < 0 || region_copy(&child->certain, &s->certain) < 0 ? -1 : 0;
}

void event_fork(struct space *s, int fd)
{
        struct space *child = s->port->ops->forked(s->port, fd);

        if (!child)
                return;
        sharing_begin(s, s->budget.resident);
        sharing_begin(child, s->budget.resident);
        child->stray_marks = s->stray_marks;
        if (share_all(s, child) < 0)
                child->port->ops->kill(child->port, "no memory for the page table of a forked child");
        evict_write(child, 0, child->ring_slots.n);
}
