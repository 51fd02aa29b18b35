// SPDX-License-Identifier: GPL-2.0-or-later
/* Which medium gets what: shares by weight, full and doubtful ones, runs in multiples. The media are never used. */
#include "store/spread.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "store/medium.h"
#include "store/unit-map.h"
#include "unit-run.h"

#define SECOND UINT64_C(1000000000)

static struct medium medium[SPREAD_MOST];

/* n media with so many units each, with weights 1, 3, 5 ... */
static struct spread spread_of(unsigned n, uint64_t units)
{
        struct spread s;

        memset(&s, 0, sizeof(s));
        for (unsigned i = 0; i < n; i++) {
                medium[i] = (struct medium){ .unit = 512, .units = units };
                ck_assert_int_eq(spread_add(&s, &medium[i], 2 * i + 1), 0);
        }
        return s;
}

START_TEST(test_weights)
{
        struct spread s = spread_of(3, 100000);
        uint64_t taken[3] = { 0 }, at, total = 0;
        unsigned part;

        unit_random_start();
        for (unsigned i = 0; i < 600; i++) {
                uint32_t got = spread_alloc(&s, 1 + (uint32_t)unit_random(200), 1, 0, &part, &at);

                ck_assert_uint_gt(got, 0);
                taken[part] += got;
                total += got;
        }
        for (unsigned i = 0; i < 3; i++) {
                uint64_t share = total * (2 * i + 1) / 9;

                ck_assert_uint_le(taken[i], share + 512);
                ck_assert_uint_ge(taken[i] + 512, share);
        }
        ck_assert_uint_eq(spread_units(&s), 300000);
        ck_assert_uint_eq(spread_available(&s), 300000 - total);
        spread_clear(&s);
}
END_TEST

/* Where one is full the others get all; a request is answered as long as there is a unit anywhere. */
START_TEST(test_full)
{
        struct spread s = spread_of(2, 1000);
        uint64_t at, total = 0;
        unsigned part;
        uint32_t got;

        while ((got = spread_alloc(&s, 64, 1, 0, &part, &at)) > 0)
                total += got;
        ck_assert_uint_eq(total, 2000);
        spread_free(&s, 0, 10, 5);
        ck_assert_uint_eq(spread_alloc(&s, 64, 1, 0, &part, &at), 5);
        ck_assert_uint_eq(part, 0);
        ck_assert_uint_eq(at, 10);
        spread_clear(&s);
}
END_TEST

/* One that has failed is passed by for some time, but for when the others are full. */
START_TEST(test_doubtful)
{
        struct spread s = spread_of(2, 1000);
        uint64_t at, now = 100 * SECOND;
        unsigned part;

        ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
        ck_assert_uint_eq(part, 0);
        spread_free(&s, 0, at, 100);
        ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
        ck_assert_uint_eq(part, 1);
        spread_failed(&s, 1, at, 100, now);
        for (unsigned i = 0; i < 10; i++) {
                ck_assert_uint_eq(spread_alloc(&s, 100, 1, now + i, &part, &at), 100);
                ck_assert_uint_eq(part, 0);
        }
        ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
        ck_assert_uint_eq(part, 1);
        spread_free(&s, 0, 0, 1000);
        ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
        ck_assert_uint_eq(part, 0);
        ck_assert_uint_eq(spread_alloc(&s, 100, 1, now + 60 * SECOND, &part, &at), 100);
        ck_assert_uint_eq(part, 1);
        spread_clear(&s);
}
END_TEST

/* What could not be written is not given out again while there is anything else, nor before its time. */
START_TEST(test_others)
{
        struct spread s = spread_of(1, 1000);
        uint64_t at, now = 100 * SECOND;
        bool tried[10] = { false };
        unsigned part;

        for (unsigned i = 0; i < 10; i++) {
                ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
                ck_assert(!tried[at / 100]);
                tried[at / 100] = true;
                spread_failed(&s, 0, at, 100, now);
                ck_assert_uint_eq(spread_available(&s), 1000);
        }
        for (unsigned i = 0; i < 10; i++)
                ck_assert_uint_eq(spread_alloc(&s, 100, 1, now, &part, &at), 100);
        ck_assert_uint_eq(spread_available(&s), 0);
        ck_assert_uint_eq(spread_alloc(&s, 1, 1, now, &part, &at), 0);

        spread_free(&s, 0, 0, 500);
        ck_assert_uint_eq(spread_alloc(&s, 200, 1, now, &part, &at), 200);
        spread_failed(&s, 0, at, 200, now);
        spread_free(&s, 0, 500, 500);
        ck_assert_uint_eq(spread_alloc(&s, 1000, 1, now + SECOND, &part, &at), 800);
        spread_free(&s, 0, at, 800);
        ck_assert_uint_eq(spread_alloc(&s, 1000, 1, now + 60 * SECOND, &part, &at), 1000);
        spread_clear(&s);
}
END_TEST

