// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store: pages on one or several media. A location is a number in a table that says where its page is (place), what
 * it was (checksum), and how many references it has (slot-map).
 *
 *   page-store   which locations are free, and which units of the media (spread)
 *   page-owner   whose they are, and how they are written
 *   page-drain   which pages are moved, so that free units lie together (drain); page-move moves them
 *   page-discard which free units are discarded, now and then
 *   page-back    writes packed pages back that were kept in memory (ram)
 *   page-port    moves pages, one port a worker
 *   medium-*     moves bytes
 *
 * Room is promised when locations are allocated, and found when they are written: then it is known how many bytes they
 * take. Locations of one allocation are written together, and lie together.
 *
 * Locking: one mutex around the maps and places, held for a search of bounded length and never during I/O. A location's
 * checksum and seal need none: they are written before its place says so, and stay until it is freed.
 */
#include "store/page-store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store/checksum.h"
#include "store/medium.h"
#include "store/page-store-internal.h"
#include "store/ram.h"
#include "store/seal.h"
#include "store/slot-map.h"
#include "util/error.h"

/* How many pages can be promised room. */
static uint64_t room_for(const struct page_store *s)
{
        uint64_t available = spread_available(&s->spread);

        return available > s->promised ? (available - s->promised) / s->per_page : 0;
}

