// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client may have in the store: for it the store is full then, and for nobody else. */
#include <errno.h>

#include "pager-rig.h"

#define N 20u

/* N pages in a client that may have 8 of them in the store, all taken out, as many as may be written. */
static struct rig *rig_full(void)
{
        struct rig *r = rig_new();

        space_set_swap(&r->space, 8 * PAGE_SIZE_ + 100);
        rig_put_many(r, 0, N, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        return r;
}

/* Touches all, and lets the store and time go on. */
static void read_all(struct rig *r, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                rig_touch(r, i);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, first, n, 1));
}

/* Eviction ends there; it goes on when pages have come back; it is counted each time, and said once. */
START_TEST(test_full)
{
        struct rig *r = rig_full();
        uint32_t posted = r->space.posted;

        rig_expect(r, 0, 8, PAGE_STORED);
        rig_expect(r, 8, N - 8, PAGE_STANDBY);
        ck_assert_uint_eq(r->space.stats.swap_full, 1);
        ck_assert_uint_eq(r->space.stats.store_full, 0);
        ck_assert(r->space.store_is_full && r->space.swap_said);
        rig_put_many(r, 100, N, 1);
        for (unsigned i = 0; i < 5; i++)
                rig_press(r);
        ck_assert_uint_eq(r->space.posted, posted);
        ck_assert_uint_eq(r->space.stats.swap_full, 1);
        ck_assert_uint_eq(rig_refs(r), 8);

        rig_relax(r);
        read_all(r, 0, 5);
        ck_assert_uint_eq(rig_refs(r), 3);
        rig_press(r);
        rig_store(r, 0);
        rig_expect(r, 8, 5, PAGE_STORED);
        ck_assert_uint_eq(rig_refs(r), 8);

        rig_relax(r);
        read_all(r, 5, N - 5);
        rig_tick(r, 1000000);
        rig_store(r, 0);
        ck_assert_uint_eq(r->space.unwritten, 0);
        for (unsigned i = 0; i < 20 && r->space.posted == posted; i++)
                rig_press(r);
        ck_assert_uint_gt(r->space.posted, posted);
        rig_agent(r);
        rig_store(r, 0);
        ck_assert_uint_eq(rig_refs(r), 8);
        ck_assert_uint_le(r->space.stats.swap_full, 2);
        rig_relax(r);
        read_all(r, 0, N);
        read_all(r, 100, N);
        rig_free(r);
}
END_TEST

/* What is being written counts: two batches at once do not have the same room. What is wanted back frees it. */
START_TEST(test_writing)
{
        struct rig *r = rig_new();

        space_set_swap(&r->space, 8 * PAGE_SIZE_);
        rig_put_many(r, 0, 6, 1);
        rig_press(r);
        rig_agent(r);
        ck_assert_uint_eq(r->space.writing, 6);
        rig_put_many(r, 100, 6, 1);
        r->now += 1000000000; /* an earlier search has found nothing, and it is searched again */
        rig_press(r);
        rig_agent(r);
        ck_assert_uint_eq(r->space.writing, 8);
        ck_assert_uint_eq(rig_refs(r), 8);
        rig_relax(r);
        for (unsigned i = 0; i < 6; i++)
                rig_touch(r, i);
        rig_receive(r);
        ck_assert(rig_holds_many(r, 0, 6, 1));
        rig_store(r, 0);
        ck_assert_uint_eq(r->space.writing, 0);
        rig_press(r);
        rig_store(r, 0);
        rig_expect(r, 100, 6, PAGE_STORED);
        ck_assert_uint_eq(rig_refs(r), 6);
        rig_free(r);
}
END_TEST

/* A write that fails frees what it was to take. */
START_TEST(test_write_error)
{
        struct rig *r = rig_new();

        space_set_swap(&r->space, 8 * PAGE_SIZE_);
        rig_put_many(r, 0, N, 1);
        rig_press(r);
        rig_agent(r);
        for (unsigned i = 0; i < 3; i++) {
                rig_store(r, -EIO);
                ck_assert_uint_eq(r->space.writing, 0);
                ck_assert_uint_eq(rig_refs(r), 0);
                rig_expect(r, 0, N, PAGE_STANDBY);
                rig_press(r);
                ck_assert_uint_eq(r->space.writing, 8);
        }
        rig_store(r, 0);
        rig_expect(r, 0, 8, PAGE_STORED);
        rig_free(r);
}
END_TEST

