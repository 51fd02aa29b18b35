/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork() waits until its event is read, and the child does not run before. It has the parent's page tables, marks
 * included, and what is out in the parent is out in the child: they share the stored page, which counts its references.
 * A page that is still in the parent's ring is copied to the child's, since the parent can write to its own.
 *
 * What is present is shared by the kernel, copied on write, and cannot be detached from either while it is.
 *
 * Of a page that is out and has no mark (PAGE_BARE) the child's page tables do not say whether it was there at the
 * moment of the fork. It was, unless something is told about its place before the parent comes to rest: then nobody
 * knows, and the page is lost to the child.
 */
#include "pager/event.h"

#include <errno.h>
#include <string.h>

#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

/* What the child notes of a page that is in the store. */
static page_entry share_stored(struct space *s, store_loc loc)
{
        if (bug(FORK_TAKES_NO_REF) || store_ref(s->pager->store, loc) == 0)
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
        if (!bug(SLOT_NOT_COPIED))
                memcpy(child->slots + (uint64_t)copy * VMPAGER_PAGE, s->slots + (uint64_t)slot * VMPAGER_PAGE,
                       VMPAGER_PAGE);
        child->ring_slots.v[copy].owner = addr;
        return page_make(PAGE_STANDBY, copy, 0);
}

static page_entry share(struct space *s, struct space *child, uint64_t addr, page_entry e)
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
        default:
                if (bug(EVICTING_IS_OUT))
                        return page_make(PAGE_ZERO, 0, 0);
                /* EVICTING, and the parent ends in the middle of it: gone with its agent, perhaps. */
                child->bereft = true;
                return page_make(PAGE_POISONED, 0, 0);
        }
}

/* Whether there is something to be shared. */
static bool is_out(page_entry e, bool half_done)
{
        switch (page_state(e)) {
        case PAGE_STANDBY:
        case PAGE_STORED:
        case PAGE_FETCHING:
        case PAGE_ZERO:
        case PAGE_POISONED:
                return true;
        case PAGE_EVICTING:
                return half_done || bug(EVICTING_IS_OUT);
        default:
                return false;
        }
}

static const char *slot_of(const struct space *s, page_entry e)
{
        return s->slots + (uint64_t)page_index(e) * VMPAGER_PAGE;
}

/* Whether what is noted of the child's page is what the parent has. */
static bool is_same(const struct space *s, page_entry e, const struct space *child, page_entry noted)
{
        if (page_state(e) == PAGE_STANDBY && page_state(noted) == PAGE_STANDBY)
                return memcmp(slot_of(s, e), slot_of(child, noted), VMPAGER_PAGE) == 0;
        if (page_state(e) == PAGE_FETCHING || page_state(e) == PAGE_STORED)
                return page_state(noted) == PAGE_STORED && page_loc(noted) == page_loc(e);
        return page_state(e) == page_state(noted);
}

/* Nobody knows what the child has there. */
static void lose(struct space *s, struct space *child, uint64_t addr)
{
        log_error("client %d: a child of it loses page 0x%llx: memory was changed there while it forked, and it cannot "
                  "be told what the child has",
                  s->pid, (unsigned long long)addr);
        event_drop_page(child, addr, PAGE_NATIVE);
        ptable_set(&child->table, addr, page_make(PAGE_POISONED, 0, 0));
        child->bereft = true;
}

/* A REMAP that is carried out after the child was told of all that is out. */
struct arrival {
        const struct order_event *event;
        bool direct;  /* the child is one that this client has forked itself */
        bool chained; /* pages have come to where it took them from, or left again, in the same journal */
};

enum side { UNCLEAR, FORKED_BEFORE, FORKED_AFTER };

/* Where the page was before. */
static uint64_t left_by(const struct arrival *arrival, uint64_t addr)
{
        return addr - arrival->event->to + arrival->event->start;
}

/* Whether other events are about the same places, or notes without a mark. */
static bool is_obscure(struct space *child, const struct arrival *arrival, uint64_t addr)
{
        uint64_t from = left_by(arrival, addr);

        return arrival->chained || (ptable_get(&child->table, from) & PAGE_BARE) || event_is_noted(child, from) ||
               event_is_noted(child, addr);
}

/* Whether there is anything in the child: as port_ops.zeropage, which gives zeros where there is not. */
static int64_t probe(struct space *child, uint64_t addr)
{
        int64_t r = child->port->ops->zeropage(child->port, addr, PAGE_SIZE_);

        if (r > 0)
                event_drop_page(child, addr, PAGE_NATIVE); /* what is noted, if anything, is not its own */
        return r;
}

