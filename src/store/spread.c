// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which medium gets what is to be written next: smooth weighted round robin, by units. With each run that is placed
 * all media earn credit by their weights, and the one that was chosen pays for what it took; who has most is next. So
 * shares are right over any length of time, and a run, which is read back in one I/O, is never cut for them.
 *
 * Units that could not be written are held back for a while, since the map would give the same ones out again: a part
 * of a medium that is bad must not keep what can be written elsewhere. Where nothing else is free they are tried again.
 */
#include "store/spread.h"

#include <errno.h>
#include <stdbool.h>

#include "store/doubt.h"
#include "store/medium.h"
#include "store/unit-map.h"

#define DOUBT_NS UINT64_C(2000000000)

int spread_add(struct spread *s, struct medium *medium, unsigned weight)
{
        struct spread_part *p = &s->part[s->n];
        int r;

        if (s->n == SPREAD_MOST)
                return -ENOSPC;
        *p = (struct spread_part){ .medium = medium, .weight = weight };
        r = unit_map_new_long(medium->units, SPREAD_LONG_BYTES / medium->unit, &p->map);
        if (r < 0)
                return r;
        s->n++;
        s->weights += weight;
        return 0;
}

void spread_clear(struct spread *s)
{
        while (s->n)
                unit_map_free(s->part[--s->n].map);
        s->weights = 0;
}

static bool is_doubtful(const struct spread *s, unsigned part, uint64_t now, const struct spread_view *view)
{
        const struct spread_part *p = &s->part[part];

        return now < p->doubtful_until || (view->slow >> part & 1) || medium_is_away(p->medium);
}

/* The one with most credit among those with room that were not tried; SPREAD_MOST: none. */
static unsigned choose(const struct spread *s, uint32_t least, uint64_t now, const struct spread_view *view,
                       unsigned tried)
{
        bool best_is_doubtful = false;
        unsigned best = SPREAD_MOST;

        for (unsigned i = 0; i < s->n; i++) {
                const struct spread_part *p = &s->part[i];
                bool doubtful;

                if (tried >> i & 1 || unit_map_available(p->map) < least)
                        continue;
                doubtful = is_doubtful(s, i, now, view);
                if (best == SPREAD_MOST || doubtful < best_is_doubtful ||
                    (doubtful == best_is_doubtful && p->credit > s->part[best].credit)) {
                        best = i;
                        best_is_doubtful = doubtful;
                }
        }
        return best;
}

static void charge(struct spread *s, unsigned chosen, uint32_t units)
{
        if (s->n == 1)
                return;
        for (unsigned i = 0; i < s->n; i++)
                s->part[i].credit += (int64_t)units * s->part[i].weight;
        s->part[chosen].credit -= (int64_t)units * s->weights;
}

/* Gives back the oldest that is held of a medium. */
static void let_go(struct spread *s, unsigned part)
{
        struct spread_part *p = &s->part[part];
        struct spread_held h = p->held[p->held_first];

        p->held_first = (p->held_first + 1) % SPREAD_HELD;
        p->n_held--;
        p->held_units -= h.units;
        spread_free(s, part, h.at, h.units);
}

/* Gives back what is held until then, of all media. Returns whether that was anything. */
static bool let_go_until(struct spread *s, uint64_t now)
{
        bool any = false;

        for (unsigned i = 0; i < s->n; i++)
                for (struct spread_part *p = &s->part[i]; p->n_held && p->held[p->held_first].until <= now; any = true)
                        let_go(s, i);
        return any;
}

static uint32_t alloc(struct spread *s, uint32_t units, uint32_t least, uint64_t now, const struct spread_view *view,
                      unsigned *part, uint64_t *at)
{
        unsigned tried = 0;

        for (;;) {
                unsigned i = choose(s, least, now, view, tried);
                uint32_t got;

                if (i == SPREAD_MOST || (view->held >> i & 1)) {
                        *part = i;
                        return 0;
                }
                got = unit_map_alloc(s->part[i].map, units, at);
                if (got >= least) {
                        charge(s, i, got);
                        *part = i;
                        return got;
                }
                unit_map_release(s->part[i].map, *at, got);
                tried |= 1u << i;
        }
}

