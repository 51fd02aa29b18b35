// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which pages are moved. A drain closes some groups of one medium's units (drain.c), goes through all locations once
 * for the pages that lie there, and opens the groups, which are empty then.
 *
 * That nothing is mistaken for something else: units of a closed group are not given out while it is closed. So a
 * location whose place is what it was when the page was copied has that page still, as long as the drain goes on, which
 * its epoch says. Who is reading a page while it is moved may get other bytes, much later, when its old units are
 * another's: these do not fit its checksum or seal, and page-read.c looks where it is by then.
 *
 * A unit may be moved for every two that are written. With that a store that is 90 % full stays as contiguous as it was
 * (tests/bench/run churn). Where room is wanted meanwhile, the groups are opened as they are.
 */
#include "store/page-drain.h"

#include <errno.h>

#include "store/medium.h"
#include "store/page-store-internal.h"
#include "store/slot-map.h"

/* Locations that are looked at with the lock held. */
#define LOOK 2048u

/* As much is saved up, at most, and needed to begin with: 64 and 1 MiB of sectors. */
#define ALLOWANCE_MOST  (INT64_C(1) << 17)
#define ALLOWANCE_BEGIN (INT64_C(1) << 11)

static void lock(struct page_store *s)
{
        pthread_mutex_lock(&s->lock);
}

static void unlock(struct page_store *s)
{
        pthread_mutex_unlock(&s->lock);
}

void page_drain_allow(struct page_store *s, uint32_t units)
{
        int64_t allowance = atomic_load_explicit(&s->drain.allowance, memory_order_relaxed) + units / DRAIN_WRITES;

        atomic_store_explicit(&s->drain.allowance, allowance < ALLOWANCE_MOST ? allowance : ALLOWANCE_MOST,
                              memory_order_relaxed);
}

void page_drain_urge(struct page_store *s)
{
        atomic_store_explicit(&s->drain.allowance, ALLOWANCE_MOST, memory_order_relaxed);
}

bool page_drain_is_due(struct page_store *s)
{
        return atomic_load_explicit(&s->drain.allowance, memory_order_relaxed) >= ALLOWANCE_BEGIN &&
               !atomic_load_explicit(&s->drain.by, memory_order_relaxed);
}

/* How many units are free that no location was promised. */
static uint64_t spare(const struct page_store *s)
{
        uint64_t available = spread_available(&s->spread);

        return available > s->promised ? available - s->promised : 0;
}

/* There is no use in trying before more was written. */
static void rest(struct page_store *s)
{
        atomic_store_explicit(&s->drain.allowance, 0, memory_order_relaxed);
}

/* Begins to drain the first medium, from the one behind the last on, that wants it. */
static bool begin(struct page_store *s)
{
        struct page_drain *d = &s->drain;
        uint64_t room = spare(s);

        for (unsigned i = 0; i < s->spread.n; i++) {
                unsigned medium = (d->medium + 1 + i) % s->spread.n;
                const struct spread_part *p = &s->spread.part[medium];

                if (medium_is_away(p->medium) || !drain_is_wanted(p->map) || !drain_begin(&d->drain, p->map, room))
                        continue;
                d->medium = medium;
                d->epoch++;
                d->at = 0;
                d->pages_before = atomic_load_explicit(&d->pages, memory_order_relaxed);
                return true;
        }
        rest(s);
        return false;
}

bool page_drain_claim(struct page_store *s, struct page_port *by)
{
        struct page_drain *d = &s->drain;
        bool is;

        lock(s);
        is = !atomic_load_explicit(&d->by, memory_order_relaxed) && (d->drain.n || begin(s));
        if (is)
                atomic_store_explicit(&d->by, by, memory_order_relaxed);
        unlock(s);
        return is;
}

void page_drain_disclaim(struct page_store *s)
{
        lock(s);
        atomic_store_explicit(&s->drain.by, NULL, memory_order_relaxed);
        unlock(s);
}

bool page_drain_end(struct page_store *s)
{
        bool was = s->drain.drain.n;

        drain_end(&s->drain.drain);
        return was;
}

