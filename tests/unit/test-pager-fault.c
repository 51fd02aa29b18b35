// SPDX-License-Identifier: GPL-2.0-or-later
/* The way of a fault, from first touches to bytes that are lost. */
#include <errno.h>

#include "pager-rig.h"

static uint64_t served(const struct rig *r, enum fault_kind kind)
{
        return r->space.stats.served[kind];
}

START_TEST(test_first_touch)
{
        struct rig *r = rig_new();

        rig_touch_as(r, 7, 10, true);
        rig_touch_as(r, 8, 20, false);
        rig_receive(r);
        ck_assert(rig_holds(r, 10, 0) && rig_holds(r, 20, 0));
        ck_assert(!r->page[11].present && !r->page[21].present);
        ck_assert_uint_eq(r->zeropages, 0); /* the shared page would grow past the gate when it is written */
        ck_assert_uint_eq(served(r, FAULT_ZERO), 2);
        ck_assert_uint_eq(r->space.stats.faults, 2);
        ck_assert_uint_eq(r->page[10].waiting + r->page[20].waiting, 0);
        rig_expect(r, 0, RIG_PAGES, PAGE_NATIVE);

        /* Far below the limit a read may have it. */
        r->ballast = 0;
        rig_tick(r, 1000000);
        rig_touch_as(r, 8, 30, false);
        rig_touch_as(r, 9, 40, true);
        rig_receive(r);
        ck_assert_uint_eq(r->zeropages, 1);
        ck_assert(rig_holds(r, 30, 0) && rig_holds(r, 40, 0));
        rig_free(r);
}
END_TEST

/* Who goes on in sequence is given 1, 2, 4 ... pages, up to what is present, held or mapped. */
START_TEST(test_run_growth)
{
        struct rig *r = rig_new();
        unsigned page = 0;

        for (unsigned run = 1; run <= 64; run *= 2) {
                rig_touch(r, page);
                rig_receive(r);
                ck_assert(rig_holds_many(r, page, run, 0));
                ck_assert(!r->page[page + run].present);
                page += run;
        }
        ck_assert_uint_eq(page, 127);
        rig_put(r, 137, 5);
        rig_touch(r, page);
        rig_receive(r);
        ck_assert(rig_holds_many(r, 127, 10, 0) && rig_holds(r, 137, 5) && !r->page[138].present);
        rig_touch(r, 500);
        rig_receive(r);
        ck_assert(!r->page[501].present);
        for (page = 501; page < RIG_MAPPED; page++) {
                rig_touch(r, page);
                rig_receive(r);
        }
        ck_assert(rig_holds_many(r, 500, RIG_MAPPED - 500, 0));
        ck_assert(!r->page[RIG_MAPPED].present);
        rig_free(r);
}
END_TEST

/* A run of zeros never runs over a page whose bytes are kept elsewhere. */
START_TEST(test_run_stops)
{
        struct rig *r = rig_new();

        rig_put_many(r, 102, 2, 5);
        rig_evict_to(r, 102, 2, PAGE_STORED);
        rig_touch(r, 100);
        rig_receive(r);
        rig_touch(r, 101);
        rig_receive(r);
        ck_assert(rig_holds_many(r, 100, 2, 0) && !r->page[102].present);
        rig_touch(r, 102);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 102, 5));
        rig_expect(r, 103, 1, PAGE_STORED);
        rig_free(r);
}
END_TEST

/* Several threads want one page: one read, all of them are counted and woken. */
START_TEST(test_merged)
{
        struct rig *r = rig_new();

        rig_put(r, 5, 9);
        rig_evict_to(r, 5, 1, PAGE_STORED);
        for (uint32_t tid = 1; tid <= 5; tid++) {
                rig_touch_as(r, tid, 5, tid % 2);
                rig_receive(r);
        }
        ck_assert_uint_eq(r->n_ios, 1);
        rig_expect(r, 5, 1, PAGE_FETCHING);
        ck_assert_uint_eq(served(r, FAULT_DISK), 0);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 5, 9));
        ck_assert_uint_eq(r->page[5].waiting, 0);
        ck_assert_uint_eq(served(r, FAULT_DISK), 5);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        rig_free(r);
}
END_TEST

