// SPDX-License-Identifier: GPL-2.0-or-later
/* Units that must not be written again, and that the store never gives out. */
#include "store/doubt.h"

#include <stdlib.h>
#include <string.h>

#include "store/medium.h"
#include "store/spread.h"
#include "unit-run.h"

START_TEST(test_runs)
{
        struct doubt *d = NULL;
        bool model[1000] = { false };
        uint64_t count = 0;
        int is;

        unit_random_start();
        ck_assert_int_eq(doubt_new(1000, &d), 0);
        ck_assert_uint_eq(doubt_run(d, 17, 900, &is), 900);
        ck_assert_int_eq(is, 0);
        for (unsigned i = 0; i < 60; i++) {
                uint64_t at = unit_random(990), n = 1 + unit_random(10);

                doubt_add(d, at, n);
                memset(model + at, true, n);
        }
        for (uint64_t at = 0; at < 1000; at++) {
                uint64_t n = 1;

                while (at + n < 1000 && model[at + n] == model[at])
                        n++;
                ck_assert_uint_eq(doubt_run(d, at, 1000 - at, &is), n);
                ck_assert_int_eq(is, model[at]);
                ck_assert_uint_eq(doubt_run(d, at, 1, &is), 1);
                count += model[at];
        }
        ck_assert_uint_eq(doubt_count(d), count);
        doubt_free(d);
        doubt_free(NULL);
}
END_TEST

/* What is in doubt when it is given back is never taken again, all else is. */
START_TEST(test_spread)
{
        struct medium medium = { .unit = 512, .units = 4096 };
        struct spread s = { .n = 0 };
        uint64_t at, total = 0;
        bool given[4096] = { false };
        unsigned part;
        uint32_t got;

        ck_assert_int_eq(doubt_new(4096, &medium.doubt), 0);
        ck_assert_int_eq(spread_add(&s, &medium, 1), 0);
        while ((got = spread_alloc(&s, 64, 1, 0, &part, &at)) > 0)
                total += got;
        ck_assert_uint_eq(total, 4096);

        doubt_add(medium.doubt, 0, 3);
        doubt_add(medium.doubt, 100, 50);
        doubt_add(medium.doubt, 4095, 1);
        for (uint64_t i = 0; i < 4096; i += 32)
                spread_free(&s, 0, i, 32);
        ck_assert_uint_eq(s.part[0].retired, 54);
        ck_assert_uint_eq(spread_available(&s), 4096 - 54);
        while ((got = spread_alloc(&s, 64, 1, 0, &part, &at)) > 0)
                memset(given + at, true, got);
        for (unsigned i = 0; i < 4096; i++)
                ck_assert_int_eq(given[i], i >= 3 && (i < 100 || i >= 150) && i != 4095);

        /* Once more: it was not counted twice. */
        for (unsigned i = 0; i < 4096; i++)
                if (given[i])
                        spread_free(&s, 0, i, 1);
        ck_assert_uint_eq(s.part[0].retired, 54);
        ck_assert_uint_eq(spread_available(&s), 4096 - 54);
        spread_clear(&s);
        doubt_free(medium.doubt);
}
END_TEST

static bool away;

static bool is_away(const struct medium *m)
{
        (void)m;
        return away;
}

/* A medium that is away gets nothing, unless there is no other with room. */
START_TEST(test_away)
{
        static const struct medium_ops ops = { .is_away = is_away };
        struct medium far = { .ops = &ops, .unit = 512, .units = 4096 }, near = { .unit = 512, .units = 1024 };
        struct spread s = { .n = 0 };
        unsigned part;
        uint64_t at;

        ck_assert_int_eq(spread_add(&s, &far, 1000), 0);
        ck_assert_int_eq(spread_add(&s, &near, 1), 0);
        ck_assert_uint_eq(spread_alloc(&s, 64, 64, 0, &part, &at), 64);
        ck_assert_uint_eq(part, 0);
        away = true;
        for (unsigned i = 0; i < 16; i++) {
                ck_assert_uint_eq(spread_alloc(&s, 64, 64, 0, &part, &at), 64);
                ck_assert_uint_eq(part, 1);
        }
        ck_assert_uint_eq(spread_alloc(&s, 64, 64, 0, &part, &at), 64);
        ck_assert_uint_eq(part, 0);
        spread_clear(&s);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("doubt");

        tcase_add_test(tc, test_runs);
        tcase_add_test(tc, test_spread);
        tcase_add_test(tc, test_away);
        return unit_run("doubt", tc);
}