static bool is_to_move(const struct page_store *s, const struct place *p)
{
        return p->kind == PLACE_MEDIUM && p->medium == s->drain.medium && unit_map_is_closed(s->drain.drain.map, p->at);
}

/* The pages from `loc` on that lie one behind another. */
static void collect(const struct page_store *s, store_loc loc, struct page_row *row)
{
        uint64_t at = s->place[loc].at;

        for (row->n = 0; row->n < PAGE_MOVE_MOST && loc < s->beyond; loc++) {
                const struct place *p = &s->place[loc];

                if (!is_to_move(s, p) || p->at != at)
                        break;
                row->page[row->n] = (struct page_moved){ .loc = loc, .from = *p, .sum = checksums_get(s->sums, loc) };
                if (p->sealed)
                        row->page[row->n].seal = s->seals[loc];
                row->n++;
                at += place_units(s, p);
        }
}

static bool is_allowed(const struct page_drain *d)
{
        return d->drain.n && atomic_load_explicit(&d->allowance, memory_order_relaxed) > 0;
}

int page_drain_next(struct page_store *s, struct page_row *row)
{
        struct page_drain *d = &s->drain;
        int r = 0;

        lock(s);
        if (!is_allowed(d))
                r = -ENOENT;
        for (unsigned i = 0; i < LOOK && r == 0 && d->at < s->beyond; i++) {
                if (!is_to_move(s, &s->place[d->at])) {
                        d->at++;
                        continue;
                }
                row->epoch = d->epoch;
                collect(s, d->at, row);
                d->at += row->n;
                r = 1;
        }
        if (r == 0 && d->at == s->beyond) {
                page_drain_end(s);
                if (atomic_load_explicit(&d->pages, memory_order_relaxed) == d->pages_before)
                        rest(s); /* what is there cannot be moved */
                else
                        begin(s);
                r = is_allowed(d) ? 0 : -ENOENT;
        }
        unlock(s);
        return r;
}

static bool is_on(const struct page_store *s, const struct page_row *row)
{
        return s->drain.drain.n && s->drain.epoch == row->epoch;
}

uint32_t page_drain_take(struct page_store *s, const struct page_row *row, uint32_t from, uint64_t *at, uint32_t *units)
{
        struct unit_map *map = s->drain.drain.map;
        uint32_t all = 0, got, n = 0;

        *units = 0;
        for (uint32_t i = from; i < row->n; i++)
                all += place_units(s, &row->page[i].from);
        lock(s);
        if (is_on(s, row) && spare(s) >= all) {
                got = unit_map_alloc(map, all, at);
                for (; from + n < row->n; n++) {
                        uint32_t page = place_units(s, &row->page[from + n].from);

                        if (page > got - *units)
                                break;
                        *units += page;
                }
                unit_map_release(map, *at + *units, got - *units);
        }
        unlock(s);
        return n;
}

void page_drain_give_back(struct page_store *s, const struct page_row *row, uint64_t at, uint32_t units, uint64_t now)
{
        unsigned medium = row->page[0].from.medium;

        lock(s);
        spread_failed(&s->spread, medium, at, units, now);
        page_drain_end(s);
        unlock(s);
}

static bool is_same(const struct place *a, const struct place *b)
{
        return a->kind == b->kind && a->medium == b->medium && a->at == b->at;
}

void page_drain_moved(struct page_store *s, const struct page_row *row, uint32_t from, uint32_t n, uint64_t at)
{
        lock(s);
        for (uint32_t i = from; i < from + n; i++) {
                const struct page_moved *m = &row->page[i];
                struct place *p = &s->place[m->loc];
                uint32_t units = place_units(s, &m->from);

                if (is_on(s, row) && is_same(p, &m->from)) {
                        p->at = at;
                        spread_free(&s->spread, m->from.medium, m->from.at, units);
                        atomic_fetch_add_explicit(&s->drain.pages, 1, memory_order_relaxed);
                        atomic_fetch_sub_explicit(&s->drain.allowance, units, memory_order_relaxed);
                } else {
                        spread_free(&s->spread, m->from.medium, at, units);
                }
                at += units;
        }
        unlock(s);
}
