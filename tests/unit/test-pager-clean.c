// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages that come back and go out again unchanged are not written, and what the store keeps for that it gets back. */
#include <string.h>

#include "pager-rig.h"

/* A client of which n pages were in the store, and have been read. */
static struct rig *new_read(unsigned n)
{
        struct rig *r = rig_new();

        r->store.ops = &rig_comparing_store_ops;
        rig_put_many(r, 0, n, 7);
        rig_evict_to(r, 0, n, PAGE_STORED);
        for (unsigned i = 0; i < n; i++)
                rig_touch_as(r, i + 1, i, false);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, 0, n, 7));
        ck_assert_uint_eq(rig_refs(r), n);
        ck_assert_uint_eq(r->space.clean.n, n);
        ck_assert_uint_eq(r->space.stats.written_pages, n);
        return r;
}

/* All go out. */
static void evict(struct rig *r)
{
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_relax(r);
}

static void read_back(struct rig *r, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                rig_touch_as(r, i + 1, i, false);
        rig_receive(r);
        rig_store(r, 0);
}

/* Again and again. */
START_TEST(test_unchanged)
{
        struct rig *r = new_read(50);

        for (unsigned turn = 1; turn <= 4; turn++) {
                evict(r);
                rig_expect(r, 0, 50, PAGE_STORED);
                ck_assert_uint_eq(r->space.stats.written_pages, 50);
                ck_assert_uint_eq(r->space.stats.clean_evictions, 50 * turn);
                ck_assert_uint_eq(r->space.clean.n, 0);
                ck_assert_uint_eq(rig_refs(r), 50);
                ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
                read_back(r, 50);
                ck_assert(rig_holds_many(r, 0, 50, 7));
        }
        rig_free(r);
}
END_TEST

/* What was written to since is written, between pages that were not, and comes back as it is. */
START_TEST(test_changed)
{
        struct rig *r = new_read(50);

        rig_put(r, 10, 8);
        rig_put_many(r, 20, 5, 9);
        evict(r);
        rig_expect(r, 0, 50, PAGE_STORED);
        ck_assert_uint_eq(r->space.stats.written_pages, 56);
        ck_assert_uint_eq(r->space.stats.clean_evictions, 44);
        ck_assert_uint_eq(rig_refs(r), 50);
        read_back(r, 50);
        for (unsigned i = 0; i < 50; i++)
                ck_assert(rig_holds(r, i, i == 10 ? 8 : i >= 20 && i < 25 ? 9 : 7));
        rig_free(r);
}
END_TEST

/* A page that is out has no mark yet: it has none afterwards, and that is known. */
START_TEST(test_bare)
{
        struct rig *r = new_read(5);

        r->no_marks = true;
        rig_press(r);
        r->changing = true;
        rig_agent(r);
        rig_expect(r, 0, 5, PAGE_STORED);
        for (unsigned i = 0; i < 5; i++)
                ck_assert(ptable_get(&r->space.table, rig_addr(i)) & PAGE_BARE);
        r->changing = false;
        rig_free(r);
}
END_TEST

/* _i: what is done to some of the pages. The store gets back what it kept for them as soon as that is carried out. */
START_TEST(test_gone)
{
        struct rig *r = new_read(50);

        switch (_i) {
        case 0:
                rig_remove(r, 10, 20);
                rig_receive(r);
                rig_zap(r, 10, 20);
                break;
        case 1:
                rig_unmap(r, 10, 20);
                rig_receive(r);
                break;
        case 2:
                rig_remap(r, 10, RIG_MAPPED + 50, 20);
                rig_receive(r);
                rig_unmap_echo(r, 10, 20);
                rig_receive(r);
                break;
        }
        ck_assert_uint_eq(rig_refs(r), 30);
        ck_assert_uint_eq(r->space.clean.n, 30);
        rig_free(r);
}
END_TEST

/* A note can be of what another page has taken the place of. The bytes decide. _i: they are the same, they are not. */
START_TEST(test_stale_note)
{
        struct rig *r = new_read(1);
        uint64_t loc = 0, other;

        rig_put(r, 1, 3);
        ck_assert(clean_find(&r->space.clean, rig_addr(0), &loc));
        r->refs[loc]++;
        ck_assert(!clean_note(&r->space.clean, rig_addr(1), loc, &other));
        if (_i == 0)
                memcpy(rig_bytes(r, 1), rig_bytes(r, 0), PAGE_SIZE_);
        evict(r);
        rig_expect(r, 0, 2, PAGE_STORED);
        ck_assert_uint_eq(r->space.stats.clean_evictions, _i ? 1 : 2);
        ck_assert_uint_eq(rig_refs(r), 2);
        read_back(r, 2);
        ck_assert(rig_holds(r, 0, 7));
        ck_assert(_i ? rig_holds(r, 1, 3) : memcmp(rig_bytes(r, 1), rig_bytes(r, 0), PAGE_SIZE_) == 0);
        rig_free(r);
}
END_TEST

