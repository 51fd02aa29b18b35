// SPDX-License-Identifier: GPL-2.0-or-later
/* Which faults make a stream, how its window grows and shrinks, and what counts as a hit. */
#include "model/readahead.h"

#include <string.h>

#include "model/page.h"
#include "unit-run.h"

#define BASE (UINT64_C(0x7f0000000000))

static struct readahead r;

static uint64_t at(int64_t page)
{
        return BASE + (uint64_t)(page * (int64_t)PAGE_SIZE_);
}

/* A fault on a page, and all that is to come along does. Returns how many pages did. */
static uint32_t fault_as(uint32_t tid, int64_t page)
{
        struct readahead_plan plan = readahead_fault(&r, tid, at(page), READAHEAD_MOST);

        if (plan.pages)
                readahead_given(&r, &plan, plan.pages, at(page + plan.stride * (int64_t)(plan.pages + 1)));
        return plan.pages;
}

static uint32_t fault(int64_t page)
{
        return fault_as(1, page);
}

static void begin(void)
{
        memset(&r, 0, sizeof(r));
}

/* _i: the stride. The window doubles up to the most, and all that was gone through is a hit. */
START_TEST(test_trend)
{
        int64_t page = 100000;
        uint32_t pages = 0, before, last;

        if (_i == 0)
                return;
        begin();
        ck_assert_uint_eq(fault(page), 0);
        page += _i;
        if (_i != 1 && _i != -1) {
                ck_assert_uint_eq(fault(page), 0);
                page += _i;
        }
        last = fault(page);
        ck_assert_uint_gt(last, 0);
        pages = last;
        for (unsigned i = 0; i < 10; i++) {
                page += _i * (int64_t)(last + 1);
                before = last;
                last = fault(page);
                ck_assert_uint_eq(r.hits, pages);
                ck_assert_uint_eq(last, before * 2 < READAHEAD_MOST ? before * 2 : READAHEAD_MOST);
                pages += last;
        }
        ck_assert_uint_eq(last, READAHEAD_MOST);
        ck_assert_uint_eq(r.pages, pages);
        ck_assert_uint_eq(r.waste, 0);
}
END_TEST

START_TEST(test_most)
{
        struct readahead_plan plan = { 0 };

        begin();
        for (int64_t page = 0; page < 100; page += 1 + plan.pages) {
                plan = readahead_fault(&r, 1, at(page), 6);
                ck_assert_uint_le(plan.pages, 6);
                readahead_given(&r, &plan, plan.pages, at(page + 1 + plan.pages));
        }
        ck_assert_uint_eq(plan.pages, 6);
}
END_TEST

/* One thread goes through 16 runs in turn: each is a stream of its own. */
START_TEST(test_merge)
{
        int64_t page[16];
        uint32_t last = 0;

        begin();
        for (int i = 0; i < 16; i++)
                page[i] = i * 5000;
        for (unsigned turn = 0; turn < 12; turn++)
                for (int i = 0; i < 16; i++) {
                        last = fault(page[i]);
                        page[i] += last + 1;
                }
        ck_assert_uint_eq(last, READAHEAD_MOST);
        ck_assert_uint_eq(r.waste, 0);
        ck_assert_uint_gt(r.hits, 16 * 4 * READAHEAD_MOST);
}
END_TEST

/* One array, and whichever thread is free takes what comes next. */
START_TEST(test_shared)
{
        int64_t page = 0;
        uint32_t last = 0;

        begin();
        for (uint32_t turn = 0; turn < 12; turn++) {
                last = fault_as(1 + turn * 7 % 4, page);
                page += last + 1;
        }
        ck_assert_uint_eq(last, READAHEAD_MOST);
        ck_assert_uint_eq(r.waste, 0);
}
END_TEST

/* Two threads that go through the same memory at different places do not take each other's streams. */
START_TEST(test_two_threads)
{
        int64_t a = 0, b = 10000;

        begin();
        for (unsigned turn = 0; turn < 12; turn++) {
                a += fault_as(1, a) + 1;
                b += fault_as(2, b) + 1;
        }
        ck_assert_uint_eq(fault_as(1, a), READAHEAD_MOST);
        ck_assert_uint_eq(fault_as(2, b), READAHEAD_MOST);
        ck_assert_uint_eq(r.waste, 0);
}
END_TEST

/* Anywhere, in 4 GiB and in 128 MiB: hardly anything comes along. */
START_TEST(test_random)
{
        begin();
        unit_random_start();
        for (unsigned i = 0; i < 100000; i++)
                fault(unit_random(1 << 20));
        ck_assert_uint_lt(r.pages, 1000);
        begin();
        for (unsigned i = 0; i < 100000; i++)
                fault(unit_random(1 << 15));
        ck_assert_uint_lt(r.pages, 4000);
}
END_TEST

/* A stream that ends leaves a window open, which is waste as soon as it is forgotten; and waste makes cautious. */
START_TEST(test_waste)
{
        begin();
        fault(0);
        ck_assert_uint_eq(fault(1), 4);
        for (int i = 0; i < 40; i++)
                fault(1000 + i * 1000);
        ck_assert_uint_eq(r.hits, 0);
        ck_assert_uint_eq(r.waste, 4);
        fault(200000);
        ck_assert_uint_eq(fault(200001), 0);
        ck_assert_uint_eq(fault(200002), 4);
}
END_TEST

/* A page of the window has gone out again before it was used: half as much comes along. */
START_TEST(test_shrinks)
{
        int64_t page = 0;
        uint32_t last = 0;

        begin();
        while (last < 32) {
                last = fault(page);
                page += last + 1;
        }
        ck_assert_uint_eq(fault(page - 10), 16);
        ck_assert_uint_eq(r.waste, 0);
}
END_TEST

/* There was no room for what should have come along: the trend is kept. */
START_TEST(test_no_room)
{
        struct readahead_plan plan = { 0 };

        begin();
        for (int64_t page = 0; page < 10; page++) {
                plan = readahead_fault(&r, 1, at(page), READAHEAD_MOST);
                readahead_given(&r, &plan, 0, at(page + 1));
        }
        ck_assert_uint_eq(plan.pages, READAHEAD_MOST);
        ck_assert_uint_eq(r.pages + r.hits + r.waste, 0);
}
END_TEST

/* The ends of the address space are no strides. */
START_TEST(test_ends)
{
        begin();
        readahead_fault(&r, 1, 0, READAHEAD_MOST);
        readahead_fault(&r, 1, (UINT64_C(1) << 47) - PAGE_SIZE_, READAHEAD_MOST);
        readahead_fault(&r, 1, PAGE_SIZE_, READAHEAD_MOST);
        ck_assert_uint_eq(readahead_fault(&r, 1, (UINT64_C(1) << 47) - 2 * PAGE_SIZE_, READAHEAD_MOST).stride, -1);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("readahead");

        tcase_add_loop_test(tc, test_trend, -READAHEAD_REACH, READAHEAD_REACH + 1);
        tcase_add_test(tc, test_most);
        tcase_add_test(tc, test_merge);
        tcase_add_test(tc, test_shared);
        tcase_add_test(tc, test_two_threads);
        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_waste);
        tcase_add_test(tc, test_shrinks);
        tcase_add_test(tc, test_no_room);
        tcase_add_test(tc, test_ends);
        return unit_run("readahead", tc);
}