uint32_t spread_take(struct spread *s, uint32_t units, uint32_t least, uint64_t now, const struct spread_view *view,
                     unsigned *part, uint64_t *at)
{
        static const struct spread_view nothing;
        uint32_t got;

        view = view ? view : &nothing;
        let_go_until(s, now);
        got = alloc(s, units, least, now, view, part, at);
        if (got == 0 && *part == SPREAD_MOST && let_go_until(s, UINT64_MAX))
                got = alloc(s, units, least, now, view, part, at);
        return got;
}

void spread_free(struct spread *s, unsigned part, uint64_t at, uint32_t units)
{
        struct spread_part *p = &s->part[part];
        uint64_t n = units;
        int in_doubt = 0;

        for (; units; at += n, units -= (uint32_t)n) {
                if (p->medium->doubt)
                        n = doubt_run(p->medium->doubt, at, units, &in_doubt);
                if (in_doubt)
                        p->retired += n;
                else
                        unit_map_release(p->map, at, n);
        }
}

/* Whether all of it may be written again, sooner or later. */
static bool is_certain(const struct medium *m, uint64_t at, uint32_t units)
{
        int in_doubt;

        return !m->doubt || (doubt_run(m->doubt, at, units, &in_doubt) == units && !in_doubt);
}

void spread_failed(struct spread *s, unsigned part, uint64_t at, uint32_t units, uint64_t now)
{
        struct spread_part *p = &s->part[part];

        p->doubtful_until = now + DOUBT_NS;
        if (!is_certain(p->medium, at, units)) {
                spread_free(s, part, at, units);
                return;
        }
        if (p->n_held == SPREAD_HELD)
                let_go(s, part);
        p->held[(p->held_first + p->n_held++) % SPREAD_HELD] =
                (struct spread_held){ .at = at, .until = now + DOUBT_NS, .units = units };
        p->held_units += units;
}

void spread_discard(struct spread *s, unsigned part, uint32_t units)
{
        s->part[part].discarding += units;
}

void spread_discarded(struct spread *s, unsigned part, uint64_t at, uint32_t units)
{
        s->part[part].discarding -= units;
        spread_free(s, part, at, units);
}

uint64_t spread_units(const struct spread *s)
{
        uint64_t units = 0;

        for (unsigned i = 0; i < s->n; i++)
                units += s->part[i].medium->units;
        return units;
}

uint64_t spread_part_available(const struct spread_part *p)
{
        return unit_map_available(p->map) + p->held_units + p->discarding;
}

uint64_t spread_available(const struct spread *s)
{
        uint64_t units = 0;

        for (unsigned i = 0; i < s->n; i++)
                units += spread_part_available(&s->part[i]);
        return units;
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

void spread_part_stats(const struct spread_part *p, struct store_part_stats *out)
{
        const struct medium *m = p->medium;
        struct unit_map_stats map;

        unit_map_stats(p->map, &map);
        *out = (struct store_part_stats){
                .name = m->name,
                .capacity_bytes = (map.units - p->retired) * m->unit,
                .bytes = (map.units - spread_part_available(p) - map.closed - p->retired) * m->unit,
                .read_bytes = count_of(&m->reads.bytes),
                .written_bytes = count_of(&m->writes.bytes),
                .read_errors = count_of(&m->reads.errors),
                .write_errors = count_of(&m->writes.errors),
                .away = medium_is_away(m),
        };
}

void spread_stats(const struct spread *s, struct spread_stats *out)
{
        *out = (struct spread_stats){ 0 };
        for (unsigned i = 0; i < s->n; i++) {
                const struct spread_part *p = &s->part[i];
                uint64_t unit = p->medium->unit;
                struct store_part_stats part;
                struct unit_map_stats map;

                spread_part_stats(p, &part);
                unit_map_stats(p->map, &map);
                out->capacity_bytes += part.capacity_bytes;
                out->used_bytes += part.bytes;
                out->retired_bytes += p->retired * unit;
                out->long_bytes += map.long_units * unit;
                out->runs += map.runs;
                if (map.longest * unit > out->longest_bytes)
                        out->longest_bytes = map.longest * unit;
                out->written_bytes += part.written_bytes;
                out->discarded_bytes += count_of(&p->medium->discards.bytes);
                out->discard_errors += count_of(&p->medium->discards.errors);
                out->discarding_bytes += p->discarding * unit;
        }
}