/* More failures than can be noted: the oldest are free again. */
START_TEST(test_many_failures)
{
        struct spread s = spread_of(1, SPREAD_HELD + 10);
        uint64_t at;
        unsigned part;

        for (unsigned i = 0; i < 4 * SPREAD_HELD; i++) {
                ck_assert_uint_eq(spread_alloc(&s, 1, 1, 0, &part, &at), 1);
                spread_failed(&s, 0, at, 1, 0);
                ck_assert_uint_eq(spread_available(&s), SPREAD_HELD + 10);
        }
        for (unsigned i = 0; i < SPREAD_HELD + 10; i++)
                ck_assert_uint_eq(spread_alloc(&s, 1, 1, 0, &part, &at), 1);
        ck_assert_uint_eq(spread_available(&s), 0);
        spread_clear(&s);
}
END_TEST

/* A run that is too short is left, and another medium is asked. */
START_TEST(test_least)
{
        struct spread s = spread_of(2, 64);
        uint64_t at;
        unsigned part;

        ck_assert_uint_eq(spread_alloc(&s, 64, 8, 0, &part, &at), 64);
        ck_assert_uint_eq(spread_alloc(&s, 64, 8, 0, &part, &at), 64);
        spread_free(&s, 0, 57, 7);
        ck_assert_uint_eq(spread_alloc(&s, 16, 8, 0, &part, &at), 0);
        ck_assert_uint_eq(spread_available(&s), 7);
        spread_free(&s, 1, 0, 21);
        ck_assert_uint_eq(spread_alloc(&s, 64, 8, 0, &part, &at), 21);
        ck_assert_uint_eq(part, 1);
        ck_assert_uint_eq(spread_available(&s), 7);
        spread_clear(&s);
}
END_TEST

START_TEST(test_most)
{
        struct spread s = spread_of(SPREAD_MOST, 64);
        struct medium more = { .unit = 512, .units = 64 };

        ck_assert_int_eq(spread_add(&s, &more, 1), -ENOSPC);
        spread_clear(&s);
        ck_assert_uint_eq(spread_units(&s), 0);
}
END_TEST

/* How what is free lies: of all media together, in bytes, whatever their units. */
START_TEST(test_stats)
{
        struct spread s = spread_of(2, 4096);
        struct spread_stats st;
        uint64_t at;
        unsigned part;

        spread_stats(&s, &st);
        ck_assert_uint_eq(st.capacity_bytes, 2 * 4096 * 512);
        ck_assert_uint_eq(st.used_bytes + st.retired_bytes + st.written_bytes, 0);
        ck_assert_uint_eq(st.long_bytes, 2 * 4096 * 512);
        ck_assert_uint_eq(st.runs, 2);
        ck_assert_uint_eq(st.longest_bytes, 2048 * 512);
        while (spread_alloc(&s, 2048, 1, 0, &part, &at))
                ;
        spread_free(&s, 0, 300, 127);
        spread_free(&s, 1, 200, 128);
        medium[0].writes.bytes = 1000;
        medium[1].writes.bytes = 24;
        spread_stats(&s, &st);
        ck_assert_uint_eq(st.used_bytes, (2 * 4096 - 255) * 512);
        ck_assert_uint_eq(st.long_bytes, SPREAD_LONG_BYTES);
        ck_assert_uint_eq(st.longest_bytes, SPREAD_LONG_BYTES);
        ck_assert_uint_eq(st.runs, 2);
        ck_assert_uint_eq(st.written_bytes, 1024);
        spread_clear(&s);
}
END_TEST

