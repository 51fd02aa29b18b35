// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a store costs over the bare device, and what its configurations bring.
 *
 *   beside a ring   each job in turn (A B, B A, ...) by the store and by a ring of one's own on the same file
 *                   (store-ways.c). Of each figure: the median of the rounds, the lowest and the highest, and the
 *                   median of the rounds' own ratios. Each round writes before it reads.
 *   put and get     for each configuration and each kind of content: pages/s of batches at depth 8, latency of a batch
 *                   and of a single page at depth 1, pages/s of single pages at depth 32, and how small it gets.
 *
 *     bench-store --dir FOLDER [--json FILE] [--rounds N] [--short]
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "store-configs.h"
#include "store-content.h"
#include "store-ways.h"

#define MIB_PAGES   256u
#define ROUNDS_MOST 31

enum unit { MICROSECONDS_P50, MICROSECONDS_P99, MEGABYTES, PAGES };

/* A figure of the comparison: which job, and what of it. */
struct figure {
        const char *name; /* in JSON as well */
        unsigned job;     /* of jobs[] */
        enum unit unit;
};

static struct job jobs[] = {
        { .write = true, .pages = RUN_MOST, .depth = 8 },
        { .write = true, .pages = RUN_MOST, .depth = 1 },
        { .pages = 1, .depth = 1, .count = 1500 },
        { .pages = 1, .depth = 32, .count = 15000 },
        { .pages = 16, .depth = 1, .count = 500 },
        { .pages = 64, .depth = 1, .count = 300 },
        { .pages = 64, .depth = 8, .count = 600 },
        { .pages = 1, .depth = 1, .count = 1500, .spin = true }, /* the ring alone */
};

enum { JOBS = sizeof(jobs) / sizeof(*jobs), SPIN = JOBS - 1 };

static const struct figure figures[] = {
        { "write, 256 pages, depth 8", 0, MEGABYTES },
        { "write, 256 pages, depth 1", 1, MEGABYTES },
        { "read, 1 page, depth 1, p50", 2, MICROSECONDS_P50 },
        { "read, 1 page, depth 1, p99", 2, MICROSECONDS_P99 },
        { "read, 1 page, depth 32", 3, PAGES },
        { "read, 1 page, depth 32, p99", 3, MICROSECONDS_P99 },
        { "read, 16 pages, depth 1, p50", 4, MICROSECONDS_P50 },
        { "read, 64 pages, depth 1, p50", 5, MICROSECONDS_P50 },
        { "read, 64 pages, depth 8", 6, MEGABYTES },
};

enum { FIGURES = sizeof(figures) / sizeof(*figures) };

static const char *const unit_names[] = { "us", "us", "MB/s", "pages/s" };

struct options {
        const char *dir, *json;
        unsigned rounds;
        uint32_t pages; /* written and read in a round */
};

static double value_of(enum unit unit, const struct outcome *o)
{
        double seconds = (double)o->ns / 1e9;

        switch (unit) {
        case MICROSECONDS_P50:
                return (double)o->p50 / 1e3;
        case MICROSECONDS_P99:
                return (double)o->p99 / 1e3;
        case MEGABYTES:
                return (double)o->pages * STORE_PAGE / 1e6 / seconds;
        case PAGES:
                return (double)o->pages / seconds;
        }
        return 0;
}

/* --- medians ----------------------------------------------------------------------------------- */

struct spread {
        double low, median, high;
};

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static struct spread spread_of(const double *values, unsigned n)
{
        double v[ROUNDS_MOST];

        memcpy(v, values, n * sizeof(*v));
        qsort(v, n, sizeof(*v), by_value);
        return (struct spread){ v[0], n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2, v[n - 1] };
}

static struct json_object *number(double value)
{
        return json_object_new_double(value);
}

static struct json_object *spread_json(struct spread s)
{
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "median", number(s.median));
        json_object_object_add(o, "low", number(s.low));
        json_object_object_add(o, "high", number(s.high));
        return o;
}

/* --- beside a ring ----------------------------------------------------------------------------- */

/* Each job by one and at once by the other, so that what else the machine does meets both. */
static void run_round(struct bench *b, bool ring_first, struct outcome *store, struct outcome *ring)
{
        for (unsigned i = 0; i < JOBS; i++)
                for (int turn = 0; turn < 2; turn++)
                        if (ring_first == (turn == 0))
                                run_by_ring(b, &jobs[i], &ring[i]);
                        else if (i != SPIN)
                                run_by_store(b, &jobs[i], &store[i]);
}