/* More than half of the store is in use: no more is noted. And still more: it gets back what is. */
START_TEST(test_store_is_low)
{
        struct rig *r = new_read(50);

        r->capacity = 99;
        rig_tick(r, 1000000);
        ck_assert(r->pager.store_is_low);
        ck_assert_uint_eq(rig_refs(r), 50);
        r->capacity = 79;
        rig_tick(r, 1000000);
        ck_assert_uint_eq(rig_refs(r), 0);
        evict(r);
        ck_assert_uint_eq(r->space.stats.written_pages, 100);
        read_back(r, 50);
        ck_assert_uint_eq(rig_refs(r), 0);
        r->capacity = RIG_LOCS;
        rig_tick(r, 1000000);
        ck_assert(!r->pager.store_is_low);
        rig_free(r);
}
END_TEST

/* The store is full but for what is noted: that is given up before anything waits for room. */
START_TEST(test_store_is_full)
{
        struct rig *r = new_read(50);

        r->capacity = 50;
        rig_put_many(r, 100, 20, 5);
        for (unsigned i = 0; i < 50; i++)
                rig_put(r, i, 6);
        r->space.budget.evicting = false;
        rig_press(r);
        rig_agent(r);
        rig_store(r, 0);
        rig_tick(r, 1000000);
        rig_store(r, 0);
        ck_assert_uint_ge(r->space.table.count[PAGE_STORED], 50);
        ck_assert_uint_eq(r->space.clean.n, 0);
        rig_free(r);
}
END_TEST

/* Notes of one client make room for another's pages at once, without a look at the store between. */
START_TEST(test_yields)
{
        struct rig *r = new_read(50);

        r->capacity = 50;
        rig_put_many(r, 100, 20, 5);
        for (unsigned i = 0; i < 50; i++)
                r->page[i].result = VMPAGER_RES_BUSY;
        r->ballast = RIG_LIMIT;
        r->space.budget.resident = RIG_LIMIT;
        r->now += 1000000000; /* an earlier search has found nothing, and it is searched again */
        evict_kick(&r->space);
        rig_agent(r);
        ck_assert_uint_eq(r->space.stats.store_full, 0);
        rig_store(r, 0);
        rig_expect(r, 100, 20, PAGE_STORED);
        ck_assert_uint_eq(rig_refs(r), 20);
        rig_free(r);
}
END_TEST

/* A child has no notes of its own, and shares what is out. The locations are free when both have ended. */
START_TEST(test_fork)
{
        struct rig *r = new_read(50), *child = rig_child(r);

        evict(r);
        read_back(r, 20);
        rig_fork(r);
        rig_receive(r);
        ck_assert_uint_eq(child->space.clean.n, 0);
        ck_assert_uint_eq(r->space.clean.n, 20);
        rig_touch(child, 30);
        rig_receive(child);
        rig_store(r, 0);
        ck_assert(rig_holds(child, 30, 7));
        rig_end(r);
        ck_assert_uint_eq(r->space.clean.n, 0);
        ck_assert_uint_le(rig_refs(r), 30 + 1);
        rig_free(r);
}
END_TEST

/* _i: nothing is noted where there is no limit; a new limit is a new table. */
START_TEST(test_limit)
{
        struct rig *r = new_read(50);

        space_set_limit(&r->space, _i ? 2 * RIG_LIMIT : 0);
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_ptr_null(r->space.clean.v);
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-clean");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_unchanged);
        tcase_add_test(tc, test_changed);
        tcase_add_test(tc, test_bare);
        tcase_add_loop_test(tc, test_gone, 0, 3);
        tcase_add_loop_test(tc, test_stale_note, 0, 2);
        tcase_add_test(tc, test_store_is_low);
        tcase_add_test(tc, test_store_is_full);
        tcase_add_test(tc, test_yields);
        tcase_add_test(tc, test_fork);
        tcase_add_loop_test(tc, test_limit, 0, 2);
        return unit_run("pager-clean", tc);
}