static uint32_t page_store_alloc(struct store *store, uint32_t pages, store_loc *first)
{
        struct page_store *s = page_store_of(store);
        uint64_t room;
        uint32_t got;

        pthread_mutex_lock(&s->lock);
        room = room_for(s);
        if (room < pages && page_drain_end(s))
                room = room_for(s);
        got = room ? slot_map_alloc(s->map, pages < room ? pages : (uint32_t)room, first) : 0;
        s->promised += (uint64_t)got * s->per_page;
        if (got && *first + got > s->beyond)
                s->beyond = *first + got;
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
        struct place p = s->place[loc];

        s->place[loc] = (struct place){ 0 };
        if (p.sealed)
                seal_key_unref(s->keys, s->seals[loc].key, 1);
        if (p.kind == PLACE_NONE)
                s->promised -= s->per_page;
        if (p.kind == PLACE_RAM)
                ram_drop(s->ram, (struct ram_object *)(uintptr_t)p.at);
        if (p.kind != PLACE_MEDIUM)
                return;
        if (!f->units || f->medium != p.medium || f->at + f->units != p.at) {
                free_units(s, f);
                *f = (struct freed){ .medium = p.medium, .at = p.at };
        }
        f->units += place_units(s, &p);
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

/* How many of n pages have room in `got` units, and how many they take. */
static uint32_t fitting(const struct page_store *s, const uint8_t *units, uint32_t n, uint32_t got, uint32_t *taken)
{
        uint32_t i = 0;

        for (*taken = 0; i < n && *taken + (units ? units[i] : s->per_page) <= got; i++)
                *taken += units ? units[i] : s->per_page;
        return i;
}

uint32_t page_store_take(struct page_store *s, const uint8_t *units, uint32_t n, bool promised, uint64_t now,
                         const struct spread_view *view, unsigned *medium, uint64_t *at)
{
        uint32_t all = 0, least = units ? units[0] : s->per_page, got, pages = 0, taken;

        *medium = SPREAD_MOST;
        for (uint32_t i = 0; i < n; i++)
                all += units ? units[i] : s->per_page;
        pthread_mutex_lock(&s->lock);
        if (!promised && spread_available(&s->spread) < s->promised + all)
                page_drain_end(s);
        if (promised || spread_available(&s->spread) >= s->promised + all) {
                got = spread_take(&s->spread, all, least, now, view, medium, at);
                pages = fitting(s, units, n, got, &taken);
                if (taken < got)
                        spread_free(&s->spread, *medium, *at + taken, got - taken);
                s->promised -= promised ? (uint64_t)pages * s->per_page : 0;
                if (promised && *medium == SPREAD_MOST)
                        page_drain_urge(s);
                else
                        page_drain_allow(s, taken);
        }
        pthread_mutex_unlock(&s->lock);
        return pages;
}

void page_store_give_back(struct page_store *s, uint32_t n, uint64_t now, unsigned medium, uint64_t at, uint32_t units)
{
        pthread_mutex_lock(&s->lock);
        spread_failed(&s->spread, medium, at, units, now);
        s->promised += (uint64_t)n * s->per_page;
        pthread_mutex_unlock(&s->lock);
}

void page_store_settle(struct page_store *s, store_loc loc, const struct place *place, const struct seal *seal)
{
        if (place->sealed)
                seal_key_ref(s->keys, seal->key, 1);
        pthread_mutex_lock(&s->lock);
        assert(s->place[loc].kind == PLACE_NONE);
        s->place[loc] = *place;
        if (place->sealed)
                s->seals[loc] = *seal;
        if (place->kind != PLACE_MEDIUM)
                s->promised -= s->per_page;
        pthread_mutex_unlock(&s->lock);
}

bool page_store_move(struct page_store *s, store_loc loc, const void *object, const struct place *place,
                     const struct seal *seal)
{
        struct place *p = &s->place[loc];
        bool same;

        pthread_mutex_lock(&s->lock);
        same = p->kind == PLACE_RAM && p->at == (uintptr_t)object;
        if (same) {
                ram_drop(s->ram, (struct ram_object *)(uintptr_t)p->at);
                *p = *place;
                if (place->sealed) {
                        seal_key_ref(s->keys, seal->key, 1);
                        s->seals[loc] = *seal;
                }
        } else {
                spread_free(&s->spread, place->medium, place->at, place_units(s, place));
        }
        pthread_mutex_unlock(&s->lock);
        return same;
}

void page_store_look(struct page_store *s, store_loc first, uint32_t n, struct place *out)
{
        pthread_mutex_lock(&s->lock);
        memcpy(out, &s->place[first], n * sizeof(*out));
        pthread_mutex_unlock(&s->lock);
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void page_store_stats(struct store *store, struct store_stats *out)
{
        struct page_store *s = page_store_of(store);
        struct spread_stats disk;
        struct store_part_stats part[SPREAD_MOST];
        struct ram_stats ram = { 0 };

        if (s->ram)
                ram_stats(s->ram, &ram);
        pthread_mutex_lock(&s->lock);
        spread_stats(&s->spread, &disk);
        for (unsigned i = 0; i < s->spread.n; i++)
                spread_part_stats(&s->spread.part[i], &part[i]);
        pthread_mutex_unlock(&s->lock);
        *out = (struct store_stats){
                .disk_capacity_bytes = disk.capacity_bytes,
                .disk_bytes = disk.used_bytes,
                .disk_retired_bytes = disk.retired_bytes,
                .disk_free_long_bytes = disk.long_bytes,
                .disk_free_longest_bytes = disk.longest_bytes,
                .disk_free_runs = disk.runs,
                .disk_written_bytes = disk.written_bytes,
                .put_bytes = count_of(&s->writes.pages) * STORE_PAGE,
                .ram_bytes = ram.bytes,
                .reads = count_of(&s->reads.ios),
                .writes = count_of(&s->writes.ios),
                .read_pages = count_of(&s->reads.pages),
                .written_pages = count_of(&s->writes.pages),
                .discarded_bytes = disk.discarded_bytes,
                .discarding_bytes = disk.discarding_bytes,
                .discard_errors = disk.discard_errors,
                .moved_pages = count_of(&s->drain.pages),
                .read_errors = count_of(&s->reads.errors),
                .write_errors = count_of(&s->writes.errors),
                .checksum_errors = count_of(&s->mismatches),
                .n_parts = s->spread.n,
        };
        memcpy(out->part, part, s->spread.n * sizeof(*part));
}

static bool page_store_same(struct store *store, store_loc loc, const void *page)
{
        return checksums_check(page_store_of(store)->sums, loc, page, 1) == 1;
}

static unsigned page_store_parts(const struct store *store)
{
        return ((const struct page_store *)store)->spread.n;
}

static unsigned part_of(const struct page_store *s, const struct place *p)
{
        return p->kind == PLACE_MEDIUM ? p->medium : s->spread.n;
}

static uint32_t page_store_part(struct store *store, store_loc loc, uint32_t n, unsigned *part)
{
        struct page_store *s = page_store_of(store);
        uint32_t i = 0;

        *part = 0;
        if (s->spread.n == 1)
                return n;
        pthread_mutex_lock(&s->lock);
        *part = part_of(s, &s->place[loc]);
        while (i < n && part_of(s, &s->place[loc + i]) == *part)
                i++;
        pthread_mutex_unlock(&s->lock);
        return i;
}

/* Memory for a table that is touched where it is used: of a large store much may never be. The daemon's is locked. */
static void *table_new(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

static void table_free(void *table, size_t bytes)
{
        if (table)
                munmap(table, bytes);
}

static void clear(struct page_store *s)
{
        spread_clear(&s->spread);
        slot_map_free(s->map);
        table_free(s->place, s->n * sizeof(*s->place));
        table_free(s->seals, s->n * sizeof(*s->seals));
        checksums_free(s->sums);
        seal_keys_free(s->keys);
        if (s->ram)
                ram_free(s->ram);
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
        .port_tidy = page_port_tidy,
        .stats = page_store_stats,
        .same = page_store_same,
        .parts = page_store_parts,
        .part = page_store_part,
        .owner_new = page_owner_new,
        .owner_free = page_owner_free,
        .owner_limit = page_owner_limit,
        .owner_ram = page_owner_ram,
        .owner_busy = page_owner_busy,
};

static int make_seals(struct page_store *s)
{
        s->seals = table_new(s->n * sizeof(*s->seals));
        return s->seals ? seal_keys_new(SEAL_KEYS_MOST, &s->keys) : -ENOMEM;
}

static int set_up(struct page_store *s, const struct page_store_config *config, const struct page_store_medium *media,
                  unsigned n)
{
        int r = 0;

        s->packs = config->packs || config->seals;
        for (unsigned i = 0; i < n; i++)
                if (media[i].medium->unit > s->unit)
                        s->unit = media[i].medium->unit;
        for (unsigned i = 0; i < n && r == 0; i++) {
                medium_coarsen(media[i].medium, s->unit);
                r = spread_add(&s->spread, media[i].medium, media[i].weight);
        }
        if (r == 0)
                page_discard_init(s);
        s->per_page = STORE_PAGE / s->unit;
        /* What is in memory, or a word over and over, takes no units. */
        s->n = spread_units(&s->spread) * (s->packs && s->unit == STORE_PAGE ? 4 : 1);
        if (s->n > PAGE_STORE_MOST)
                s->n = PAGE_STORE_MOST;
        if (r == 0)
                r = slot_map_new(s->n, &s->map);
        if (r == 0)
                r = (s->place = table_new(s->n * sizeof(*s->place))) ? 0 : -ENOMEM;
        if (r == 0)
                r = checksums_new(s->n, &s->sums);
        if (r == 0 && config->seals)
                r = make_seals(s);
        if (r == 0 && config->ram)
                r = ram_new(UINT64_MAX, &s->ram);
        return r;
}

int page_store_new(const struct page_store_config *config, const struct page_store_medium *media, unsigned n,
                   struct store **out, struct error *e)
{
        struct page_store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(e, -ENOMEM, "store %s: out of memory", media->medium->name);
        pthread_mutex_init(&s->lock, NULL);
        s->base.ops = &page_store_ops;
        r = set_up(s, config, media, n);
        if (r < 0) {
                clear(s);
                return error_sys(e, r, "store %s: its tables cannot be made", media->medium->name);
        }
        *out = &s->base;
        return 0;
}
