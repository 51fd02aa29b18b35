// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The churn of churn.c at full length, start and end side by side.
 *
 *     bench-churn [--size MIB] [--pages N] [--seed N] [--moves UNITS] [--json FILE]
 *
 * UNITS are moved for each that is put, at most; without it as many as the store moves.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "churn.h"
#include "store/drain.h"

#define UNITS_A_MIB 2048u

static void row(const char *what, const char *format, double start, double end)
{
        printf("%-46s", what);
        printf(format, start);
        printf(format, end);
        putchar('\n');
}

static void print(const struct churn_config *config, const struct churn_result *r)
{
        static const char *const of[4] = { "mean", "p50", "p99", "largest" };
        const struct churn_phase *s = &r->start, *e = &r->end;
        char what[64];

        printf("%" PRIu64 " MiB in units of 512 bytes, 90 %% full; %" PRIu64 " pages put in %" PRIu64
               " batches, %" PRIu64 " freed in %" PRIu64 " runs; %.1f s\n",
               config->units / UNITS_A_MIB, r->puts, r->batches, r->frees, r->releases, r->seconds);
        printf("%" PRIu64 " pages found no run that holds them; %.2f units moved for each that was put\n\n", r->refused,
               r->moved);
        printf("%-46s%12s%12s\n", "", "first 5 %", "last 5 %");
        for (int i = 0; i < 4; i++) {
                snprintf(what, sizeof(what), "allocation, %s (ns, %.0f of it the clock)", of[i], e->ns_of_clock);
                row(what, "%12.0f", (double)s->alloc_ns[i], (double)e->alloc_ns[i]);
        }
        for (int i = 0; i < 4; i++) {
                snprintf(what, sizeof(what), "release, %s (ns)", of[i]);
                row(what, "%12.0f", (double)s->release_ns[i], (double)e->release_ns[i]);
        }
        row("allocation, a page (ns)", "%12.0f", s->ns_a_page, e->ns_a_page);
        row("pieces of a batch of 256 pages", "%12.1f", s->pieces, e->pieces);
        row("units in a piece", "%12.1f", s->piece_units, e->piece_units);
        row("free runs", "%12.0f", (double)s->runs, (double)e->runs);
        row("units in a free run", "%12.1f", (double)s->free_units / (double)s->runs,
            (double)e->free_units / (double)e->runs);
        row("longest free run (units)", "%12.0f", s->longest, e->longest);
        row("of what is free, in runs of 64 KiB or more (%)", "%12.1f", 100 * s->long_share, 100 * e->long_share);
}

static void add(struct json_object *to, const char *name, double value)
{
        json_object_object_add(to, name, json_object_new_double(value));
}

static void add_phase(struct json_object *to, const char *name, const struct churn_phase *p)
{
        static const char *const of[4] = { "mean", "p50", "p99", "max" };
        struct json_object *o = json_object_new_object(), *a = json_object_new_object(), *f = json_object_new_object();

        for (int i = 0; i < 4; i++) {
                add(a, of[i], (double)p->alloc_ns[i]);
                add(f, of[i], (double)p->release_ns[i]);
        }
        json_object_object_add(o, "alloc_ns", a);
        json_object_object_add(o, "release_ns", f);
        add(o, "alloc_ns_per_page", p->ns_a_page);
        add(o, "pieces_per_256_pages", p->pieces);
        add(o, "units_per_piece", p->piece_units);
        add(o, "free_runs", (double)p->runs);
        add(o, "free_units", (double)p->free_units);
        add(o, "longest_run_units", p->longest);
        add(o, "free_in_long_runs", p->long_share);
        json_object_object_add(to, name, o);
}

static int write_json(const char *path, const struct churn_config *config, const struct churn_result *r)
{
        struct json_object *o = json_object_new_object();
        int failed;

        add(o, "units", (double)config->units);
        add(o, "seed", (double)config->seed);
        add(o, "pages_put", (double)r->puts);
        add(o, "pages_freed", (double)r->frees);
        add(o, "pages_refused", (double)r->refused);
        add(o, "units_moved_per_unit_put", r->moved);
        add_phase(o, "start", &r->start);
        add_phase(o, "end", &r->end);
        failed = json_object_to_file_ext(path, o, JSON_C_TO_STRING_PRETTY) < 0;
        json_object_put(o);
        if (failed)
                fprintf(stderr, "bench-churn: cannot write %s\n", path);
        return failed;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "size", required_argument, NULL, 's' }, { "pages", required_argument, NULL, 'p' },
                { "seed", required_argument, NULL, 'r' }, { "moves", required_argument, NULL, 'm' },
                { "json", required_argument, NULL, 'j' }, { 0 },
        };
        struct churn_config config = {
                .units = 512 * UNITS_A_MIB, .pages = 2000000, .seed = 1, .moves = 1.0 / DRAIN_WRITES
        };
        const char *json = NULL;
        struct churn_result r;
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
                uint64_t n = optarg ? strtoull(optarg, NULL, 0) : 0;

                switch (o) {
                case 's':
                        config.units = n * UNITS_A_MIB;
                        break;
                case 'p':
                        config.pages = n;
                        break;
                case 'r':
                        config.seed = n;
                        break;
                case 'm':
                        config.moves = strtod(optarg, NULL);
                        break;
                case 'j':
                        json = optarg;
                        break;
                default:
                        return 2;
                }
        }
        if (config.units < 16 * UNITS_A_MIB || config.pages < 1000) {
                fprintf(stderr, "bench-churn: the least are --size 16 (MiB) and --pages 1000\n");
                return 2;
        }
        churn_run(&config, &r);
        print(&config, &r);
        return json ? write_json(json, &config, &r) : EXIT_SUCCESS;
}