/*
 * Whether there is a mark in the child's page tables: 1, 0, or negative when it cannot be told. As long as it is not
 * known which process it is, an attempt to give zeros tells where there is nothing; where there is something it may be
 * a page.
 */
static int has_mark(struct space *child, uint64_t addr)
{
        struct procfs_run run;
        uint64_t next;
        int64_t r = child->port->ops->marked(child->port, addr, addr + PAGE_SIZE_, &run, 1, &next);

        if (r != -ESRCH)
                return (int)r;
        r = probe(child, addr);
        return r > 0 || r == -ENOENT || r == -EINVAL ? 0 : (int)r;
}

/* Whether there is something that is neither page nor mark: MADV_GUARD_INSTALL (Linux 6.13), of which nothing tells. */
static bool is_guarded(struct space *child, uint64_t addr)
{
        struct procfs_run run;
        uint64_t next;

        return child->port->ops->taken(child->port, addr, addr + PAGE_SIZE_, &run, 1, &next) == 1 &&
               child->port->ops->present(child->port, addr, addr + PAGE_SIZE_, &run, 1, 1, &next) != 1;
}

/*
 * Whether the program forked before it moved a page that is out, or after that. It has been out since before the fork
 * (evict_kick() waits for children to be settled). Before: the child has it where it was, with a mark. If it is not
 * there it may be memory that children do not get (MADV_DONTFORK, MADV_WIPEONFORK), of this client or, which nobody can
 * tell by now, of one in between.
 */
static enum side side_of(struct space *s, struct space *child, const struct arrival *arrival, uint64_t addr)
{
        int r;

        if (is_obscure(child, arrival, addr))
                return UNCLEAR;
        r = has_mark(child, left_by(arrival, addr));
        if (r < 0 || child->port->ops->changing(child->port))
                return UNCLEAR;
        if (r > 0)
                return FORKED_BEFORE;
        if (!arrival->direct || is_guarded(child, left_by(arrival, addr)))
                return UNCLEAR;
        r = s->port->ops->inherited(s->port, addr);
        return r < 0 ? UNCLEAR : r ? FORKED_AFTER : FORKED_BEFORE;
}

/* The child has something else noted where a page has arrived. */
static void decide(struct space *s, struct space *child, const struct arrival *arrival, uint64_t addr)
{
        switch (arrival ? side_of(s, child, arrival, addr) : UNCLEAR) {
        case FORKED_BEFORE:
                return;
        case FORKED_AFTER:
                event_drop_page(child, addr, PAGE_NATIVE);
                ptable_set(&child->table, addr, share(s, child, addr, ptable_get(&s->table, addr)));
                return;
        case UNCLEAR:
                lose(s, child, addr);
                return;
        }
}

static void share_page(struct space *s, struct space *child, const struct arrival *arrival, uint64_t addr)
{
        page_entry e = ptable_get(&s->table, addr), noted = ptable_get(&child->table, addr);

        if ((e & PAGE_BARE) && !bug(BARE_IS_SHARED) && (arrival || event_is_noted(s, addr)))
                lose(s, child, addr);
        else if (page_state(noted) == PAGE_NATIVE)
                ptable_set(&child->table, addr, share(s, child, addr, e));
        else if (!is_same(s, e, child, noted))
                decide(s, child, arrival, addr);
}

/*
 * Shares what is out in [start, end). half_done: the parent ends, perhaps in the middle of a batch. arrival: why it is
 * shared, or NULL. Returns 0 or -ENOMEM.
 */
static int share_range(struct space *s, struct space *child, uint64_t start, uint64_t end, bool half_done,
                       const struct arrival *arrival)
{
        for (uint64_t a = ptable_next(&s->table, start, end); a < end;
             a = ptable_next(&s->table, a + PAGE_SIZE_, end)) {
                if (!is_out(ptable_get(&s->table, a), half_done))
                        continue;
                /* Memory first: nothing is shared that cannot be noted. */
                if (!ptable_reserve(&child->table, a))
                        return -ENOMEM;
                share_page(s, child, arrival, a);
        }
        return 0;
}

static void check_shared(struct space *child, int r)
{
        if (r < 0)
                child->port->ops->kill(child->port, "no memory for the page table of a forked child");
        evict_write(child, 0, child->ring_slots.n);
}

struct space *event_fork(struct space *s, int fd, bool half_done)
{
        struct space *child = s->port->ops->forked(s->port, fd);
        int r;