/* What is being discarded is free, and cannot be had before that has ended. */
START_TEST(test_discards)
{
        struct spread s = spread_of(2, 2 * 4096);
        struct spread_stats st;
        uint64_t at, first, units;
        uint32_t hand = 0, got;
        unsigned part;

        unit_map_stale_all(s.part[1].map);
        ck_assert_uint_eq(unit_map_take_idle(s.part[1].map, 1, 1, &hand, &first), 0);
        units = unit_map_take_idle(s.part[1].map, 1, 1, &hand, &first);
        ck_assert_uint_eq(units, 4096);
        spread_discard(&s, 1, (uint32_t)units);
        ck_assert_uint_eq(spread_available(&s), 4 * 4096);
        medium[0].discards.bytes = 300;
        medium[1].discards.bytes = 7;
        medium[1].discards.errors = 2;
        spread_stats(&s, &st);
        ck_assert_uint_eq(st.discarding_bytes, 4096 * 512);
        ck_assert_uint_eq(st.discarded_bytes, 307);
        ck_assert_uint_eq(st.discard_errors, 2);
        ck_assert_uint_eq(st.used_bytes, 0);
        for (units = 0; (got = spread_alloc(&s, 2048, 1, 0, &part, &at)); units += got)
                ck_assert(part == 0 || at >= 4096);
        ck_assert_uint_eq(units, 3 * 4096);
        ck_assert_uint_eq(spread_available(&s), 4096);
        spread_discarded(&s, 1, first, 4096);
        spread_stats(&s, &st);
        ck_assert_uint_eq(st.discarding_bytes, 0);
        ck_assert_uint_eq(spread_available(&s), 4096);
        ck_assert_uint_eq(spread_alloc(&s, 2048, 1, 0, &part, &at), 2048);
        ck_assert(part == 1 && at < 4096);
        spread_clear(&s);
}
END_TEST

/* Each medium for itself: what it has, did and failed; what is in doubt of it is not its size any more. */
START_TEST(test_parts)
{
        struct spread s = spread_of(2, 1000);
        struct store_part_stats st;
        unsigned part;
        uint64_t at;

        ck_assert_uint_eq(spread_alloc(&s, 10, 10, 0, &part, &at), 10);
        medium[part].name = "b";
        medium[part].reads.bytes = 1;
        medium[part].reads.errors = 2;
        medium[part].writes.bytes = 3;
        medium[part].writes.errors = 4;
        s.part[part].retired = 5;
        spread_part_stats(&s.part[part], &st);
        ck_assert_str_eq(st.name, "b");
        ck_assert_uint_eq(st.bytes, 5 * 512);
        ck_assert_uint_eq(st.capacity_bytes, 995 * 512);
        ck_assert_uint_eq(st.read_bytes, 1);
        ck_assert_uint_eq(st.read_errors, 2);
        ck_assert_uint_eq(st.written_bytes, 3);
        ck_assert_uint_eq(st.write_errors, 4);
        ck_assert(!st.away);
        spread_part_stats(&s.part[!part], &st);
        ck_assert_uint_eq(st.bytes + st.read_bytes + st.read_errors + st.written_bytes + st.write_errors, 0);
        spread_clear(&s);
}
END_TEST

/* What counts as long is said in bytes. */
START_TEST(test_long_runs)
{
        struct spread_stats st;
        struct spread s;
        uint64_t at;
        unsigned part;

        memset(&s, 0, sizeof(s));
        medium[0] = (struct medium){ .unit = 4096, .units = 100 };
        ck_assert_int_eq(spread_add(&s, &medium[0], 1), 0);
        ck_assert_uint_eq(spread_alloc(&s, 100, 100, 0, &part, &at), 100);
        spread_free(&s, 0, 10, 16);
        spread_free(&s, 0, 50, 15);
        spread_stats(&s, &st);
        ck_assert_uint_eq(st.long_bytes, SPREAD_LONG_BYTES);
        spread_clear(&s);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("spread");

        tcase_add_test(tc, test_weights);
        tcase_add_test(tc, test_full);
        tcase_add_test(tc, test_doubtful);
        tcase_add_test(tc, test_others);
        tcase_add_test(tc, test_many_failures);
        tcase_add_test(tc, test_least);
        tcase_add_test(tc, test_most);
        tcase_add_test(tc, test_stats);
        tcase_add_test(tc, test_discards);
        tcase_add_test(tc, test_parts);
        tcase_add_test(tc, test_long_runs);
        return unit_run("spread", tc);
}
