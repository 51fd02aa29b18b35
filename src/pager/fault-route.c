/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Second on the way of a fault: the page's state says where its bytes are. Faults on a page for which something is
 * under way already wait with it: installing a page wakes every thread that wants it.
 */
#include "pager/fault.h"

#include <errno.h>
#include <stdlib.h>

#include "idle/idle.h"
#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

/* What nothing can be evicted of is complained of when it has got so much beyond its limit, twice that, ... */
#define BEYOND_PAGES 256u

/* What there is to go by while a page's place is looked at. */
enum mark { MARK_NONE, MARK_THERE, MARK_UNKNOWN };

/*
 * Whether there is a mark at a place. In a child of which it is not known which process it is, an attempt to give zeros
 * tells: it fails where there is a mark, and is right where there is none. It says nothing while something is changing.
 */
static enum mark mark_at(struct space *s, uint64_t addr)
{
        struct procfs_run run;
        uint64_t next;
        int n = s->port->ops->marked(s->port, addr, addr + PAGE_SIZE_, &run, 1, &next);

        if (n == -ESRCH) {
                int64_t r = s->port->ops->zeropage(s->port, addr, PAGE_SIZE_);

                return r == (int64_t)PAGE_SIZE_ ? MARK_NONE : r == -EAGAIN ? MARK_UNKNOWN : MARK_THERE;
        }
        return n != 0 ? MARK_THERE : MARK_NONE;
}

/* Whether a page should have a mark at its place. */
static bool needs_mark(const struct space *s, page_entry e)
{
        enum page_state state = page_state(e);

        if (bug(NOTES_TRUSTED) && s->heir)
                return false;
        return (state == PAGE_STANDBY || state == PAGE_STORED || state == PAGE_FETCHING) && !(e & PAGE_BARE);
}

/*
 * Whether the parent may have to tell of the page yet. What is noted to be out may be what another page has come in the
 * place of; and where there is a mark and nothing is noted, something has come. If there are pages without a mark, lost
 * ones among them, that can be anywhere.
 */
static bool is_unsettled(struct space *s, uint64_t addr, page_entry e)
{
        if (!event_is_unsettled(s))
                return false;
        return s->table.bare || s->bereft || s->table.count[PAGE_POISONED] ||
               (page_state(e) != PAGE_NATIVE && page_state(e) != PAGE_CLEARED) || mark_at(s, addr) != MARK_NONE;
}

void fault_route(struct space *s, struct fault *f)
{
        page_entry e;
        struct evict_item *item;
        enum mark mark;

        if (event_is_pending(s, f->addr)) {
                fault_retry(s, f);
                return;
        }
        e = ptable_get(&s->table, f->addr);
        if (is_unsettled(s, f->addr, e)) {
                fault_retry(s, f);
                return;
        }
        mark = needs_mark(s, e) ? mark_at(s, f->addr) : MARK_THERE;
        if (mark == MARK_UNKNOWN) {
                fault_retry(s, f);
                return;
        }
        if (mark == MARK_NONE) {
                /* An mremap() has taken it along, perhaps, and has not told yet. */
                if (!bug(MISSING_MARK) && s->port->ops->changing(s->port)) {
                        fault_retry(s, f);
                        return;
                }
                /*
                 * Discarded without an event: MADV_GUARD_INSTALL (Linux 6.13) sends none. Or a child never had it,
                 * after MADV_WIPEONFORK, or since its parent had it there before the fork or after, and not then.
                 */
                event_drop_page(s, f->addr, PAGE_NATIVE);
                e = page_make(PAGE_NATIVE, 0, 0);
        }
        switch (page_state(e)) {
        case PAGE_NATIVE:
        case PAGE_CLEARED:
        case PAGE_ZERO:
                fault_fill(s, f);
                return;
        case PAGE_EVICTING:
                if (fault_is_of_agent(s, f)) {
                        event_drop_page(s, f->addr, PAGE_CLEARED);
                        fault_fill(s, f);
                        return;
                }
                item = evict_item_at(s, page_index(e));
                fault_wait(s, &item->faults, f);
                return;
        case PAGE_STANDBY:
                fault_install_slot(s, f, page_index(e));
                return;
        case PAGE_STORED:
                fault_fetch(s, f);
                return;
        case PAGE_FETCHING:
                s->pager->fetch[page_index(e)].asked = true;
                fault_wait(s, &s->pager->fetch[page_index(e)].faults, f);
                return;
        case PAGE_POISONED:
                s->port->ops->poison(s->port, f->addr, PAGE_SIZE_);
                s->port->ops->wake(s->port, f->addr, PAGE_SIZE_);
                fault_done(s, f, FAULT_STALE);
                return;
        case PAGE_CLEAN:
        case PAGE_N_STATES:
                break;
        }
        /* Present: somebody was quicker. */
        s->port->ops->wake(s->port, f->addr, PAGE_SIZE_);
        fault_done(s, f, FAULT_STALE);
}

