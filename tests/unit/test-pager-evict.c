// SPDX-License-Identifier: GPL-2.0-or-later
/* The way of an eviction: out of the program, through the ring, to the store and back. */
#include <errno.h>

#include "pager-rig.h"

static void touch_all(struct rig *r, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                rig_touch_as(r, 1000 + i, i, true);
        rig_receive(r);
}

static void all_free(const struct rig *r)
{
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        ck_assert_uint_eq(r->space.in_flight, 0);
}

START_TEST(test_round_trip)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 300, 1);
        rig_evict_to(r, 0, 300, PAGE_STORED);
        ck_assert_uint_gt(r->kicks, 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        ck_assert_uint_eq(rig_refs(r), 300);
        ck_assert_uint_eq(r->space.stats.evicted_pages, 300);
        ck_assert_uint_eq(r->space.stats.written_pages, 300);
        for (unsigned i = 0; i < 300; i++)
                ck_assert(!r->page[i].present);
        touch_all(r, 0, 200);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 200, 1));
        rig_expect(r, 0, 200, PAGE_NATIVE);
        rig_expect(r, 200, 100, PAGE_STORED);
        ck_assert_uint_eq(rig_refs(r), 100);
        ck_assert_uint_eq(r->space.stats.served[FAULT_DISK], 200);
        rig_free(r);
}
END_TEST

/* Adjacent pages lie together: few I/Os for many of them. */
START_TEST(test_clustered)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 256, 1);
        rig_press(r);
        rig_agent(r);
        ck_assert_uint_eq(r->n_ios, 1);
        ck_assert_uint_eq(r->io[0]->pages, 256);
        rig_free(r);
}
END_TEST

/* A page is wanted while the agent moves it: the fault waits, and is answered from the ring. */
START_TEST(test_fault_on_evicting)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_EVICTING);
        rig_move(r);
        touch_all(r, 5, 2);
        rig_expect(r, 0, 20, PAGE_EVICTING);
        ck_assert(!r->page[5].present);
        rig_complete(r);
        ck_assert(rig_holds_many(r, 5, 2, 1));
        rig_expect(r, 5, 2, PAGE_NATIVE);
        rig_expect(r, 7, 13, PAGE_STANDBY);
        ck_assert_uint_eq(r->space.stats.served[FAULT_STANDBY], 2);
        rig_store(r, 0);
        ck_assert_uint_eq(rig_refs(r), 18);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        rig_expect(r, 0, 5, PAGE_STORED);
        touch_all(r, 0, 20);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1));
        all_free(r);
        rig_free(r);
}
END_TEST

/* _i: how the write ends that was under way when the page was wanted back */
START_TEST(test_fault_on_standby)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 10, 1);
        rig_evict_to(r, 0, 10, PAGE_STANDBY);
        ck_assert_uint_eq(r->n_ios, 1);
        touch_all(r, 0, 10);
        ck_assert(rig_holds_many(r, 0, 10, 1));
        rig_expect(r, 0, 10, PAGE_NATIVE);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS - 10); /* the disk reads from there */
        ck_assert_uint_eq(rig_refs(r), 10);
        rig_store(r, _i ? -EIO : 0);
        all_free(r);
        rig_expect(r, 0, 10, PAGE_NATIVE);
        ck_assert(rig_holds_many(r, 0, 10, 1));
        rig_free(r);
}
END_TEST

/* Pages of zeros among others: no slot, no location, and the others' bytes do not shift. */
START_TEST(test_zero_pages)
{
        struct rig *r = rig_new();

        for (unsigned i = 0; i < 60; i++)
                rig_put(r, i, i % 3 ? 1 : 0);
        rig_press(r);
        rig_agent(r);
        for (unsigned i = 0; i < 60; i++)
                rig_expect(r, i, 1, i % 3 ? PAGE_STANDBY : PAGE_ZERO);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS - 40);
        rig_store(r, 0);
        rig_relax(r);
        ck_assert_uint_eq(rig_refs(r), 40);
        ck_assert_uint_eq(r->space.stats.evicted_pages, 60);
        touch_all(r, 0, 60);
        rig_store(r, 0);
        for (unsigned i = 0; i < 60; i++)
                ck_assert(rig_holds(r, i, i % 3 ? 1 : 0));
        all_free(r);
        rig_free(r);
}
END_TEST