/* More pages at once than there are fetches. */
START_TEST(test_starved)
{
        struct rig *r = rig_new();

        runs_init(&r->pager.fetches, 256);
        rig_put_many(r, 0, 400, 3);
        rig_evict_to(r, 0, 400, PAGE_STORED);
        for (unsigned page = 0; page < 400; page++)
                rig_touch_as(r, page + 1, page, true);
        rig_receive(r);
        ck_assert_uint_eq(r->n_ios, 256);
        for (unsigned turns = 0; r->n_ios; turns++) {
                ck_assert_uint_lt(turns, 1000);
                rig_store_one(r, 0);
                if (r->again)
                        rig_receive(r);
        }
        ck_assert(rig_holds_many(r, 0, 400, 3));
        ck_assert_uint_eq(served(r, FAULT_DISK), 400);
        ck_assert_uint_eq(rig_refs(r), 0);
        rig_free(r);
}
END_TEST

/* A part of the store hangs, and more pages of it are wanted than there are fetches: those of the other go on. */
START_TEST(test_part_hangs)
{
        struct rig *r = rig_new();

        r->store.ops = &rig_parted_store_ops;
        runs_init(&r->pager.fetches, 96);
        portions_init(&r->pager.parts, 96, RIG_PARTS + 1);
        rig_put_many(r, 0, 400, 3);
        rig_evict_to(r, 0, 400, PAGE_STORED);
        for (unsigned page = 0; page < 400; page++)
                ck_assert_uint_eq(page_loc(ptable_get(&r->space.table, rig_addr(page))), page);
        for (unsigned page = 0; page < 400; page++)
                rig_touch_as(r, page + 1, page, true);
        rig_receive(r);
        ck_assert_uint_eq(r->n_ios, portions_most(&r->pager.parts) + r->pager.parts.each);
        for (unsigned turns = 0; rig_store_part(r, 1); turns++) {
                ck_assert_uint_lt(turns, 1000);
                if (r->again)
                        rig_receive(r);
        }
        ck_assert(rig_holds_many(r, RIG_PART_LOCS, 400 - RIG_PART_LOCS, 3));
        ck_assert_uint_eq(served(r, FAULT_DISK), 400 - RIG_PART_LOCS);
        ck_assert_uint_eq(r->n_ios, portions_most(&r->pager.parts));
        for (unsigned turns = 0; r->n_ios; turns++) {
                ck_assert_uint_lt(turns, 1000);
                rig_store_one(r, 0);
                if (r->again)
                        rig_receive(r);
        }
        ck_assert(rig_holds_many(r, 0, 400, 3));
        ck_assert_uint_eq(served(r, FAULT_DISK), 400);
        ck_assert_uint_eq(r->pager.fetches.n_free, 96);
        ck_assert_uint_eq(rig_refs(r), 0);
        rig_free(r);
}
END_TEST

/* _i: where the bytes come from: zeros, the ring, the store */
START_TEST(test_copy_eagain)
{
        static const enum page_state from[] = { PAGE_NATIVE, PAGE_STANDBY, PAGE_STORED };
        struct rig *r = rig_new();
        unsigned seed = _i ? 4 : 0;

        if (_i) {
                rig_put(r, 5, 4);
                rig_evict_to(r, 5, 1, from[_i]);
        }
        r->copy_error = -EAGAIN;
        r->copy_errors = 3;
        rig_touch(r, 5);
        r->timer_at = 0;
        rig_receive(r);
        if (from[_i] == PAGE_STORED)
                rig_store(r, 0);
        ck_assert(!r->page[5].present);
        ck_assert_uint_ne(r->timer_at, 0); /* no further message may come */
        while (r->copy_errors) {
                unsigned left = r->copy_errors;

                ck_assert_uint_eq(r->page[5].waiting, 1);
                rig_tick(r, 1000000);
                ck_assert_uint_lt(r->copy_errors, left);
                ck_assert_uint_ne(r->timer_at, 0);
        }
        rig_tick(r, 1000000);
        ck_assert(rig_holds(r, 5, seed));
        ck_assert_uint_eq(r->page[5].waiting, 0);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        rig_store(r, 0);
        rig_expect(r, 5, 1, PAGE_NATIVE);
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        rig_free(r);
}
END_TEST

