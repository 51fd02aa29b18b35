// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pages are records in the order in which they were put. A batch has 1 to 256 pages of 1 to 8 units each, and goes
 * to as many runs of units as the map makes of it, the longest first; a page lies in one run, and what no page fits
 * into goes back.
 *
 *     batches   40 %: 256 pages (the pager's largest)   30 %: 1 to 16   30 %: 17 to 256
 *     frees     94 %: one page                          5.5 %: 1 to 64 in a row   0.5 %: 1 to 2048 in a row
 *     of        60 %: the youngest fifth                40 %: all
 *
 * By pages that is a third of single ones, half in short rows, the rest in long ones. A byte for each unit says who
 * has it, which is what the map is checked against.
 */
#include "churn.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/drain.h"
#include "store/unit-map.h"

#define BATCH   256u
#define LARGEST 8u /* units of a page */

struct record {
        uint64_t first;
        uint32_t units; /* 0: freed */
};

struct samples {
        uint32_t *ns;
        uint64_t n, room;
};

struct churn {
        struct unit_map *map;
        uint8_t *taken; /* a byte for each unit */
        uint64_t units, used, full;
        struct record *records;
        uint64_t n, room, live;
        uint64_t random;
        struct samples allocs, releases;
        uint64_t pieces, piece_units, batches; /* of batches of 256 pages */
        uint64_t batch_ns, batch_pages, batch_allocs;
        uint64_t puts, frees, refused, put_batches, released;
        struct drain drain;
        double moves;     /* units that may be moved for each unit that is put */
        double allowance; /* of them: units that may be moved now */
        uint64_t moving;  /* the next record to look at */
        uint64_t moved;   /* units */
        uint64_t written; /* units that were put */
        bool quiet;       /* allocations are not sampled: they are moves */
};

static void fail(const char *what)
{
        fprintf(stderr, "churn: %s\n", what);
        exit(EXIT_FAILURE);
}

static void *room_for(void *old, uint64_t n, size_t size)
{
        void *p = reallocarray(old, n, size);

        if (!p)
                fail("no memory");
        return p;
}

static uint64_t now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* xorshift64 */
static uint64_t draw(struct churn *c, uint64_t below)
{
        c->random ^= c->random << 13;
        c->random ^= c->random >> 7;
        c->random ^= c->random << 17;
        return (c->random >> 16) % below;
}

static void sample(struct samples *s, uint64_t ns)
{
        if (s->n == s->room) {
                s->room = s->room ? s->room * 2 : 1 << 16;
                s->ns = room_for(s->ns, s->room, sizeof(*s->ns));
        }
        s->ns[s->n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* --- units ------------------------------------------------------------------------------------- */

static void set_taken(struct churn *c, uint64_t first, uint64_t count, uint8_t to)
{
        if (first > c->units || count > c->units - first)
                fail("the map gave out units that there are not");
        for (uint64_t i = first; i < first + count; i++) {
                if (c->taken[i] == to)
                        fail(to ? "a unit was given out twice" : "a unit was freed twice");
                c->taken[i] = to;
        }
        c->used += to ? count : -count;
}

static uint32_t take(struct churn *c, uint32_t want, uint64_t *first)
{
        uint64_t began = now(), took;
        uint32_t got = unit_map_alloc(c->map, want, first);

        took = now() - began;
        if (!c->quiet) {
                sample(&c->allocs, took);
                c->batch_ns += took;
                c->batch_allocs++;
        }
        if (got > want || (!got && unit_map_available(c->map)))
                fail("the map gave other than was asked for");
        set_taken(c, *first, got, 1);
        return got;
}

static void release(struct churn *c, uint64_t first, uint64_t count)
{
        uint64_t began = now();

        unit_map_release(c->map, first, count);
        if (!c->quiet)
                sample(&c->releases, now() - began);
        set_taken(c, first, count, 0);
        c->released++;
}

/* --- pages ------------------------------------------------------------------------------------- */

/* How text and binaries compress, about, and some that does not. */
static uint32_t draw_units(struct churn *c)
{
        static const unsigned char of_16[16] = { 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8, 8 };

        return of_16[draw(c, 16)];
}

static uint32_t draw_batch(struct churn *c)
{
        uint64_t kind = draw(c, 10);

        return kind < 4 ? BATCH : (uint32_t)(kind < 7 ? 1 + draw(c, 16) : 17 + draw(c, BATCH - 16));
}

/* Drops the records of what was freed; the order stays. */
static void compact(struct churn *c)
{
        uint64_t n = 0, moving = 0;

        for (uint64_t i = 0; i < c->n; i++) {
                if (i == c->moving)
                        moving = n;
                if (c->records[i].units)
                        c->records[n++] = c->records[i];
        }
        c->moving = c->moving < c->n ? moving : n;
        c->n = n;
}

struct batch {
        uint32_t pages, units; /* of those that are not placed yet */
        uint32_t sizes[BATCH];
        uint64_t first[BATCH];
        bool placed[BATCH];
        uint32_t pieces;
};

/* Places what fits into a run, in order. Returns how much of the run that took. */
static uint32_t fill_run(struct batch *b, uint64_t first, uint32_t length)
{
        uint32_t at = 0;

        for (uint32_t i = 0; i < b->pages && at < length; i++)
                if (!b->placed[i] && b->sizes[i] <= length - at) {
                        b->placed[i] = true;
                        b->first[i] = first + at;
                        at += b->sizes[i];
                }
        b->units -= at;
        b->pieces += at > 0;
        return at;
}

/* In the longest runs there are, as long as those hold any page; then each page for itself. */
static void place(struct churn *c, struct batch *b)
{
        uint32_t used = 1;

        while (b->units && used) {
                uint64_t first = 0;
                uint32_t got = take(c, b->units, &first);

                used = got < b->units && got < LARGEST ? 0 : fill_run(b, first, got);
                if (used < got)
                        release(c, first + used, got - used);
        }
        for (uint32_t i = 0; i < b->pages && b->units; i++) {
                uint64_t first = 0;
                uint32_t got = b->placed[i] ? 0 : take(c, b->sizes[i], &first);

                if (!got)
                        continue;
                if (got < b->sizes[i]) {
                        release(c, first, got);
                        continue;
                }
                b->placed[i] = true;
                b->first[i] = first;
                b->units -= got;
                b->pieces++;
        }
}

static void put(struct churn *c, struct batch *b)
{
        uint32_t units = b->units, done = 0;

        place(c, b);
        for (uint32_t i = 0; i < b->pages; i++)
                if (b->placed[i]) {
                        c->records[c->n++] = (struct record){ b->first[i], b->sizes[i] };
                        done++;
                }
        c->put_batches++;
        c->puts += done;
        c->live += done;
        c->refused += b->pages - done;
        c->batch_pages += done;
        if (b->pages == BATCH) {
                c->batches++;
                c->pieces += b->pieces;
                c->piece_units += units - b->units;
        }
}

/* --- moves ------------------------------------------------------------------------------------- */

/* The records from `at` on that lie one behind another in a closed group. Returns how many units they take. */
static uint32_t closed_row(const struct churn *c, uint64_t at)
{
        uint64_t first = c->records[at].first;
        uint32_t units = 0;

        for (; at < c->n && units < BATCH * LARGEST / 4; at++) {
                const struct record *r = &c->records[at];

                if (r->units && (r->first != first + units || !unit_map_is_closed(c->map, r->first)))
                        break;
                units += r->units;
        }
        return units;
}

/* Moves what is in a row, or as much of it as goes in one piece. Returns how many units that were. */
static uint32_t move_row(struct churn *c, uint64_t at, uint32_t units)
{
        uint32_t got, done = 0;
        uint64_t first = 0;

        got = take(c, units, &first);
        for (; at < c->n && done < units; at++) {
                struct record *r = &c->records[at];

                if (r->units > got - done)
                        break;
                if (!r->units)
                        continue;
                release(c, r->first, r->units);
                r->first = first + done;
                done += r->units;
        }
        if (done < got)
                release(c, first + done, got - done);
        return done;
}

/* All groups can be had again, emptied or not. */
static void end_moves(struct churn *c)
{
        drain_end(&c->drain);
        c->moving = 0;
}

/* As the store does it: as much as what was put allows, group by group. */
static void move_some(struct churn *c, uint32_t put)
{
        c->written += put;
        c->allowance += put * c->moves;
        if (c->moves <= 0)
                return;
        if (!c->drain.n && (!drain_is_wanted(c->map) || !drain_begin(&c->drain, c->map, unit_map_available(c->map)))) {
                c->allowance = 0;
                return;
        }
        c->quiet = true;
        while (c->drain.n && c->allowance > 0) {
                const struct record *r = &c->records[c->moving];
                uint32_t moved = 0;

                if (c->moving >= c->n) {
                        end_moves(c);
                        break;
                }
                if (r->units && unit_map_is_closed(c->map, r->first))
                        moved = move_row(c, c->moving, closed_row(c, c->moving));
                if (!moved)
                        c->moving++;
                c->moved += moved;
                c->allowance -= moved;
        }
        c->quiet = false;
}

/* Frees up to `pages` that were put one behind another; what lies side by side goes in one piece. */
static void free_row(struct churn *c, uint64_t at, uint64_t pages)
{
        struct record run = { 0, 0 };

        for (; at < c->n && pages; at++) {
                struct record *r = &c->records[at];

                if (!r->units)
                        continue;
                if (run.first + run.units != r->first) {
                        if (run.units)
                                release(c, run.first, run.units);
                        run = (struct record){ r->first, 0 };
                }
                run.units += r->units;
                r->units = 0;
                c->live--;
                c->frees++;
                pages--;
        }
        if (run.units)
                release(c, run.first, run.units);
}

static void free_some(struct churn *c)
{
        uint64_t kind = draw(c, 1000), row = kind < 940 ? 1 : kind < 995 ? 1 + draw(c, 64) : 1 + draw(c, 2048);
        uint64_t young = c->n / 5;

        if (c->n >= 2 * c->live + 1024)
                compact(c);
        free_row(c, young && draw(c, 10) < 6 ? c->n - 1 - draw(c, young) : draw(c, c->n), row);
}

/* One batch; what is over 90 % is freed first. */
static void step(struct churn *c)
{
        struct batch b = { .pages = draw_batch(c) };
        uint32_t units;

        for (uint32_t i = 0; i < b.pages; i++)
                b.units += b.sizes[i] = draw_units(c);
        while (c->used + b.units > c->full)
                free_some(c);
        if (c->n + b.pages > c->room)
                compact(c);
        units = b.units;
        if (unit_map_available(c->map) < units)
                end_moves(c);
        put(c, &b);
        move_some(c, units);
}

/* --- what was seen ----------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void summarise(struct samples *s, uint64_t out[4])
{
        uint64_t sum = 0;

        if (!s->n)
                return;
        qsort(s->ns, s->n, sizeof(*s->ns), by_value);
        for (uint64_t i = 0; i < s->n; i++)
                sum += s->ns[i];
        out[0] = sum / s->n;
        out[1] = s->ns[s->n / 2];
        out[2] = s->ns[(s->n - 1) * 99 / 100];
        out[3] = s->ns[s->n - 1];
}

static double clock_cost(void)
{
        uint64_t began = now();

        for (int i = 0; i < 1000; i++)
                now();
        return (double)(now() - began) / 1001;
}

/* Counts the free runs, and sees whether the map knows of them: with runs cut at the borders of its groups. */
static void look(struct churn *c, struct churn_phase *p)
{
        uint64_t cut_runs = 0, cut_long = 0, in_long = 0, run = 0, cut = 0;
        struct unit_map_stats s;

        for (uint64_t i = 0; i <= c->units; i++) {
                bool is_free = i < c->units && !c->taken[i];

                if (cut && (!is_free || i % UNIT_MAP_GROUP == 0)) {
                        cut_runs++;
                        cut_long += cut >= UNIT_MAP_LONG ? cut : 0;
                        cut = 0;
                }
                if (run && !is_free) {
                        p->runs++;
                        in_long += run >= UNIT_MAP_LONG ? run : 0;
                        p->longest = run > p->longest ? (uint32_t)run : p->longest;
                        run = 0;
                }
                run += is_free;
                cut += is_free;
        }
        p->free_units = c->units - c->used;
        p->long_share = p->free_units ? (double)in_long / (double)p->free_units : 0;
        end_moves(c); /* so that the map counts all runs */
        unit_map_stats(c->map, &s);
        if (s.available != p->free_units || s.runs != cut_runs || s.long_units != cut_long)
                fail("what the map says of its runs is not so");
}

/* Forgets the samples, runs until `puts` pages were put and `frees` freed, and says what was seen. */
static void run_phase(struct churn *c, uint64_t pages, struct churn_phase *out)
{
        struct churn_phase p = { 0 };
        uint64_t puts = c->puts + pages, frees = c->frees + pages;

        c->allocs.n = c->releases.n = 0;
        c->pieces = c->piece_units = c->batches = 0;
        c->batch_ns = c->batch_pages = c->batch_allocs = 0;
        while (c->puts < puts || c->frees < frees)
                step(c);
        if (!out)
                return;
        p.ns_of_clock = clock_cost();
        p.allocations = c->allocs.n;
        summarise(&c->allocs, p.alloc_ns);
        summarise(&c->releases, p.release_ns);
        p.ns_a_page = ((double)c->batch_ns - (double)c->batch_allocs * p.ns_of_clock) / (double)c->batch_pages;
        p.pieces = (double)c->pieces / (double)c->batches;
        p.piece_units = (double)c->piece_units / (double)c->pieces;
        look(c, &p);
        *out = p;
}

void churn_run(const struct churn_config *config, struct churn_result *out)
{
        struct churn c = { .units = config->units,
                           .full = config->units / 10 * 9,
                           .random = config->seed | 1,
                           .moves = config->moves };
        struct churn_result r = { 0 };
        uint64_t began = now();

        c.room = c.units + BATCH;
        c.records = room_for(NULL, c.room, sizeof(*c.records));
        c.taken = calloc(c.units, 1);
        if (!c.taken || unit_map_new(c.units, &c.map) < 0)
                fail("no memory");

        while (!c.frees) /* fills it; the first free is at 90 % */
                step(&c);
        c.puts = c.frees = c.refused = c.put_batches = c.released = c.moved = c.written = 0;
        run_phase(&c, config->pages / 20, &r.start);
        run_phase(&c, config->pages / 20 * 18, NULL);
        run_phase(&c, config->pages / 20, &r.end);

        r.puts = c.puts;
        r.frees = c.frees;
        r.batches = c.put_batches;
        r.releases = c.released;
        r.refused = c.refused;
        r.moved = (double)c.moved / (double)c.written;
        r.seconds = (double)(now() - began) / 1e9;
        unit_map_free(c.map);
        free(c.taken);
        free(c.records);
        free(c.allocs.ns);
        free(c.releases.ns);
        *out = r;
}