/* Each answer but MOVED and ZERO leaves the page where it is, whatever stands beside it in the batch. */
START_TEST(test_results)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 12, 1);
        r->page[1].result = VMPAGER_RES_BUSY;
        r->page[4].result = VMPAGER_RES_CANCELLED;
        r->page[6].result = VMPAGER_RES_REFUSED;
        rig_evict_to(r, 0, 12, PAGE_EVICTING);
        r->page[9].present = false; /* gone meanwhile */
        rig_agent(r);
        for (unsigned i = 0; i < 12; i++) {
                bool stays = i == 1 || i == 4 || i == 6;

                rig_expect(r, i, 1, stays || i == 9 ? PAGE_NATIVE : PAGE_STANDBY);
                ck_assert(!stays || rig_holds(r, i, 1));
        }
        ck_assert_uint_eq(r->space.stats.not_evictable, 2);
        ck_assert_uint_eq(r->space.stats.evicted_pages, 8);
        rig_store(r, 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        ck_assert_uint_eq(rig_refs(r), 8);
        touch_all(r, 0, 9);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 9, 1));

        /* The chunk is left alone for some rounds, not for ever. */
        r->page[1].result = r->page[4].result = r->page[6].result = VMPAGER_RES_NONE;
        for (unsigned rounds = 0; rig_state(r, 1) == PAGE_NATIVE; rounds++) {
                ck_assert_uint_lt(rounds, 20);
                rig_press(r);
        }
        rig_agent(r);
        rig_expect(r, 1, 1, PAGE_STANDBY);
        rig_free(r);
}
END_TEST

/* A fault waits on a page that could not be detached: it is there, the thread just has to be woken. */
START_TEST(test_fault_on_busy)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 3, 1);
        r->page[1].result = VMPAGER_RES_BUSY;
        rig_evict_to(r, 0, 3, PAGE_EVICTING);
        r->page[1].present = false;
        rig_touch(r, 1);
        r->page[1].present = true;
        rig_receive(r);
        ck_assert_uint_eq(r->page[1].waiting, 1);
        rig_agent(r);
        ck_assert_uint_eq(r->page[1].waiting, 0);
        ck_assert(rig_holds(r, 1, 1));
        rig_free(r);
}
END_TEST

/* _i: nonsense for a result, more completed than was ordered */
START_TEST(test_lying_agent)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 3, 1);
        rig_evict_to(r, 0, 3, PAGE_EVICTING);
        if (_i) {
                atomic_store(&r->ring->completed, r->space.posted + 1);
                evict_completed(&r->space);
                ck_assert_uint_eq(r->killed, 1);
                rig_expect(r, 0, 3, PAGE_EVICTING);
        } else {
                r->page[1].result = 77;
                rig_agent(r);
                ck_assert_uint_eq(r->killed, 1);
                rig_expect(r, 1, 1, PAGE_NATIVE);
        }
        rig_free(r);
}
END_TEST

START_TEST(test_write_error)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, -EIO);
        rig_expect(r, 0, 20, PAGE_STANDBY);
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.unwritten, 20);
        rig_relax(r);
        ck_assert_uint_gt(r->n_ios, 0);
        touch_all(r, 3, 2);
        ck_assert(rig_holds_many(r, 3, 2, 1));
        rig_store(r, 0);
        rig_expect(r, 5, 15, PAGE_STORED);
        touch_all(r, 0, 20);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1));
        all_free(r);
        rig_free(r);
}
END_TEST

/* Nothing is lost for want of room, nothing more is evicted, and it goes on when there is room again. */
/* What the kernel needs when a thread ends is in pages 7 and 8: they stay, and go some time after the thread. */
START_TEST(test_thread_end_stays)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        r->thread_end = rig_addr(8) - 8;
        for (unsigned i = 0; i < 3; i++) {
                rig_press(r);
                rig_agent(r);
                rig_store(r, 0);
        }
        rig_expect(r, 0, 7, PAGE_STORED);
        rig_expect(r, 7, 2, PAGE_NATIVE);
        rig_expect(r, 9, 11, PAGE_STORED);
        ck_assert(rig_holds_many(r, 7, 2, 1));
        r->thread_end = 0;
        r->ballast += 2 * PAGE_SIZE_;
        rig_tick(r, 1000000);
        rig_agent(r);
        rig_expect(r, 7, 2, PAGE_NATIVE);
        for (unsigned i = 0; i < 3; i++)
                rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_expect(r, 7, 2, PAGE_STORED);
        rig_free(r);
}
END_TEST

/* Terabytes that are mapped and not used are no way for the hand to go. */
START_TEST(test_reserved)
{
        struct rig *r = rig_new();
        unsigned before;

        ck_assert_int_eq(region_add(&r->space.certain, RIG_BASE - (UINT64_C(8) << 40), RIG_BASE), 0);
        rig_put_many(r, 0, 20, 1);
        before = r->looks;
        for (unsigned i = 0; i < 10 && rig_state(r, 0) == PAGE_NATIVE; i++)
                rig_press(r);
        rig_expect(r, 0, 20, PAGE_EVICTING);
        ck_assert_uint_lt(r->looks - before, 2000);
        rig_agent(r);
        rig_free(r);
}
END_TEST

