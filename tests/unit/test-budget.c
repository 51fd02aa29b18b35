// SPDX-License-Identifier: GPL-2.0-or-later
/* The watermarks of a limit of 1 GiB lie at 64 MiB (gate), 16 MiB (high) and 32 MiB (low) from it. */
#include "model/budget.h"

#include "unit-run.h"

#define MIB  (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)

static const uint64_t limit = 1024 * MIB;

START_TEST(test_no_limit)
{
        struct budget b = { 0 };

        budget_sample(&b, UINT64_C(1) << 50);
        ck_assert_uint_eq(budget_room(&b), UINT64_MAX);
        ck_assert(!budget_gate(&b));
        ck_assert_uint_eq(budget_excess(&b, 0), 0);
        ck_assert(budget_reserve(&b, 100 * MIB));
        ck_assert_uint_eq(budget_next_sample(&b), 1000000000);
}
END_TEST

START_TEST(test_room)
{
        struct budget b = { .limit = limit, .overhead = 8 * MIB };

        ck_assert_uint_eq(budget_room(&b), limit - 8 * MIB);
        budget_sample(&b, 100 * MIB);
        budget_installed(&b, 5 * MIB);
        budget_detached(&b, 2 * MIB);
        ck_assert_uint_eq(budget_room(&b), limit - 111 * MIB);
        ck_assert_uint_eq(b.peak, 108 * MIB);
        budget_sample(&b, 50 * MIB);
        ck_assert_uint_eq(b.resident, 50 * MIB);
        ck_assert_uint_eq(b.peak, 108 * MIB);
        budget_detached(&b, 51 * MIB);
        ck_assert_uint_eq(b.resident, 0);
        budget_sample(&b, limit + MIB);
        ck_assert_uint_eq(budget_room(&b), 0);
}
END_TEST

START_TEST(test_reserve)
{
        struct budget b = { .limit = limit };

        budget_sample(&b, limit - 2 * PAGE);
        ck_assert(budget_reserve(&b, PAGE));
        ck_assert(budget_reserve(&b, PAGE));
        ck_assert(!budget_reserve(&b, PAGE));
        ck_assert_uint_eq(b.reserved, 2 * PAGE);
        ck_assert_uint_eq(budget_room(&b), 0);
        budget_unreserve(&b, PAGE);
        ck_assert_uint_eq(budget_room(&b), PAGE);
        budget_unreserve(&b, 10 * PAGE);
        ck_assert_uint_eq(b.reserved, 0);
}
END_TEST

START_TEST(test_gate)
{
        struct budget b = { .limit = limit };

        budget_sample(&b, limit - 64 * MIB);
        ck_assert(!budget_gate(&b));
        budget_installed(&b, PAGE);
        ck_assert(budget_gate(&b));
        budget_sample(&b, limit - 128 * MIB + PAGE);
        ck_assert(budget_gate(&b));
        budget_sample(&b, limit - 128 * MIB);
        ck_assert(!budget_gate(&b));
        budget_sample(&b, limit - 65 * MIB);
        ck_assert(!budget_gate(&b));
        b.gated = true;
        b.limit = 0;
        ck_assert(!budget_gate(&b) && !b.gated);
}
END_TEST

START_TEST(test_excess)
{
        struct budget b = { .limit = limit };

        budget_sample(&b, limit - 16 * MIB);
        ck_assert_uint_eq(budget_excess(&b, 0), 0);
        budget_installed(&b, PAGE);
        ck_assert_uint_eq(budget_excess(&b, 0), 16 * MIB + PAGE);
        ck_assert_uint_eq(budget_excess(&b, 6 * MIB), 10 * MIB + PAGE);
        ck_assert_uint_eq(budget_excess(&b, 17 * MIB), 0);
        /* It goes on below the mark at which it began, to the lower one, and stays quiet from there up again. */
        budget_detached(&b, 10 * MIB);
        ck_assert_uint_eq(budget_excess(&b, 0), 6 * MIB + PAGE);
        budget_sample(&b, limit - 32 * MIB);
        ck_assert_uint_eq(budget_excess(&b, 0), 0);
        budget_sample(&b, limit - 17 * MIB);
        ck_assert_uint_eq(budget_excess(&b, 0), 0);
        budget_sample(&b, limit + 5 * MIB);
        ck_assert_uint_eq(budget_excess(&b, 0), 37 * MIB);
        /* What is reserved counts as held. */
        budget_sample(&b, limit - 16 * MIB);
        b.evicting = false;
        b.reserved = PAGE;
        ck_assert_uint_eq(budget_excess(&b, 0), 16 * MIB + PAGE);
}
END_TEST

/* Small limits keep at least 1 MiB and 4 MiB, large ones lose at most 32 MiB and 128 MiB. */
START_TEST(test_bounds)
{
        struct budget small = { .limit = BUDGET_MIN_LIMIT }, large = { .limit = UINT64_C(1) << 40 };

        budget_sample(&small, small.limit - 4 * MIB + PAGE);
        ck_assert(budget_gate(&small));
        ck_assert_uint_eq(budget_excess(&small, 0), 0);
        budget_sample(&small, small.limit - MIB + PAGE);
        ck_assert_uint_eq(budget_excess(&small, 0), MIB + PAGE);
        budget_sample(&large, large.limit - 128 * MIB);
        ck_assert(!budget_gate(&large));
        budget_sample(&large, large.limit - 32 * MIB);
        ck_assert_uint_eq(budget_excess(&large, 0), 0);
        budget_sample(&large, large.limit - 32 * MIB + PAGE);
        ck_assert_uint_eq(budget_excess(&large, 0), 32 * MIB + PAGE);
}
END_TEST

/* At 4 bytes a nanosecond nobody gets from where he is to past the gate between two samples. */
START_TEST(test_next_sample)
{
        struct budget b = { .limit = limit };

        for (uint64_t resident = 0; resident <= limit + MIB; resident += MIB / 2 + 7 * PAGE) {
                uint64_t ns, grown;

                budget_sample(&b, resident);
                ns = budget_next_sample(&b);
                ck_assert_uint_ge(ns, 250000);
                ck_assert_uint_le(ns, 250000000);
                grown = ns * 4;
                ck_assert_uint_le(grown, budget_room(&b) > 65 * MIB ? budget_room(&b) - 64 * MIB : MIB);
        }
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("budget");

        tcase_add_test(tc, test_no_limit);
        tcase_add_test(tc, test_room);
        tcase_add_test(tc, test_reserve);
        tcase_add_test(tc, test_gate);
        tcase_add_test(tc, test_excess);
        tcase_add_test(tc, test_bounds);
        tcase_add_test(tc, test_next_sample);
        return unit_run("budget", tc);
}
