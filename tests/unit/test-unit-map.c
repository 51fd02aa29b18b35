// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The unit map beyond what test-slot-map.c sees of it: its statistics, what lies across groups, best fit, and a short
 * churn, which checks each unit given out and the statistics of the map against a byte for each unit.
 */
#include "store/unit-map.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "../bench/churn.h"
#include "store/drain.h"
#include "unit-run.h"

static struct unit_map *map_of(uint64_t units)
{
        struct unit_map *map = NULL;

        ck_assert_int_eq(unit_map_new(units, &map), 0);
        return map;
}

static struct unit_map_stats stats_of(const struct unit_map *map)
{
        struct unit_map_stats s;

        unit_map_stats(map, &s);
        return s;
}

/* Takes all of it. */
static struct unit_map *map_full(uint64_t units)
{
        struct unit_map *map = map_of(units);
        uint64_t first;

        while (unit_map_alloc(map, UNIT_MAP_RUN_MOST, &first))
                ;
        ck_assert_uint_eq(unit_map_available(map), 0);
        ck_assert_uint_eq(stats_of(map).runs, 0);
        ck_assert_uint_eq(stats_of(map).longest, 0);
        return map;
}

START_TEST(test_sizes)
{
        struct unit_map *map = NULL;

        ck_assert_int_eq(unit_map_new(0, &map), -EINVAL);
        ck_assert_int_eq(unit_map_new(UNIT_MAP_MOST + 1, &map), -EFBIG);
        ck_assert_ptr_null(map);
        unit_map_free(NULL);

        map = map_of(1 << 24);
        ck_assert_uint_le(unit_map_bytes(map) * 8, (1 << 24) * 11 / 10);
        unit_map_free(map);
}
END_TEST

START_TEST(test_stats)
{
        struct unit_map *map = map_full(3 * UNIT_MAP_GROUP);
        struct unit_map_stats s;

        unit_map_release(map, 10, 5);
        unit_map_release(map, 16, 5);
        unit_map_release(map, 1000, UNIT_MAP_LONG);
        s = stats_of(map);
        ck_assert_uint_eq(s.units, 3 * UNIT_MAP_GROUP);
        ck_assert_uint_eq(s.available, 10 + UNIT_MAP_LONG);
        ck_assert_uint_eq(s.runs, 3);
        ck_assert_uint_eq(s.long_units, UNIT_MAP_LONG);
        ck_assert_uint_eq(s.longest, UNIT_MAP_LONG);

        unit_map_release(map, 15, 1); /* two become one */
        ck_assert_uint_eq(stats_of(map).runs, 2);
        unit_map_release(map, UNIT_MAP_GROUP - 100, 200); /* cut at the border */
        s = stats_of(map);
        ck_assert_uint_eq(s.runs, 4);
        ck_assert_uint_eq(s.long_units, UNIT_MAP_LONG);
        unit_map_free(map);
}
END_TEST

/* What is called long can be said; the last group may be shorter than that. */
START_TEST(test_long)
{
        for (uint32_t least = 16; least <= 17; least++) {
                struct unit_map *map = NULL;
                uint64_t first;

                ck_assert_int_eq(unit_map_new_long(2 * UNIT_MAP_GROUP + 16, least, &map), 0);
                ck_assert_uint_eq(stats_of(map).long_units, 2 * UNIT_MAP_GROUP + (least == 16 ? 16 : 0));
                while (unit_map_alloc(map, UNIT_MAP_RUN_MOST, &first))
                        ;
                ck_assert_uint_eq(stats_of(map).long_units, 0);
                unit_map_release(map, 100, least - 1);
                ck_assert_uint_eq(stats_of(map).long_units, 0);
                unit_map_release(map, 100 + least - 1, 1);
                ck_assert_uint_eq(stats_of(map).long_units, least);
                unit_map_free(map);
        }
}
END_TEST

