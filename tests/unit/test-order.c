// SPDX-License-Identifier: GPL-2.0-or-later
/* The order of events, in cases that tests/sim/sim-pager.c has found one at a time. */
#include "model/order.h"

#include <check.h>

#include "model/ptable.h"
#include "unit-run.h"

#define PAGES 100u

/* Pages that are noted to be out, where marks are, and how many of these may be left over. */
static bool out[PAGES], marked[PAGES];
static uint64_t stray;

static uint64_t at(unsigned page)
{
        return page * (uint64_t)PAGE_SIZE_;
}

/* As event-judge.c, for pages that all have marks. */
static uint64_t judge(void *arg, const struct pieces *outcome)
{
        uint64_t claimed = 0, verdict = 0, n_marked = 0;

        (void)arg;
        for (unsigned i = 0; i < PAGES; i++)
                n_marked += marked[i];
        for (size_t i = 0; i < outcome->n; i++)
                for (uint64_t o = 0; o < outcome->v[i].len / PAGE_SIZE_; o++) {
                        uint64_t from = outcome->v[i].origin / PAGE_SIZE_ + o, to = outcome->v[i].at / PAGE_SIZE_ + o;

                        if (outcome->v[i].discarded)
                                claimed += marked[to];
                        else if (out[from] && !marked[to])
                                return 0;
                        else if (out[from])
                                verdict += ++claimed ? from * 1009 + to * 1000003 : 0;
                }
        return n_marked - claimed <= stray ? verdict | 1 : 0;
}

/*
 * Thread 1 moves 29-31 to 17, over what is there. A mapping of thread 2's grows in place over 29-30, and thread 3 moves
 * 29 of it to 1, and gives 30 up. Thread 3 is read first. _i: so many marks may be left over, which leaves it open
 */
START_TEST(test_grown_and_shrunk)
{
        const struct order_event events[] = {
                { ORDER_REMAP, at(29), at(30), at(1) },  { ORDER_UNMAP, at(17), at(20), 0 },
                { ORDER_REMAP, at(29), at(32), at(17) }, { ORDER_UNMAP, at(30), at(31), 0 },
                { ORDER_UNMAP, at(29), at(32), 0 },      { ORDER_UNMAP, at(29), at(30), 0 },
        };
        struct region_set certain = { 0 };
        const struct order_question q = {
                .events = events, .n = 6, .certain = &certain, .perhaps = &certain, .judge = judge
        };
        const uint32_t right[] = { 1, 2, 0, 3 };
        uint32_t order[6];
        size_t n = 0;

        stray = (uint64_t)_i;
        for (unsigned i = 0; i < 3; i++)
                out[29 + i] = marked[17 + i] = true;
        ck_assert_int_eq(region_add(&certain, at(2), at(33)), 0);
        ck_assert_int_eq(order_find(&q, order, &n), stray == 0);
        for (unsigned i = 0; i < 4 && stray == 0; i++)
                ck_assert_uint_eq(order[i], right[i]);
        region_clear(&certain);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("order");

        tcase_add_loop_test(tc, test_grown_and_shrunk, 0, 3);
        return unit_run("order", tc);
}