/* An event that comes while the bytes are on their way holds the installation up, and is acted on first. */
START_TEST(test_event_before_install)
{
        struct rig *r = rig_new();

        rig_put_many(r, 5, 2, 4);
        rig_evict_to(r, 5, 2, PAGE_STORED);
        rig_touch_as(r, 1, 5, true);
        rig_touch_as(r, 2, 6, true);
        rig_receive(r);
        rig_remove(r, 5, 1);
        rig_store(r, 0);
        ck_assert(!r->page[5].present && !r->page[6].present);
        rig_receive(r);
        ck_assert(rig_holds(r, 5, 0) && rig_holds(r, 6, 4));
        ck_assert_uint_eq(rig_refs(r), 0);
        rig_free(r);
}
END_TEST

/* _i: from the ring, from the store. Somebody else resolved the page: it is left as it is, all are woken. */
START_TEST(test_eexist)
{
        struct rig *r = rig_new();

        rig_put(r, 5, 4);
        rig_evict_to(r, 5, 1, _i ? PAGE_STORED : PAGE_STANDBY);
        rig_touch(r, 5);
        rig_put(r, 5, 8);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 5, 8));
        ck_assert_uint_eq(r->page[5].waiting, 0);
        rig_expect(r, 5, 1, PAGE_NATIVE);
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);

        rig_touch(r, 100);
        rig_put(r, 100, 8);
        rig_receive(r);
        ck_assert(rig_holds(r, 100, 8));
        ck_assert_uint_eq(r->page[100].waiting, 0);
        ck_assert_uint_eq(served(r, FAULT_STALE), 1);
        rig_free(r);
}
END_TEST

START_TEST(test_read_error)
{
        struct rig *r = rig_new();

        rig_put_many(r, 5, 2, 4);
        rig_evict_to(r, 5, 2, PAGE_STORED);
        rig_touch_as(r, 1, 5, true);
        rig_touch_as(r, 2, 5, true);
        rig_receive(r);
        rig_store(r, -EIO);
        rig_expect(r, 5, 1, PAGE_POISONED);
        ck_assert(r->page[5].poisoned && !r->page[5].present && r->page[5].waiting == 0);
        ck_assert_uint_eq(r->space.stats.poisoned_pages, 1);
        ck_assert_uint_eq(r->killed, 0);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        ck_assert_uint_eq(rig_refs(r), 1);

        /* Where the marker was lost a second touch sets it again; discarding the page heals it. */
        r->page[5].poisoned = false;
        rig_touch(r, 5);
        rig_receive(r);
        ck_assert(r->page[5].poisoned);
        rig_remove(r, 5, 1);
        rig_receive(r);
        rig_zap(r, 5, 1);
        rig_touch(r, 5);
        rig_receive(r);
        ck_assert(rig_holds(r, 5, 0));
        rig_touch(r, 6);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 6, 4));
        rig_free(r);
}
END_TEST

/* _i: from the ring, from the store. The client dies under the fault: nothing is lost count of. */
START_TEST(test_client_gone)
{
        struct rig *r = rig_new();

        rig_put_many(r, 5, 2, 4);
        rig_evict_to(r, 5, 2, _i ? PAGE_STORED : PAGE_STANDBY);
        rig_touch(r, 5);
        r->gone = true;
        rig_receive(r);
        rig_store(r, 0);
        ck_assert_uint_eq(r->killed, 0);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        ck_assert_uint_eq(rig_refs(r), 2);
        rig_free(r);
}
END_TEST