/* Zeros take nothing. */
START_TEST(test_zeros)
{
        struct rig *r = rig_new();

        space_set_swap(&r->space, 8 * PAGE_SIZE_);
        rig_put_many(r, 0, N, 0);
        rig_put_many(r, N, 8, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_expect(r, 0, N, PAGE_ZERO);
        rig_expect(r, N, 8, PAGE_STORED);
        ck_assert_uint_eq(r->space.stats.swap_full, 0);
        rig_free(r);
}
END_TEST

/* What the store keeps of pages that have come back counts, and is given up for what goes out. */
START_TEST(test_kept)
{
        struct rig *r = rig_new();

        r->store.ops = &rig_comparing_store_ops;
        space_set_swap(&r->space, 8 * PAGE_SIZE_);
        rig_put_many(r, 0, 8, 1);
        rig_evict_to(r, 0, 8, PAGE_STORED);
        read_all(r, 0, 8);
        ck_assert_uint_eq(r->space.clean.n, 8);
        ck_assert_uint_eq(rig_refs(r), 8);
        rig_put_many(r, 100, 8, 1);
        for (unsigned i = 0; i < 8; i++)
                r->page[i].result = VMPAGER_RES_BUSY;
        r->now += 1000000000;
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_expect(r, 100, 8, PAGE_STORED);
        ck_assert_uint_eq(r->space.clean.n, 0);
        ck_assert_uint_eq(rig_refs(r), 8);
        ck_assert_uint_eq(r->space.stats.swap_full, 0);
        rig_free(r);
}
END_TEST

/* At the limit: what is in the store comes back, which makes room there. _i: on_full = grow, so does new memory. */
START_TEST(test_at_limit)
{
        struct rig *r = rig_full();

        r->pager.grow_when_full = _i;
        rig_press(r); /* that an earlier search has found nothing does not count any more */
        for (unsigned i = 0; i < N; i++)
                rig_touch(r, i);
        rig_touch(r, 200);
        rig_receive(r);
        ck_assert_int_eq(r->page[200].present, _i);
        ck_assert_uint_eq(r->space.stats.over_limit > 0, _i);
        for (unsigned i = 0; i < 10; i++) {
                rig_store(r, 0);
                rig_tick(r, 1000000);
        }
        ck_assert(rig_holds_many(r, 0, N, 1));
        rig_relax(r);
        ck_assert(r->page[200].present);
        rig_free(r);
}
END_TEST

/* Who waits for room already when the client turns out to have as much there as it may gets what is there. */
START_TEST(test_waits_before)
{
        struct rig *r = rig_new();

        space_set_swap(&r->space, 8 * PAGE_SIZE_);
        rig_put_many(r, 0, 8, 1);
        rig_evict_to(r, 0, 8, PAGE_STORED);
        rig_put_many(r, 100, N, 1);
        r->now += 1000000000; /* an earlier search has found nothing, and it is searched again */
        rig_press(r);
        rig_expect(r, 100, N, PAGE_EVICTING);
        rig_touch(r, 200);
        rig_touch(r, 3);
        rig_receive(r);
        rig_expect(r, 3, 1, PAGE_STORED);
        ck_assert_uint_eq(r->space.stats.stalls, 2);
        r->space.budget.resident += RIG_MIB; /* what goes out does not make room enough, */
        r->space.futile_until = 0;           /* and there is more that could be taken out */
        rig_agent(r);
        ck_assert(r->space.store_is_full);
        rig_expect(r, 3, 1, PAGE_FETCHING);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 3, 1));
        ck_assert(!r->page[200].present);
        rig_press(r);
        ck_assert_uint_eq(r->space.writing, 1);
        rig_store(r, 0);
        ck_assert_uint_eq(r->space.table.count[PAGE_STORED], 8);
        rig_relax(r);
        ck_assert(r->page[200].present);
        rig_free(r);
}
END_TEST

/* A child has what its parent had, and no more until some of that is back. _i: what it may have is less than that. */
START_TEST(test_fork)
{
        struct rig *r = rig_full(), *child = rig_child(r);

        space_set_swap(&child->space, (_i ? 4 : 8) * PAGE_SIZE_);
        rig_fork(r);
        rig_receive(r);
        rig_expect(child, 0, 8, PAGE_STORED);
        rig_expect(child, 8, N - 8, PAGE_STANDBY);
        ck_assert_uint_eq(rig_refs(r), 16);
        ck_assert(child->space.store_is_full && child->space.swap_said);
        for (unsigned i = 0; i < N; i++)
                rig_touch(child, i);
        rig_receive(child);
        rig_store(r, 0);
        ck_assert(rig_holds_many(child, 0, N, 1));
        ck_assert_uint_eq(rig_refs(r), 8);
        rig_relax(r);
        read_all(r, 0, N);
        rig_free(r);
}
END_TEST

/* Others are not concerned. */
START_TEST(test_other)
{
        struct rig *r = rig_full(), *child;

        rig_relax(r);
        read_all(r, 0, N);
        child = rig_child(r);
        rig_fork(r);
        rig_receive(r);
        rig_put_many(child, 0, N, 2);
        rig_put_many(r, 0, N, 3);
        r->now += 1000000000;
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        ck_assert(r->space.store_is_full);
        ck_assert(!child->space.store_is_full);
        ck_assert_uint_eq(child->space.stats.swap_full + child->space.stats.store_full, 0);
        ck_assert_uint_eq(child->space.swap, UINT64_MAX);
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-swap");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_full);
        tcase_add_test(tc, test_writing);
        tcase_add_test(tc, test_write_error);
        tcase_add_test(tc, test_zeros);
        tcase_add_test(tc, test_kept);
        tcase_add_loop_test(tc, test_at_limit, 0, 2);
        tcase_add_test(tc, test_waits_before);
        tcase_add_loop_test(tc, test_fork, 0, 2);
        tcase_add_test(tc, test_other);
        return unit_run("pager-swap", tc);
}
