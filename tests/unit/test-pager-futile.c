// SPDX-License-Identifier: GPL-2.0-or-later
/* When nothing can be evicted, or seems so: who waits for room gets it, and the search begins anew when it is time. */
#include "pager-rig.h"
#include "pager/registration.h"

static void touch_all(struct rig *r, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                rig_touch_as(r, 1000 + i, i, true);
        rig_receive(r);
}

/* Nothing can be detached: the agent is not asked without end, and who waits for room gets it. */
START_TEST(test_unmovable)
{
        struct rig *r = rig_new();
        unsigned turns = 0;
        uint32_t first;

        /* More pages than the ring has room for, in several mappings of one chunk. */
        ck_assert_uint_eq(ring_slots_take(&r->space.ring_slots, RIG_SLOTS - 8, &first), RIG_SLOTS - 8);
        rig_put_many(r, 0, 40, 1);
        for (unsigned i = 0; i < 40; i++)
                r->page[i].result = VMPAGER_RES_REFUSED;
        for (unsigned i = 3; i < 40; i += 4)
                ck_assert_int_eq(region_remove(&r->space.certain, rig_addr(i), rig_addr(i + 1)), 0);
        rig_press(r);
        rig_touch(r, 100);
        rig_receive(r);
        while (r->moved != atomic_load(&r->ring->posted)) {
                ck_assert_uint_lt(++turns, 50);
                rig_agent(r);
        }
        rig_tick(r, 1000000);
        rig_agent(r);
        ck_assert(r->page[100].present);
        rig_free(r);
}
END_TEST

/*
 * The agent can do nothing (its system calls are forbidden), or there is nothing that it can move (all is pinned,
 * locked, shared by fork): pages at the limit come all the same.
 */
START_TEST(test_helpless_agent)
{
        static const uint8_t result[] = { VMPAGER_RES_CANCELLED, VMPAGER_RES_BUSY, VMPAGER_RES_REFUSED };
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_evict_to(r, 0, 20, PAGE_STORED);
        for (unsigned i = RIG_MAPPED; i < RIG_PAGES; i++)
                r->page[i].mapped = true; /* there is always more to try */
        rig_put_many(r, 100, RIG_PAGES - 100, 2);
        for (unsigned i = 100; i < RIG_PAGES; i++)
                r->page[i].result = result[_i];
        rig_press(r);
        touch_all(r, 0, 20);
        ck_assert_ptr_nonnull(r->space.stalled.head);
        for (unsigned i = 0; i < 200 && r->space.stalled.head; i++) {
                rig_agent(r);
                rig_tick(r, 1000000);
        }
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, 20, 1));
        ck_assert(rig_holds_many(r, 100, RIG_PAGES - 100, 2));

        /* It is asked again, and is well. */
        for (unsigned i = 100; i < RIG_PAGES; i++)
                r->page[i].result = VMPAGER_RES_NONE;
        for (unsigned i = 0; i < 10 && r->space.vain;
             i++) { /* pages that could not be taken are avoided for some time */
                rig_press(r);
                rig_agent(r);
        }
        ck_assert_uint_eq(r->space.vain, 0);
        ck_assert_uint_gt(r->space.stats.evicted_pages, 20);
        rig_free(r);
}
END_TEST

/* A batch that was given back because mappings changed says nothing of the agent. */
START_TEST(test_cancelled_agent)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        for (unsigned i = 0; i < 20; i++)
                r->page[i].result = VMPAGER_RES_CANCELLED;
        for (unsigned i = 0; i < 40; i++) {
                rig_press(r);
                evict_cancel(&r->space);
                rig_agent(r);
        }
        ck_assert_uint_eq(r->space.vain, 0);
        rig_free(r);
}
END_TEST

/*
 * All is given back right before a search, which finds nothing. Then the program takes memory anew: that can be
 * evicted, and nothing goes beyond the limit.
 */
START_TEST(test_given_back)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, 20, 1);
        rig_relax(r);
        r->ballast = RIG_LIMIT - 20 * PAGE_SIZE_;
        budget_sample(&r->space.budget, RIG_LIMIT);
        for (unsigned i = 0; i < 20; i++)
                r->page[i].present = false;
        r->ballast = 0;
        evict_kick(&r->space);
        ck_assert_uint_eq(r->space.in_flight, 0);
        ck_assert_uint_eq(r->space.futile_until, 0);
        ck_assert(!evict_is_hopeless(&r->space));
        rig_free(r);
}
END_TEST

/* Nothing could be evicted. Once the client has grown the search begins anew, before its pause is over. */
START_TEST(test_grown_since)
{
        struct rig *r = rig_new();

        rig_press(r);
        ck_assert_uint_ne(r->space.futile_until, 0);
        ck_assert(evict_is_hopeless(&r->space));
        rig_put_many(r, 0, 20, 1);
        budget_installed(&r->space.budget, RIG_MIB - PAGE_SIZE_);
        evict_kick(&r->space);
        ck_assert_uint_eq(r->space.in_flight, 0);
        budget_installed(&r->space.budget, PAGE_SIZE_);
        evict_kick(&r->space);
        ck_assert_uint_eq(r->space.in_flight, 20);
        ck_assert(!evict_is_hopeless(&r->space));
        rig_free(r);
}
END_TEST

/* The same when another of its mappings has become certain to be registered. */
START_TEST(test_found_since)
{
        struct rig *r = rig_new();

        rig_press(r);
        ck_assert(evict_is_hopeless(&r->space));
        ck_assert_int_eq(registration_confirm(&r->space), 1);
        ck_assert(evict_is_hopeless(&r->space));
        ck_assert_int_eq(region_remove(&r->space.certain, rig_addr(10), rig_addr(RIG_MAPPED)), 0);
        rig_put_many(r, 20, 20, 1);
        ck_assert_int_eq(registration_confirm(&r->space), 1);
        ck_assert_uint_eq(r->space.futile_until, 0);
        evict_kick(&r->space);
        ck_assert_uint_eq(r->space.in_flight, 20);
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-futile");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_unmovable);
        tcase_add_loop_test(tc, test_helpless_agent, 0, 3);
        tcase_add_test(tc, test_cancelled_agent);
        tcase_add_test(tc, test_given_back);
        tcase_add_test(tc, test_grown_since);
        tcase_add_test(tc, test_found_since);
        return unit_run("pager-futile", tc);
}