/* _i: a first touch, a page in the store */
START_TEST(test_stalled_at_limit)
{
        struct rig *r = rig_new();

        if (_i) {
                rig_put(r, 300, 6);
                rig_evict_to(r, 300, 1, PAGE_STORED);
        }
        rig_put_many(r, 0, 20, 4);
        rig_press(r);
        rig_expect(r, 0, 20, PAGE_EVICTING);
        for (unsigned i = 0; i < 3; i++)
                rig_touch_as(r, 50 + i, 300 + 10 * i, true);
        rig_receive(r);
        rig_tick(r, 1000000);
        ck_assert(!r->page[300].present && !r->page[310].present && !r->page[320].present);
        ck_assert_uint_ge(r->space.stats.stalls, 3);
        ck_assert_uint_eq(r->n_ios, 0);
        rig_agent(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, 300, _i ? 6 : 0) && rig_holds(r, 310, 0) && rig_holds(r, 320, 0));
        ck_assert_ptr_null(r->space.stalled.head);
        rig_free(r);
}
END_TEST

/* Nothing can be evicted: holding faults up would be for ever. */
START_TEST(test_hopeless)
{
        struct rig *r = rig_new();

        rig_press(r);
        ck_assert(evict_is_hopeless(&r->space));
        rig_touch(r, 7);
        rig_receive(r);
        ck_assert(rig_holds(r, 7, 0));
        rig_free(r);
}
END_TEST

/*
 * The agent touches a page itself, in the handler of the signal by which glibc has all threads change their user: it
 * must not wait for room that nobody but itself can make. _i: a page that is out, one that was never touched
 */
START_TEST(test_fault_of_agent)
{
        struct rig *r = rig_new();
        unsigned page = _i ? 200 : 3;

        atomic_store(&r->ring->tid, 77);
        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_STORED);
        rig_put_many(r, 100, 50, 2);
        rig_press(r); /* ordered, and not carried out */
        rig_expect(r, 100, 50, PAGE_EVICTING);
        rig_touch(r, page + 1);
        rig_receive(r);
        ck_assert_ptr_nonnull(r->space.stalled.head);
        rig_touch_as(r, 77, page, true);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, page, _i ? 0 : 1));
        ck_assert(!r->page[page + 1].present);
        rig_free(r);
}
END_TEST

/* It touches a page of a batch that it has just done, and the answer was not taken yet (preload/ends.c). */
START_TEST(test_fault_of_agent_afterwards)
{
        struct rig *r = rig_new();

        atomic_store(&r->ring->tid, 77);
        rig_put_many(r, 100, 50, 2);
        rig_press(r);
        rig_move(r);
        atomic_store(&r->ring->completed, r->moved);
        rig_expect(r, 110, 1, PAGE_EVICTING);
        rig_touch_as(r, 77, 110, false);
        rig_receive(r);
        ck_assert(rig_holds(r, 110, 2));
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-fault");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_first_touch);
        tcase_add_test(tc, test_run_growth);
        tcase_add_test(tc, test_run_stops);
        tcase_add_test(tc, test_merged);
        tcase_add_test(tc, test_starved);
        tcase_add_test(tc, test_part_hangs);
        tcase_add_loop_test(tc, test_copy_eagain, 0, 3);
        tcase_add_test(tc, test_event_before_install);
        tcase_add_loop_test(tc, test_eexist, 0, 2);
        tcase_add_test(tc, test_read_error);
        tcase_add_loop_test(tc, test_client_gone, 0, 2);
        tcase_add_loop_test(tc, test_stalled_at_limit, 0, 2);
        tcase_add_test(tc, test_hopeless);
        tcase_add_loop_test(tc, test_fault_of_agent, 0, 2);
        tcase_add_test(tc, test_fault_of_agent_afterwards);
        return unit_run("pager-fault", tc);
}