static void report_figure(const struct figure *f, const struct outcome (*store)[JOBS],
                          const struct outcome (*ring)[JOBS], unsigned rounds, struct json_object *json)
{
        double by_store[ROUNDS_MOST], by_ring[ROUNDS_MOST], ratios[ROUNDS_MOST];
        struct json_object *o = json_object_new_object();
        struct spread s, r, q;

        for (unsigned i = 0; i < rounds; i++) {
                by_store[i] = value_of(f->unit, &store[i][f->job]);
                by_ring[i] = value_of(f->unit, &ring[i][f->job]);
                ratios[i] = by_store[i] / by_ring[i];
        }
        s = spread_of(by_store, rounds);
        r = spread_of(by_ring, rounds);
        q = spread_of(ratios, rounds);
        printf("%-30s%10.1f (%.1f-%.1f)%10.1f (%.1f-%.1f) %-8s%6.2f (%.2f-%.2f)\n", f->name, s.median, s.low, s.high,
               r.median, r.low, r.high, unit_names[f->unit], q.median, q.low, q.high);
        json_object_object_add(o, "unit", json_object_new_string(unit_names[f->unit]));
        json_object_object_add(o, "store", spread_json(s));
        json_object_object_add(o, "ring", spread_json(r));
        json_object_object_add(o, "ratio", spread_json(q));
        json_object_object_add(json, f->name, o);
}

static void compare(const struct options *opt, const char *path, struct json_object *json)
{
        static struct outcome store[ROUNDS_MOST][JOBS], ring[ROUNDS_MOST][JOBS];
        struct json_object *o = json_object_new_object();
        uint64_t bytes = (uint64_t)opt->pages * 5 / 4 * STORE_PAGE;
        double spin[ROUNDS_MOST];
        struct bench b;
        struct spread s;

        struct store_owner_config owner = store_config_owner(&store_configs[0]);

        bench_open(&b, store_config_open(&store_configs[0], path, bytes), &owner, path, bytes, opt->pages);
        content_fill(CONTENT_RANDOM, (unsigned char *)b.source, b.pages);
        run_round(&b, true, store[0], ring[0]); /* once uncounted: no extent is unwritten then */
        for (unsigned i = 0; i < opt->rounds; i++)
                run_round(&b, i % 2, store[i], ring[i]);
        bench_close(&b);

        printf("Medians of %u rounds (lowest-highest); %u MiB a round. Both sleep in io_uring_enter() for a "
               "completion.\n\n",
               opt->rounds, opt->pages / MIB_PAGES);
        printf("%-30s%24s%24s%24s\n", "", "store", "ring", "store/ring");
        for (unsigned i = 0; i < FIGURES; i++)
                report_figure(&figures[i], store, ring, opt->rounds, o);
        for (unsigned i = 0; i < opt->rounds; i++)
                spin[i] = value_of(MICROSECONDS_P50, &ring[i][SPIN]);
        s = spread_of(spin, opt->rounds);
        printf("\nA ring that does not sleep reads 1 page at depth 1 in %.1f us p50 (%.1f-%.1f).\n\n", s.median, s.low,
               s.high);
        json_object_object_add(o, "ring that spins, 1 page, depth 1, p50", spread_json(s));
        json_object_object_add(json, "beside_ring", o);
}

/* --- put and get ------------------------------------------------------------------------------- */

struct put_get {
        struct outcome put8, put1, get1, get32;
        double ratio;
};

static struct put_get put_get(struct bench *b)
{
        const struct job put8 = jobs[0], put1 = jobs[1], get1 = jobs[2], get32 = jobs[3];
        struct store_stats before, after;
        struct put_get r;

        forget_stored(b);
        store_stats(b->store, &before);
        run_by_store(b, &put8, &r.put8);
        store_stats(b->store, &after);
        r.ratio = (double)b->pages * STORE_PAGE /
                  (double)(after.disk_bytes + after.ram_bytes - before.disk_bytes - before.ram_bytes);
        run_by_store(b, &get1, &r.get1);
        run_by_store(b, &get32, &r.get32);
        run_by_store(b, &put1, &r.put1);
        run_by_store(b, &get1, &r.get1);
        return r;
}

static void report_put_get(const struct store_config *c, enum content content, const struct put_get *r, uint32_t pages,
                           struct json_object *json)
{
        struct json_object *o = json_object_new_object();
        const struct {
                const char *name;
                double value;
        } of[] = {
                { "put_pages_per_s", value_of(PAGES, &r->put8) },
                { "put_batch_p50_us", value_of(MICROSECONDS_P50, &r->put1) },
                { "put_batch_p99_us", value_of(MICROSECONDS_P99, &r->put1) },
                { "get_pages_per_s", value_of(PAGES, &r->get32) },
                { "get_p50_us", value_of(MICROSECONDS_P50, &r->get1) },
                { "get_p99_us", value_of(MICROSECONDS_P99, &r->get1) },
                { "compression_ratio", r->ratio },
                { "pages", pages },
        };

