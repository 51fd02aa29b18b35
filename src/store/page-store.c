// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store: pages on one or several media. A location is a number in a table that says where its page is (place), what
 * it was (checksum), and how many references it has (slot-map).
 *
 *   page-store   which locations are free, and which units of the media (spread)
 *   page-port    moves pages, one port a worker
 *   medium-*     moves bytes
 *
 * Room is promised when locations are allocated, and found when they are written: then it is known how many bytes they
 * take. Locations of one allocation are written together, and lie together.
 *
 * Locking: one mutex around the maps, held for a search of bounded length and never during I/O. A place needs none: it
 * is written before the write's done() is called, and a location gets to another thread only after that.
 */
#include "store/page-store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/checksum.h"
#include "store/medium.h"
#include "store/page-store-internal.h"
#include "store/slot-map.h"
#include "util/error.h"

static uint32_t units_of(const struct page_store *s, const struct place *p)
{
        uint32_t unit = s->spread.part[p->medium].medium->unit;

        return (p->bytes + unit - 1) / unit;
}

static uint32_t page_store_alloc(struct store *store, uint32_t pages, store_loc *first)
{
        struct page_store *s = page_store_of(store);
        uint64_t available, room;
        uint32_t got;

        pthread_mutex_lock(&s->lock);
        available = spread_available(&s->spread);
        room = available > s->promised ? (available - s->promised) / s->per_page : 0;
        got = room ? slot_map_alloc(s->map, pages < room ? pages : (uint32_t)room, first) : 0;
        s->promised += (uint64_t)got * s->per_page;
        pthread_mutex_unlock(&s->lock);
        return got;
}

static int page_store_ref(struct store *store, store_loc loc)
{
        struct page_store *s = page_store_of(store);
        int r;

        pthread_mutex_lock(&s->lock);
        r = slot_map_ref(s->map, loc);
        pthread_mutex_unlock(&s->lock);
        return r;
}

/* Adjacent units that are about to be given back. */
struct freed {
        unsigned medium;
        uint64_t at;
        uint32_t units;
};

static void free_units(struct page_store *s, const struct freed *f)
{
        if (f->units)
                spread_free(&s->spread, f->medium, f->at, f->units);
}

/* The location is about to be free, and what its page has taken with it. Adjacent places are given back together. */
static void vacate(struct page_store *s, store_loc loc, struct freed *f)
{
        struct place *p = &s->place[loc];

        if (p->kind == PLACE_NONE) {
                s->promised -= s->per_page;
                return;
        }
        p->kind = PLACE_NONE;
        if (!f->units || f->medium != p->medium || f->at + f->units != p->at) {
                free_units(s, f);
                *f = (struct freed){ .medium = p->medium, .at = p->at };
        }
        f->units += units_of(s, p);
}

static void page_store_unref(struct store *store, store_loc first, uint32_t pages)
{
        struct page_store *s = page_store_of(store);
        struct freed freed = { 0 };

        pthread_mutex_lock(&s->lock);
        for (store_loc loc = first; loc < first + pages; loc++)
                if (slot_map_refs(s->map, loc) == 1)
                        vacate(s, loc, &freed);
        free_units(s, &freed);
        slot_map_unref(s->map, first, pages);
        pthread_mutex_unlock(&s->lock);
}

uint32_t page_store_take(struct page_store *s, uint32_t pages, uint64_t now, unsigned *medium, uint64_t *at)
{
        uint32_t got;

        pthread_mutex_lock(&s->lock);
        got = spread_alloc(&s->spread, pages * s->per_page, s->per_page, now, medium, at);
        s->promised -= got;
        pthread_mutex_unlock(&s->lock);
        return got / s->per_page;
}

void page_store_give_back(struct page_store *s, uint32_t pages, uint64_t now, unsigned medium, uint64_t at)
{
        uint32_t units = pages * s->per_page;

        pthread_mutex_lock(&s->lock);
        spread_free(&s->spread, medium, at, units);
        spread_doubt(&s->spread, medium, now);
        s->promised += units;
        pthread_mutex_unlock(&s->lock);
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void page_store_stats(struct store *store, struct store_stats *out)
{
        struct page_store *s = page_store_of(store);
        uint64_t capacity = 0, used = 0;

        pthread_mutex_lock(&s->lock);
        for (unsigned i = 0; i < s->spread.n; i++) {
                const struct spread_part *p = &s->spread.part[i];

                capacity += p->medium->units * p->medium->unit;
                used += (p->medium->units - slot_map_available(p->map)) * p->medium->unit;
        }
        pthread_mutex_unlock(&s->lock);
        *out = (struct store_stats){
                .disk_capacity_bytes = capacity,
                .disk_bytes = used,
                .reads = count_of(&s->reads.ios),
                .writes = count_of(&s->writes.ios),
                .read_pages = count_of(&s->reads.pages),
                .written_pages = count_of(&s->writes.pages),
                .read_errors = count_of(&s->reads.errors),
                .write_errors = count_of(&s->writes.errors),
                .checksum_errors = count_of(&s->mismatches),
        };
}

static void clear(struct page_store *s)
{
        spread_clear(&s->spread);
        slot_map_free(s->map);
        places_free(s->place, s->n);
        checksums_free(s->sums);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

static void page_store_destroy(struct store *store)
{
        struct page_store *s = page_store_of(store);
        struct medium *medium[SPREAD_MOST];
        unsigned n = s->spread.n;

        assert(!s->ports);
        for (unsigned i = 0; i < n; i++)
                medium[i] = s->spread.part[i].medium;
        clear(s);
        for (unsigned i = 0; i < n; i++)
                medium_destroy(medium[i]);
}

static const struct store_ops page_store_ops = {
        .destroy = page_store_destroy,
        .alloc = page_store_alloc,
        .ref = page_store_ref,
        .unref = page_store_unref,
        .port_open = page_port_open,
        .port_close = page_port_close,
        .submit = page_port_submit,
        .stats = page_store_stats,
};

static int set_up(struct page_store *s, const struct page_store_medium *media, unsigned n)
{
        int r = 0;

        for (unsigned i = 0; i < n && r == 0; i++)
                r = spread_add(&s->spread, media[i].medium, media[i].weight);
        s->n = spread_units(&s->spread);
        if (r == 0)
                r = slot_map_new(s->n, &s->map);
        if (r == 0)
                r = places_new(s->n, &s->place);
        if (r == 0)
                r = checksums_new(s->n, &s->sums);
        return r;
}

int page_store_new(const struct page_store_medium *media, unsigned n, struct store **out, struct error *e)
{
        struct page_store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(e, -ENOMEM, "store %s: out of memory", media->medium->name);
        pthread_mutex_init(&s->lock, NULL);
        s->base.ops = &page_store_ops;
        s->per_page = STORE_PAGE / media->medium->unit;
        for (unsigned i = 0; i < n; i++)
                assert(media[i].medium->unit == media->medium->unit);
        r = set_up(s, media, n);
        if (r < 0) {
                clear(s);
                return error_sys(e, r, "store %s: no memory for its tables", media->medium->name);
        }
        *out = &s->base;
        return 0;
}
