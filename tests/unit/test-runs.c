// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers: never one twice, always the longest run up to what was asked for, all of them back in the end. */
#include "model/runs.h"

#include <stdbool.h>

#include "unit-run.h"

#define NUMBERS 131u

static uint32_t longest(const bool *taken, uint32_t most)
{
        uint32_t best = 0, len = 0;

        for (uint32_t i = 0; i < NUMBERS; i++) {
                len = taken[i] ? 0 : len + 1;
                if (len > best)
                        best = len;
        }
        return best < most ? best : most;
}

START_TEST(test_random)
{
        bool taken[NUMBERS] = { false };
        uint32_t n_free = NUMBERS;
        struct runs r;

        unit_random_start();
        runs_init(&r, NUMBERS);
        for (unsigned step = 0; step < 50000; step++) {
                if (unit_random(3)) {
                        uint32_t want = 1 + (uint32_t)unit_random(24), first = UINT32_MAX;
                        uint32_t expect = longest(taken, want), got = runs_take(&r, want, &first);

                        ck_assert_uint_eq(got, expect);
                        ck_assert(got || first == UINT32_MAX);
                        for (uint32_t i = first; i < first + got; i++) {
                                ck_assert(i < NUMBERS && !taken[i]);
                                taken[i] = true;
                        }
                        n_free -= got;
                } else {
                        for (uint32_t i = (uint32_t)unit_random(NUMBERS), n = 0; n < 12; i = (i + 1) % NUMBERS, n++)
                                if (taken[i]) {
                                        runs_give(&r, i);
                                        taken[i] = false;
                                        n_free++;
                                }
                }
                ck_assert_uint_eq(r.n_free, n_free);
        }
        for (uint32_t i = 0; i < NUMBERS; i++)
                if (taken[i])
                        runs_give(&r, i);
        ck_assert_uint_eq(r.n_free, NUMBERS);
}
END_TEST

START_TEST(test_all)
{
        struct runs r;
        uint32_t first = 7;

        runs_init(&r, RUNS_MOST);
        ck_assert_uint_eq(runs_take(&r, RUNS_MOST, &first), RUNS_MOST);
        ck_assert_uint_eq(first, 0);
        first = 7;
        ck_assert_uint_eq(runs_take(&r, 1, &first), 0);
        ck_assert_uint_eq(first, 7);
        runs_give(&r, 1000);
        ck_assert_uint_eq(runs_take(&r, 5, &first), 1);
        ck_assert_uint_eq(first, 1000);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("runs");

        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_all);
        return unit_run("runs", tc);
}