        printf("%-12s%-6s%-5s%-8s%11.0f%9.0f%9.0f%11.0f%9.1f%9.1f%8.2f\n", c->name, c->tier,
               c->encrypted ? "yes" : "no", content_names[content], of[0].value, of[1].value, of[2].value, of[3].value,
               of[4].value, of[5].value, of[6].value);
        json_object_object_add(o, "config", json_object_new_string(c->name));
        json_object_object_add(o, "codec", json_object_new_string(c->codec));
        json_object_object_add(o, "level", json_object_new_int(store_config_owner(c).codec.level));
        json_object_object_add(o, "tier", json_object_new_string(c->tier));
        json_object_object_add(o, "encrypted", json_object_new_boolean(c->encrypted));
        json_object_object_add(o, "content", json_object_new_string(content_names[content]));
        for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++)
                json_object_object_add(o, of[i].name, number(of[i].value));
        json_object_array_add(json, o);
}

static void all_configs(const struct options *opt, const char *path, struct json_object *json)
{
        struct json_object *list = json_object_new_array();

        printf("%-12s%-6s%-5s%-8s%11s%18s%11s%18s%8s\n", "", "", "", "", "put", "a batch (us)", "get", "a page (us)",
               "");
        printf("%-12s%-6s%-5s%-8s%11s%9s%9s%11s%9s%9s%8s\n", "store", "tier", "enc", "content", "pages/s", "p50", "p99",
               "pages/s", "p50", "p99", "ratio");
        for (const struct store_config *c = store_configs; c->name; c++) {
                struct store_owner_config owner = store_config_owner(c);
                struct bench b;

                bench_open(&b, store_config_open(c, path, (uint64_t)opt->pages * 5 / 4 * STORE_PAGE), &owner, path, 0,
                           opt->pages);
                for (enum content k = 0; k < CONTENTS; k++) {
                        uint32_t pages = content_fill(k, (unsigned char *)b.source, opt->pages) / RUN_MOST * RUN_MOST;
                        struct put_get r;

                        if (pages < 4 * RUN_MOST)
                                bench_fail("this machine has too few files for 4 MiB of content", 0);
                        b.pages = pages;
                        r = put_get(&b);
                        report_put_get(c, k, &r, pages, list);
                        forget_stored(&b);
                        b.pages = opt->pages;
                }
                bench_close(&b);
        }
        json_object_object_add(json, "put_get", list);
}

/* ----------------------------------------------------------------------------------------------- */

static void take_options(int argc, char **argv, struct options *opt)
{
        static const struct option options[] = {
                { "dir", required_argument, NULL, 'd' },
                { "json", required_argument, NULL, 'j' },
                { "rounds", required_argument, NULL, 'r' },
                { "short", no_argument, NULL, 's' },
                { 0 },
        };
        int o;

        *opt = (struct options){ .rounds = 15, .pages = 128 * MIB_PAGES };
        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (o) {
                case 'd':
                        opt->dir = optarg;
                        break;
                case 'j':
                        opt->json = optarg;
                        break;
                case 'r':
                        opt->rounds = (unsigned)atoi(optarg);
                        break;
                case 's':
                        opt->rounds = 2;
                        opt->pages = 16 * MIB_PAGES;
                        for (unsigned i = 0; i < JOBS; i++)
                                jobs[i].count /= 10;
                        break;
                default:
                        exit(2);
                }
        if (!opt->dir || opt->rounds < 1 || opt->rounds > ROUNDS_MOST) {
                fprintf(stderr, "usage: bench-store --dir FOLDER [--json FILE] [--rounds 1..%d] [--short]\n",
                        ROUNDS_MOST);
                exit(2);
        }
}

int main(int argc, char **argv)
{
        struct json_object *json = json_object_new_object();
        struct options opt;
        char path[PATH_MAX];

        take_options(argc, argv, &opt);
        setvbuf(stdout, NULL, _IOLBF, 0);
        snprintf(path, sizeof(path), "%s/store.%d", opt.dir, (int)getpid());
        compare(&opt, path, json);
        all_configs(&opt, path, json);
        if (opt.json && json_object_to_file_ext(opt.json, json, JSON_C_TO_STRING_PRETTY) < 0)
                bench_fail(opt.json, 0);
        json_object_put(json);
        return EXIT_SUCCESS;
}