START_TEST(test_store_full)
{
        struct rig *r = rig_new();
        uint32_t posted;

        r->capacity = 8;
        rig_put_many(r, 0, 20, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_expect(r, 0, 8, PAGE_STORED);
        rig_expect(r, 8, 12, PAGE_STANDBY);
        ck_assert_uint_eq(r->space.stats.store_full, 1);
        rig_put_many(r, 100, 20, 2);
        posted = r->space.posted;
        for (unsigned i = 0; i < 5; i++)
                rig_press(r);
        ck_assert_uint_eq(r->space.posted, posted);
        rig_relax(r);
        touch_all(r, 8, 1);
        ck_assert(rig_holds(r, 8, 1));
        r->capacity = RIG_LOCS;
        rig_press(r);
        rig_store(r, 0);
        rig_expect(r, 9, 11, PAGE_STORED);
        for (unsigned i = 0; i < 20 && r->space.posted == posted; i++)
                rig_press(r);
        ck_assert_uint_gt(r->space.posted, posted);
        rig_agent(r);
        rig_store(r, 0);
        rig_relax(r);
        touch_all(r, 0, 20);
        touch_all(r, 100, 20);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1) && rig_holds_many(r, 100, 20, 2));
        all_free(r);
        rig_free(r);
}
END_TEST

/* There is room, but no piece that is large enough: known when it is written. It is tried again, and said once. */
START_TEST(test_no_piece)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_press(r);
        rig_agent(r);
        for (unsigned i = 0; i < 5; i++) {
                rig_store(r, -ENOSPC);
                rig_expect(r, 0, 20, PAGE_STANDBY);
                ck_assert_uint_eq(rig_refs(r), 0);
                ck_assert(r->space.store_is_full);
                ck_assert_uint_eq(r->space.stats.store_full, 1);
                rig_press(r);
                ck_assert_uint_eq(r->n_ios, 1);
        }
        touch_all(r, 3, 1);
        ck_assert(rig_holds(r, 3, 1));
        rig_store(r, 0);
        ck_assert(!r->space.store_is_full);
        rig_expect(r, 4, 16, PAGE_STORED);
        rig_relax(r);
        touch_all(r, 0, 20);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1));
        all_free(r);
        rig_free(r);
}
END_TEST

/* At the limit with a full store: what is stored can still be fetched, which makes the store room. */
START_TEST(test_store_full_at_limit)
{
        struct rig *r = rig_new();

        r->capacity = 8;
        rig_put_many(r, 0, 20, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_press(r);
        touch_all(r, 0, 20);
        for (unsigned i = 0; i < 10; i++) {
                rig_store(r, 0);
                rig_tick(r, 1000000);
        }
        ck_assert(rig_holds_many(r, 0, 20, 1));
        rig_free(r);
}
END_TEST

/* Who waits for room already when the store turns out to be full gets what is there; new memory waits on. */
START_TEST(test_store_gets_full)
{
        struct rig *r = rig_new();

        r->capacity = 8;
        rig_put_many(r, 0, 8, 1);
        rig_evict_to(r, 0, 8, PAGE_STORED);
        rig_put_many(r, 100, 20, 1);
        r->now += 1000000000; /* an earlier search has found nothing, and it is searched again */
        rig_press(r);
        rig_expect(r, 100, 20, PAGE_EVICTING);
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
        rig_relax(r);
        ck_assert(r->page[200].present);
        rig_free(r);
}
END_TEST

/* No write ends well: for a moment that passes, then it is as if the store were full, until one does. */
START_TEST(test_store_refuses)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_press(r);
        rig_agent(r);
        rig_store(r, -EIO);
        ck_assert(!r->space.store_is_full);
        rig_tick(r, 300000000);
        rig_press(r);
        ck_assert_uint_eq(r->n_ios, 1);
        rig_store(r, -EIO);
        ck_assert(r->space.store_is_full);
        ck_assert_uint_eq(r->space.stats.store_full, 1);
        rig_expect(r, 0, 20, PAGE_STANDBY);
        rig_press(r);
        ck_assert_uint_eq(r->n_ios, 1);
        rig_store(r, 0);
        ck_assert(!r->space.store_is_full);
        rig_expect(r, 0, 20, PAGE_STORED);
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_relax(r);
        touch_all(r, 0, 20);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1));
        all_free(r);
        rig_free(r);
}
END_TEST