        if (!child)
                return NULL;
        s->shares = child->shares = true;
        budget_share(&child->budget, s->budget.resident); /* until it was counted */
        child->stray_marks = s->stray_marks;
        child->heir = true;
        child->bereft = s->bereft;
        child->swap_said = s->swap_said;
        r = share_range(s, child, 0, PTABLE_END, half_done, NULL);
        if (r == 0)
                r = region_copy(&child->regions, &s->regions);
        if (r == 0)
                r = region_copy(&child->certain, &s->certain);
        check_shared(child, r);
        return child;
}

/*
 * The parent has nothing that is out at a place that something was moved to. The child has what is noted of it, if it
 * was made before; or what has come there, and then a mark is one that was left over from a page that was discarded.
 * That it is not left over only what is still where it came from shows.
 */
static bool is_replaced(struct space *s, struct space *child, const struct arrival *arrival, uint64_t addr)
{
        uint64_t from = left_by(arrival, addr);

        if (!s->stray_marks && !(arrival->chained ? s->unmark.n : region_touches(&s->unmark, from, from + PAGE_SIZE_)))
                return false;
        if (has_mark(child, addr) == 0 && !child->port->ops->changing(child->port))
                return false; /* then it has not what is noted, and that is seen when it is wanted */
        return is_obscure(child, arrival, addr) || probe(child, from) != -EEXIST;
}

static void doubt_replaced(struct space *s, struct space *child, const struct arrival *arrival, uint64_t end)
{
        for (uint64_t a = ptable_next(&child->table, arrival->event->to, end); a < end;
             a = ptable_next(&child->table, a + PAGE_SIZE_, end))
                if (page_state(ptable_get(&s->table, a)) == PAGE_NATIVE &&
                    page_state(ptable_get(&child->table, a)) != PAGE_POISONED && is_replaced(s, child, arrival, a))
                        lose(s, child, a);
}

/* direct: see struct arrival. */
static void bring(struct space *s, struct space *child, const struct order_event *e, bool chained, bool direct)
{
        const struct arrival arrival = { .event = e, .chained = chained, .direct = direct && !child->adopted };
        uint64_t end = e->to + (e->end - e->start);
        int r = share_range(s, child, e->to, end, false, &arrival);

        doubt_replaced(s, child, &arrival, end);
        if (r == 0)
                r = region_add(&child->regions, e->to, end);
        check_shared(child, r);
        for (size_t i = 0; i < child->journal.n_children && !bug(GRANDCHILD_NOT_TOLD); i++)
                bring(s, child->journal.child[i], e, chained || child->journal.n, false);
}

void event_fork_more(struct space *s, struct space *child, const struct order_event *e, bool chained)
{
        bring(s, child, e, chained, true);
}

void event_fork_doubt(struct space *s, struct space *child, uint64_t start, uint64_t end)
{
        for (uint64_t a = ptable_next_bare(&child->table, start); a < end;
             a = ptable_next_bare(&child->table, a + PAGE_SIZE_))
                lose(s, child, a);
        for (size_t i = 0; i < child->journal.n_children; i++)
                event_fork_doubt(s, child->journal.child[i], start, end);
}

/* Whether all that is noted to be out has its mark: 1, 0, or -ESRCH as long as it is not known which process it is. */
static int all_are_marked(struct space *s)
{
        for (uint64_t a = ptable_next(&s->table, 0, PTABLE_END); a < PTABLE_END;
             a = ptable_next(&s->table, a + PAGE_SIZE_, PTABLE_END)) {
                struct procfs_run run;
                uint64_t next;
                int n;

                if (page_state(ptable_get(&s->table, a)) == PAGE_CLEARED)
                        continue;
                n = s->port->ops->marked(s->port, a, a + PAGE_SIZE_, &run, 1, &next);
                if (n != 1)
                        return n;
        }
        return 1;
}

/* A page that is lost may be anywhere, and where a mark may be left over it proves nothing. */
int event_fork_trust(struct space *s)
{
        bool is_where_noted = !s->bereft && !s->table.bare && !s->table.count[PAGE_POISONED] && !s->stray_marks;
        int right = is_where_noted ? all_are_marked(s) : 0;

        if (bug(ORPHAN_TRUSTED))
                right = 1;
        if (right == -ESRCH)
                return right;
        if (right <= 0)
                s->port->ops->kill(s->port, "its parent ended when it had forked it and was changing its memory, and "
                                            "it cannot be told which pages are where");
        s->orphan = false;
        return right > 0;
}