/* The shortest run that will do, whichever group it is in. */
START_TEST(test_best_fit)
{
        struct unit_map *map = map_full(4 * UNIT_MAP_GROUP);
        static const struct {
                uint64_t first;
                uint32_t length;
        } holes[] = {
                { 100, 900 }, { UNIT_MAP_GROUP + 7, 40 }, { 2 * UNIT_MAP_GROUP, 6 }, { 2 * UNIT_MAP_GROUP + 64, 3 }
        };
        uint64_t first = 0;

        for (unsigned i = 0; i < sizeof(holes) / sizeof(*holes); i++)
                unit_map_release(map, holes[i].first, holes[i].length);
        ck_assert_uint_eq(unit_map_alloc(map, 3, &first), 3);
        ck_assert_uint_eq(first, 2 * UNIT_MAP_GROUP + 64);
        ck_assert_uint_eq(unit_map_alloc(map, 4, &first), 4);
        ck_assert_uint_eq(first, 2 * UNIT_MAP_GROUP);
        ck_assert_uint_eq(unit_map_alloc(map, 20, &first), 20);
        ck_assert_uint_eq(first, UNIT_MAP_GROUP + 7);
        ck_assert_uint_eq(unit_map_alloc(map, 2000, &first), 900); /* and the longest where none will */
        ck_assert_uint_eq(first, 100);
        ck_assert_uint_eq(unit_map_alloc(map, 2000, &first), 20);
        ck_assert_uint_eq(unit_map_alloc(map, 2000, &first), 2);
        ck_assert_uint_eq(unit_map_alloc(map, 2000, &first), 0);
        unit_map_free(map);
}
END_TEST

/* All of a map at once, in odd pieces, and again. */
START_TEST(test_across_groups)
{
        enum { UNITS = 5 * UNIT_MAP_GROUP + 77 };
        struct unit_map *map = map_full(UNITS);
        struct unit_map_stats s;

        unit_map_release(map, 0, UNITS);
        s = stats_of(map);
        ck_assert_uint_eq(s.available, UNITS);
        ck_assert_uint_eq(s.runs, 6);
        ck_assert_uint_eq(s.long_units, UNITS - 77);
        ck_assert_uint_eq(s.longest, UNIT_MAP_RUN_MOST);
        unit_map_free(map);

        map = map_full(UNITS);
        for (uint64_t at = 0, n = 1; at < UNITS; at += n, n = n * 3 % 20011) {
                n = n < UNITS - at ? n : UNITS - at;
                unit_map_release(map, at, n);
        }
        s = stats_of(map);
        ck_assert_uint_eq(s.available, UNITS);
        ck_assert_uint_eq(s.runs, 6);
        unit_map_free(map);
}
END_TEST

static void say(const char *when, const struct churn_phase *p)
{
        printf("churn, %s: %.1f pieces a batch of 256 pages, %" PRIu64
               " free runs, %.0f %% of what is free in long ones\n",
               when, p->pieces, p->runs, 100 * p->long_share);
}

/*
 * A tenth of what "tests/bench/run churn" does. The bounds are twice what it comes to: a map that takes what comes
 * next, instead of what fits, is far beyond them.
 */
START_TEST(test_churn)
{
        struct churn_config config = { .units = 1 << 17, .pages = 200000, .seed = 1 };
        struct churn_result r;

        churn_run(&config, &r);
        say("start", &r.start);
        say("end", &r.end);
        ck_assert_uint_ge(r.puts, 200000);
        ck_assert_uint_ge(r.frees, 200000);
        ck_assert_uint_le(r.refused, r.puts / 500);
        ck_assert_double_le(r.end.pieces, 100);
}
END_TEST

/* The same with pages that are moved as the store does it: at the end as at the start. */
START_TEST(test_churn_moves)
{
        struct churn_config config = { .units = 1 << 17, .pages = 200000, .seed = 1, .moves = 1.0 / DRAIN_WRITES };
        struct churn_result r;

        churn_run(&config, &r);
        say("start", &r.start);
        say("end, with moves", &r.end);
        ck_assert_double_le(r.end.pieces, 5); /* of 41 without; in a map of usual size it is 1 */
        ck_assert_double_le(r.moved, config.moves + 0.1);
        ck_assert_uint_le(r.refused, r.puts / 10000);
}
END_TEST