/* While the agent moves pages nothing is read; it goes on when the agent says that it is done. */
START_TEST(test_move_gate)
{
        struct rig *r = rig_new();
        unsigned reads;

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_EVICTING);
        atomic_store(&r->ring->moving, 1);
        rig_move(r);
        rig_unmap(r, 0, 4);
        rig_touch(r, 100);
        reads = r->reads;
        rig_receive(r);
        rig_receive(r);
        rig_tick(r, 1000000);
        ck_assert_uint_eq(r->reads, reads);
        ck_assert_uint_eq(atomic_load(&r->ring->reading), 1);
        ck_assert(r->space.read_pending);
        atomic_store(&r->ring->moving, 0);
        rig_complete(r);
        ck_assert_uint_gt(r->reads, reads);
        ck_assert_uint_eq(atomic_load(&r->ring->reading), 0);
        ck_assert_uint_gt(r->ungates, 0);
        rig_receive(r);
        ck_assert(rig_holds(r, 100, 0));
        rig_expect(r, 0, 4, PAGE_NATIVE);
        rig_expect(r, 4, 16, PAGE_STANDBY);
        rig_store(r, 0);
        ck_assert_uint_eq(rig_refs(r), 16);
        rig_free(r);
}
END_TEST

/* The agent may not write to its eventfd: what it has done, and that it has left the gate, is seen all the same. */
START_TEST(test_silent_agent)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_EVICTING);
        atomic_store(&r->ring->moving, 1);
        rig_move(r);
        rig_touch(r, 3);
        rig_receive(r);
        ck_assert(r->space.read_pending);
        atomic_store(&r->ring->moving, 0);
        rig_tick(r, 1000000);
        ck_assert(!r->space.read_pending);
        atomic_store(&r->ring->completed, r->moved);
        rig_tick(r, 1000000);
        ck_assert(rig_holds(r, 3, 1));
        rig_expect(r, 4, 16, PAGE_STANDBY);
        rig_store(r, 0);
        rig_free(r);
}
END_TEST

/* An agent that stays in the gate costs its own program alone, for as long as it does. */
START_TEST(test_agent_in_gate)
{
        struct rig *r = rig_new();
        unsigned reads;

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_EVICTING);
        atomic_store(&r->ring->moving, 1);
        rig_move(r);
        rig_touch(r, 3);
        rig_receive(r);
        reads = r->reads;
        for (unsigned i = 0; i < 20; i++)
                rig_tick(r, UINT64_C(1000000000));
        ck_assert_uint_eq(r->reads, reads);
        ck_assert_uint_eq(r->space.gate_since, UINT64_MAX);
        atomic_store(&r->ring->moving, 0);
        rig_tick(r, 1000000);
        ck_assert_uint_gt(r->reads, reads);
        ck_assert_uint_eq(r->space.gate_since, 0);
        rig_complete(r);
        ck_assert(rig_holds(r, 3, 1));
        rig_store(r, 0);
        rig_free(r);
}
END_TEST

/* _i: what is under way when the client goes: a batch, one that was moved, writes, reads, reads not installed yet. */
START_TEST(test_end)
{
        static const enum page_state state[] = { PAGE_EVICTING, PAGE_EVICTING, PAGE_STANDBY, PAGE_STORED, PAGE_STORED };
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, state[_i]);
        if (_i == 1)
                rig_move(r);
        touch_all(r, 5, 4);
        if (_i == 4) {
                rig_remove(r, 400, 1); /* unread: nothing can be installed */
                rig_store(r, 0);
                ck_assert_ptr_nonnull(r->space.arrived);
        }
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-evict");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_round_trip);
        tcase_add_test(tc, test_clustered);
        tcase_add_test(tc, test_fault_on_evicting);
        tcase_add_loop_test(tc, test_fault_on_standby, 0, 2);
        tcase_add_test(tc, test_zero_pages);
        tcase_add_test(tc, test_results);
        tcase_add_test(tc, test_fault_on_busy);
        tcase_add_loop_test(tc, test_lying_agent, 0, 2);
        tcase_add_test(tc, test_write_error);
        tcase_add_test(tc, test_thread_end_stays);
        tcase_add_test(tc, test_reserved);
        tcase_add_test(tc, test_store_full);
        tcase_add_test(tc, test_no_piece);
        tcase_add_test(tc, test_store_full_at_limit);
        tcase_add_test(tc, test_store_gets_full);
        tcase_add_test(tc, test_store_refuses);
        tcase_add_test(tc, test_move_gate);
        tcase_add_test(tc, test_silent_agent);
        tcase_add_test(tc, test_agent_in_gate);
        tcase_add_loop_test(tc, test_end, 0, 5);
        return unit_run("pager-evict", tc);
}