void fault_route_list(struct space *s, struct fault_list *list)
{
        struct fault *f;

        while ((f = fault_list_take(list)))
                fault_route(s, f);
}

void fault_wait(struct space *s, struct fault_list *list, struct fault *f)
{
        for (struct fault *other = list->head; other; other = other->next) {
                if (other->addr != f->addr || other->tid != f->tid)
                        continue;
                other->write |= f->write;
                f->next = s->free_fault;
                s->free_fault = f;
                return;
        }
        fault_list_add(list, f);
}

void fault_stall(struct space *s, struct fault *f)
{
        s->stats.stalls++;
        fault_wait(s, &s->stalled, f);
}

void fault_beyond(struct space *s, const struct fault *f)
{
        bool full = s->store_is_full && s->pager->grow_when_full;
        uint64_t pages;

        /* An agent that is held, or away for a moment, is no reason to complain. */
        if ((!s->futile_until && !full) || fault_is_of_agent(s, f))
                return;
        pages = ++s->stats.over_limit;
        if (pages >= BEYOND_PAGES && (pages & (pages - 1)) == 0)
                log_warning("client %d: %s%s: it has grown %llu MiB beyond its limit", s->pid,
                            full ? s->full_why : "nothing of it can be evicted (locked, pinned or shared memory)",
                            full ? ", with on_full = grow" : "", (unsigned long long)(pages * PAGE_SIZE_ >> 20));
}

void fault_retry(struct space *s, struct fault *f)
{
        fault_wait(s, &s->retry, f);
        if (!bug(NO_RETRY_TIMER))
                s->port->ops->timer(s->port, s->port->ops->now(s->port) + FAULT_RETRY_NS);
}

/*
 * The store is full for the client: who waits for a page that is there waits for an eviction no more, as none comes
 * before such a page has come back. The others stay, in order.
 */
static void go_on_with_stored(struct space *s, struct fault_list *list)
{
        struct fault_list others;
        struct fault *f;

        fault_list_init(&others);
        while ((f = fault_list_take(list))) {
                if (page_state(ptable_get(&s->table, f->addr)) == PAGE_STORED && !bug(FULL_STALLS_STORED))
                        fault_route(s, f);
                else
                        fault_list_add(&others, f);
        }
        fault_list_move(list, &others);
}

void fault_unstall(struct space *s)
{
        struct fault_list list;

        /* Only those that wait now: one that stalls again comes behind them. */
        fault_list_init(&list);
        fault_list_move(&list, &s->stalled);
        while (list.head && (budget_room(&s->budget) >= PAGE_SIZE_ || evict_is_hopeless(s)))
                fault_route(s, fault_list_take(&list));
        if (list.head && s->store_is_full)
                go_on_with_stored(s, &list);
        fault_list_move(&list, &s->stalled);
        fault_list_move(&s->stalled, &list);
}

void fault_done(struct space *s, struct fault *f, enum fault_kind kind)
{
        struct chunk *c;

        s->stats.served[kind]++;
        if (kind == FAULT_STANDBY || kind == FAULT_RAM || kind == FAULT_DISK) {
                c = ptable_chunk(&s->table, f->addr);
                if (c)
                        s->pager->idle->refault(c);
        }
        hist_add(&s->service, s->port->ops->now(s->port) - f->since);
        f->next = s->free_fault;
        s->free_fault = f;
}

void fault_done_list(struct space *s, struct fault_list *list, enum fault_kind kind)
{
        struct fault *f;

        while ((f = fault_list_take(list)))
                fault_done(s, f, kind);
}

struct fault *fault_new(struct space *s)
{
        struct fault *f = s->free_fault;

        if (f)
                s->free_fault = f->next;
        else
                f = malloc(sizeof(*f));
        return f;
}

static void free_list(struct fault *f)
{
        while (f) {
                struct fault *next = f->next;

                free(f);
                f = next;
        }
}

void fault_free_all(struct space *s)
{
        free_list(s->free_fault);
        free_list(s->stalled.head);
        free_list(s->retry.head);
        s->free_fault = NULL;
        fault_list_init(&s->stalled);
        fault_list_init(&s->retry);
}