/* Nothing of a closed group is given out; what comes back to it is there when it is open again. */
START_TEST(test_closed)
{
        struct unit_map *map = map_full(3 * UNIT_MAP_GROUP);
        struct unit_map_stats s;
        uint64_t first = 0;

        unit_map_release(map, UNIT_MAP_GROUP + 10, 5);
        unit_map_release(map, UNIT_MAP_GROUP + 100, 300);
        unit_map_release(map, 7, 5);
        unit_map_close(map, 1);
        ck_assert(unit_map_is_closed(map, UNIT_MAP_GROUP) && unit_map_is_closed(map, 2 * UNIT_MAP_GROUP - 1));
        ck_assert(!unit_map_is_closed(map, UNIT_MAP_GROUP - 1) && !unit_map_is_closed(map, 2 * UNIT_MAP_GROUP));
        s = stats_of(map);
        ck_assert_uint_eq(s.available, 5);
        ck_assert_uint_eq(s.closed, 305);
        ck_assert_uint_eq(s.runs, 1);
        ck_assert_uint_eq(s.long_units, 0);
        ck_assert_uint_eq(s.longest, 5);
        ck_assert_uint_eq(unit_map_alloc(map, 300, &first), 5);
        ck_assert_uint_eq(first, 7);
        ck_assert_uint_eq(unit_map_alloc(map, 5, &first), 0);

        unit_map_release(map, UNIT_MAP_GROUP + 15, 85); /* what lay between */
        unit_map_release(map, UNIT_MAP_GROUP - 4, 8);   /* half of it is in the group before */
        ck_assert_uint_eq(stats_of(map).available, 4);
        ck_assert_uint_eq(stats_of(map).closed, 394);
        ck_assert_uint_eq(unit_map_look(map, 1).free, 394);
        unit_map_open(map, 1);
        s = stats_of(map);
        ck_assert_uint_eq(s.available, 398);
        ck_assert_uint_eq(s.closed, 0);
        ck_assert_uint_eq(s.runs, 3);
        ck_assert_uint_eq(s.long_units, 390);
        ck_assert_uint_eq(unit_map_look(map, 1).longest, 390);
        ck_assert_uint_eq(unit_map_alloc(map, 390, &first), 390);
        ck_assert_uint_eq(first, UNIT_MAP_GROUP + 10);
        unit_map_free(map);
}
END_TEST

/* Groups with most in crumbs are chosen, as long as what is in them has room elsewhere. */
START_TEST(test_drain)
{
        struct unit_map *map = map_full(100 * UNIT_MAP_GROUP);
        struct drain d = { 0 };

        ck_assert(!drain_is_wanted(map));
        for (uint64_t group = 0; group < 100; group++)
                for (uint64_t i = 0; i < (group % 10 == 3 ? 300 : 100); i++)
                        unit_map_release(map, group * UNIT_MAP_GROUP + i * 12, 8);
        ck_assert(drain_is_wanted(map));
        ck_assert_uint_eq(drain_begin(&d, map, UNIT_MAP_GROUP), 0);
        ck_assert_uint_eq(drain_begin(&d, map, unit_map_available(map)), 2);
        for (unsigned i = 0; i < d.n; i++)
                ck_assert_uint_eq(d.group[i] % 10, 3);
        ck_assert_uint_eq(stats_of(map).closed, 2 * 300 * 8);
        drain_end(&d);
        ck_assert_uint_eq(stats_of(map).closed, 0);
        unit_map_free(map);

        map = map_full(100 * UNIT_MAP_GROUP); /* what is free lies together */
        unit_map_release(map, 5 * UNIT_MAP_GROUP, 20 * UNIT_MAP_GROUP);
        ck_assert(!drain_is_wanted(map));
        ck_assert_uint_eq(drain_begin(&d, map, UINT64_MAX), 0);
        unit_map_free(map);
}
END_TEST

/* The rest abort: misuse by the program. */
START_TEST(test_release_free)
{
        struct unit_map *map = map_full(1000);

        unit_map_release(map, 10, 20);
        unit_map_release(map, 5, 6);
}
END_TEST

START_TEST(test_release_beyond)
{
        unit_map_release(map_full(1000), 990, 11);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("map");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_sizes);
        tcase_add_test(tc, test_stats);
        tcase_add_test(tc, test_long);
        tcase_add_test(tc, test_best_fit);
        tcase_add_test(tc, test_across_groups);
        tcase_add_test(tc, test_churn);
        tcase_add_test(tc, test_churn_moves);
        tcase_add_test(tc, test_closed);
        tcase_add_test(tc, test_drain);
        tcase_add_test_raise_signal(tc, test_release_free, SIGABRT);
        tcase_add_test_raise_signal(tc, test_release_beyond, SIGABRT);
        return unit_run("unit-map", tc);
}
