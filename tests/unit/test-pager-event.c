// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the client does to its address space while its pages are anywhere on their way. Each of the three events is
 * tried in every state of a page; the neighbours of the pages that it is about must not notice.
 */
#include <errno.h>
#include <string.h>

#include "pager-rig.h"

/* Where pages 0 .. 19 are when the event comes. */
enum where {
        PRESENT,
        ORDERED, /* EVICTING, and the agent has not begun */
        MOVED,   /* EVICTING, and the agent has moved it but not said so */
        AWAITED, /* the same, and threads wait for it */
        WRITING, /* STANDBY */
        STORED,
        READING, /* FETCHING */
        ARRIVED, /* FETCHING, and the bytes could not be installed yet */
        LOST,    /* POISONED */
        N_WHERE
};

#define N     20u
#define FIRST 5u /* the event is about FIRST .. FIRST + COUNT - 1 */
#define COUNT 10u
#define HALF  5u

static void touch_range(struct rig *r, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                rig_touch_as(r, 1000 + i, i, true);
}

static struct rig *rig_at(enum where where)
{
        static const enum page_state state[N_WHERE] = {
                [PRESENT] = PAGE_NATIVE,   [ORDERED] = PAGE_EVICTING, [MOVED] = PAGE_EVICTING,
                [AWAITED] = PAGE_EVICTING, [WRITING] = PAGE_STANDBY,  [STORED] = PAGE_STORED,
                [READING] = PAGE_STORED,   [ARRIVED] = PAGE_STORED,   [LOST] = PAGE_STORED,
        };
        struct rig *r = rig_new();

        rig_put_many(r, 0, N, 1);
        if (where != PRESENT)
                rig_evict_to(r, 0, N, state[where]);
        if (where == MOVED || where == AWAITED)
                rig_move(r);
        if (where == AWAITED || where >= READING) {
                touch_range(r, FIRST, COUNT);
                rig_receive(r);
                rig_expect(r, FIRST, COUNT, where == AWAITED ? PAGE_EVICTING : PAGE_FETCHING);
        }
        if (where == ARRIVED) {
                r->copy_error = -EAGAIN;
                r->copy_errors = COUNT;
                rig_store(r, 0);
                ck_assert_uint_eq(r->copy_errors, 0);
        }
        if (where == LOST)
                rig_store(r, -EIO);
        return r;
}

/* Lets all that is under way come to its end. */
static void settle(struct rig *r)
{
        for (unsigned i = 0; i < 6; i++) {
                rig_receive(r);
                rig_agent(r);
                rig_store(r, 0);
                rig_tick(r, 1000000);
        }
}

/* Touches pages, and lets that come to its end. */
static void touch_settled(struct rig *r, unsigned first, unsigned n)
{
        touch_range(r, first, n);
        settle(r);
}

static void nothing_left(struct rig *r)
{
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        ck_assert_uint_eq(r->space.in_flight, 0);
        ck_assert_uint_eq(r->killed, 0);
        for (unsigned i = 0; i < RIG_PAGES; i++)
                ck_assert_uint_eq(r->page[i].waiting, 0);
        rig_free(r);
}

static void neighbours_live(struct rig *r)
{
        touch_settled(r, 0, FIRST);
        touch_settled(r, FIRST + COUNT, N - FIRST - COUNT);
        ck_assert(rig_holds_many(r, 0, FIRST, 1));
        ck_assert(rig_holds_many(r, FIRST + COUNT, N - FIRST - COUNT, 1));
}

/* What was discarded is zeros, whoever wanted it before or wants it after. */
START_TEST(test_remove)
{
        struct rig *r = rig_at((enum where)_i);

        rig_remove(r, FIRST, COUNT);
        rig_receive(r);
        if (_i != ARRIVED && _i != READING)
                rig_zap(r, FIRST, COUNT);
        settle(r);
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 0));
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        neighbours_live(r);
        nothing_left(r);
}
END_TEST

START_TEST(test_unmap)
{
        struct rig *r = rig_at((enum where)_i);
        uint32_t segv = 0;

        rig_unmap(r, FIRST, COUNT);
        settle(r);
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        ck_assert(!region_touches(&r->space.regions, rig_addr(FIRST), rig_addr(FIRST + COUNT)));
        for (unsigned i = FIRST; i < FIRST + COUNT; i++) {
                ck_assert(!r->page[i].present);
                segv += r->page[i].segv;
        }
        ck_assert_uint_eq(segv, _i == AWAITED || _i == READING || _i == ARRIVED ? COUNT : 0);
        neighbours_live(r);

        /* A new mapping in its place begins with zeros. */
        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                r->page[i].mapped = true;
        settle(r);
        ck_assert(region_holds(&r->space.regions, rig_addr(FIRST), rig_addr(FIRST + COUNT)));
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 0));
        nothing_left(r);
}
END_TEST

/* Page number and seed make the pattern: bytes of FIRST + i, found at TO + i. */
#define TO (RIG_MAPPED + 100)

static bool moved_bytes(struct rig *r)
{
        for (unsigned i = 0; i < COUNT; i++) {
                memcpy(r->memory + (FIRST + i) * PAGE_SIZE_, r->memory + (TO + i) * PAGE_SIZE_, PAGE_SIZE_);
                r->page[FIRST + i].present = r->page[TO + i].present;
        }
        return rig_holds_many(r, FIRST, COUNT, 1);
}

START_TEST(test_remap)
{
        struct rig *r = rig_at((enum where)_i);

        rig_remap(r, FIRST, TO, COUNT);
        settle(r);
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        ck_assert(!region_touches(&r->space.regions, rig_addr(FIRST), rig_addr(FIRST + COUNT)));
        ck_assert(region_holds(&r->space.regions, rig_addr(TO), rig_addr(TO + COUNT)));
        touch_settled(r, TO, COUNT);
        if (_i == LOST) {
                rig_expect(r, TO, COUNT, PAGE_POISONED);
        } else {
                rig_expect(r, TO, COUNT, PAGE_NATIVE);
                ck_assert(moved_bytes(r));
        }
        neighbours_live(r);
        nothing_left(r);
}
END_TEST

/*
 * _i: UNMAP, REMAP. The agent comes late: its orders name addresses where another mapping stands by now, whose pages
 * it must not touch; nor may what it had been ordered count against the new pages.
 */
START_TEST(test_orders_void)
{
        struct rig *r = rig_at(ORDERED);

        if (_i)
                rig_remap(r, FIRST, TO, COUNT);
        else
                rig_unmap(r, FIRST, COUNT);
        rig_receive(r);
        for (unsigned i = FIRST; i < FIRST + COUNT; i++) {
                r->page[i].mapped = true;
                rig_put(r, i, 2);
        }
        rig_move(r);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 2));
        rig_complete(r);
        settle(r);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 2));
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        neighbours_live(r);
        nothing_left(r);
}
END_TEST

/* The zap comes later than the message: a page that is present until then must not be evicted with its old bytes. */
START_TEST(test_cleared)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, N, 1);
        rig_remove(r, FIRST, COUNT);
        rig_receive(r);
        rig_expect(r, FIRST, COUNT, PAGE_CLEARED);
        rig_press(r);
        rig_expect(r, 0, FIRST, PAGE_EVICTING);
        rig_expect(r, FIRST, COUNT, PAGE_CLEARED);
        rig_agent(r);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 1));
        rig_store(r, 0);
        rig_relax(r);
        rig_zap(r, FIRST, COUNT);

        /* Missed: zeros, native, and evictable again. */
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 0));
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        rig_put_many(r, FIRST, COUNT, 3);
        for (unsigned i = 0; i < 10 && rig_state(r, FIRST) == PAGE_NATIVE; i++)
                rig_press(r);
        rig_expect(r, FIRST, COUNT, PAGE_EVICTING);
        rig_agent(r);
        rig_store(r, 0);
        rig_relax(r);
        touch_settled(r, 0, N);
        ck_assert(rig_holds_many(r, 0, FIRST, 1) && rig_holds_many(r, FIRST, COUNT, 3));
        nothing_left(r);
}
END_TEST

/* Seen absent beside a page that is present: the zap is done. */
START_TEST(test_cleared_seen_absent)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, N, 1);
        rig_remove(r, FIRST, COUNT);
        rig_receive(r);
        rig_zap(r, FIRST, COUNT);
        rig_press(r);
        rig_expect(r, FIRST, COUNT, PAGE_NATIVE);
        rig_free(r);
}
END_TEST

/* A message that is unread when a page of the ring is wanted: the event first, even if it came later. */
START_TEST(test_event_before_fault)
{
        struct rig *r = rig_at(WRITING);

        rig_touch(r, FIRST);
        rig_remove(r, FIRST, 1);
        rig_receive(r);
        ck_assert(rig_holds(r, FIRST, 0));
        settle(r);
        neighbours_live(r);
        touch_settled(r, FIRST, COUNT);
        nothing_left(r);
}
END_TEST

/* Takes the n-th message from the end out of the queue; put_back() queues it last. */
static struct uffd_msg hold_back(struct rig *r, unsigned n)
{
        struct uffd_msg m = r->msg[r->n_msgs - n];

        memmove(&r->msg[r->n_msgs - n], &r->msg[r->n_msgs - n + 1], (n - 1) * sizeof(m));
        r->n_msgs--;
        r->changing = true;
        return m;
}

static void put_back(struct rig *r, struct uffd_msg m)
{
        r->msg[r->n_msgs++] = m;
        r->changing = false;
}

/*
 * One thread unmaps a range, another moves a mapping there before the first has told of it. While the first is late
 * the pages wait; then they are where the second has moved them. _i: where the pages of both are.
 */
START_TEST(test_late_unmap)
{
        struct rig *r = rig_at((enum where)_i);
        struct uffd_msg late;

        rig_unmap(r, FIRST, HALF);
        late = hold_back(r, 1);
        rig_remap(r, FIRST + HALF, FIRST, HALF);
        rig_unmap_echo(r, FIRST + HALF, HALF);
        rig_receive(r);
        touch_range(r, FIRST, HALF);
        rig_receive(r);
        for (unsigned i = FIRST; i < FIRST + HALF; i++)
                ck_assert(!r->page[i].present);
        put_back(r, late);
        settle(r);
        for (unsigned i = 0; i < HALF; i++) {
                ck_assert(r->page[FIRST + i].present);
                memcpy(rig_bytes(r, FIRST + HALF + i), rig_bytes(r, FIRST + i), PAGE_SIZE_);
                r->page[FIRST + HALF + i].present = true;
        }
        ck_assert(rig_holds_many(r, FIRST + HALF, HALF, 1));
        ck_assert_uint_eq(r->killed, 0);
        rig_free(r);
}
END_TEST

/* Two threads, two moves out of one range, and nothing to tell them apart: the client is ended. */
START_TEST(test_unclear)
{
        struct rig *r = rig_at(STORED);
        struct uffd_msg late;

        rig_remap(r, FIRST, TO, HALF); /* the first thread's, which tells of it late */
        late = hold_back(r, 1);
        rig_remap(r, FIRST + HALF, FIRST, HALF);
        rig_unmap_echo(r, FIRST + HALF, HALF);
        rig_remap(r, FIRST, TO + HALF, HALF);
        rig_unmap_echo(r, FIRST, HALF);
        rig_receive(r);
        put_back(r, late);
        rig_unmap_echo(r, FIRST, HALF);
        rig_receive(r);
        ck_assert_uint_eq(r->killed, 1);
        rig_free(r);
}
END_TEST

/* Pages that the agent could not mark are marked as soon as nothing is changing. */
START_TEST(test_bare)
{
        struct rig *r = rig_new();

        r->no_marks = true;
        rig_put_many(r, 0, N, 1);
        rig_put(r, 3, 0);
        rig_press(r);
        rig_agent(r);
        r->no_marks = false;
        ck_assert_uint_eq(r->space.table.bare, N);
        rig_store(r, 0);
        rig_relax(r);
        rig_receive(r);
        ck_assert_uint_eq(r->space.table.bare, 0);
        for (unsigned i = 0; i < N; i++)
                ck_assert(r->page[i].marked);
        touch_settled(r, 0, N);
        ck_assert(rig_holds_many(r, 0, 3, 1) && rig_holds(r, 3, 0) && rig_holds_many(r, 4, N - 4, 1));
        nothing_left(r);
}
END_TEST

/* MADV_GUARD_INSTALL sends no event. What was out is discarded by it, and a run of zeros ends before a guard. */
START_TEST(test_guard)
{
        struct rig *r = rig_at(STORED);

        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                r->page[i].marked = false;
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 0));
        neighbours_live(r);
        r->page[N + 20].guard = true;
        for (unsigned i = N; i < N + 20; i++) {
                rig_touch(r, i);
                rig_receive(r);
        }
        ck_assert(rig_holds_many(r, N, 20, 0));
        ck_assert(!r->page[N + 20].present);
        nothing_left(r);
}
END_TEST

/* An mremap() that has not told of itself took pages along: no mark is there, and they were not discarded. */
START_TEST(test_remap_untold)
{
        struct rig *r = rig_at(STORED);
        struct uffd_msg told;

        rig_remap(r, FIRST, TO, COUNT);
        told = r->msg[--r->n_msgs];
        r->changing = true;
        r->page[FIRST].mapped = r->page[FIRST].enlisted = true;
        rig_touch(r, FIRST);
        rig_receive(r);
        rig_expect(r, FIRST, COUNT, PAGE_STORED);
        r->msg[r->n_msgs++] = told;
        rig_receive(r);
        rig_unmap_echo(r, FIRST, COUNT);
        rig_receive(r);
        r->changing = false;
        settle(r);
        touch_settled(r, TO, COUNT);
        ck_assert(moved_bytes(r));
        neighbours_live(r);
        nothing_left(r);
}
END_TEST

/* While it is not told, what stands at the old place now is not registered: its events could be read first. */
START_TEST(test_newcomer)
{
        struct rig *r = rig_at(STORED);
        struct uffd_msg told;

        rig_remap(r, FIRST, TO, COUNT);
        told = r->msg[--r->n_msgs];
        r->changing = true;
        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                r->page[i].mapped = true;
        r->space.mapped = 0;
        settle(r);
        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                ck_assert(!r->page[i].enlisted);
        r->msg[r->n_msgs++] = told;
        rig_unmap_echo(r, FIRST, COUNT);
        rig_receive(r);
        r->changing = false;
        settle(r);
        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                ck_assert(r->page[i].enlisted);
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 0));
        touch_settled(r, TO, COUNT);
        ck_assert(moved_bytes(r));
        neighbours_live(r);
        nothing_left(r);
}
END_TEST

/* A REMOVE that waits for a REMAP to be carried out: what is written after it is not taken out before. */
START_TEST(test_remove_waits)
{
        struct rig *r = rig_new();
        uint32_t epoch;

        rig_put_many(r, 0, N, 1);
        rig_press(r);
        rig_expect(r, FIRST, COUNT, PAGE_EVICTING);
        epoch = r->space.epoch;
        r->changing = true;
        rig_remap(r, N + 10, TO, 1);
        rig_remove(r, FIRST, COUNT);
        rig_receive(r);
        ck_assert_uint_gt(r->space.epoch, epoch);
        rig_zap(r, FIRST, COUNT);
        rig_put_many(r, FIRST, COUNT, 2);
        rig_relax(r);
        rig_agent(r);
        rig_unmap_echo(r, N + 10, 1);
        rig_receive(r);
        r->changing = false;
        settle(r);
        touch_settled(r, FIRST, COUNT);
        ck_assert(rig_holds_many(r, FIRST, COUNT, 2));
        nothing_left(r);
}
END_TEST

/* An munmap() over what has come to the old place by then: that is not registered, and told of all the same. */
START_TEST(test_unmap_of_newcomer)
{
        struct rig *r = rig_at(STORED);
        struct uffd_msg told;

        rig_remap(r, FIRST, TO, COUNT);
        told = r->msg[--r->n_msgs];
        r->changing = true;
        for (unsigned i = FIRST; i < FIRST + COUNT; i++)
                r->page[i].mapped = true;
        rig_unmap(r, FIRST, COUNT + 2);
        rig_receive(r);
        r->msg[r->n_msgs++] = told;
        rig_unmap_echo(r, FIRST, COUNT);
        rig_receive(r);
        r->changing = false;
        settle(r);
        touch_settled(r, TO, COUNT);
        ck_assert(moved_bytes(r));
        touch_settled(r, 0, FIRST);
        touch_settled(r, FIRST + COUNT + 2, N - FIRST - COUNT - 2);
        nothing_left(r);
}
END_TEST

/* The marks of discarded pages are taken away late, and not those of the pages that have come to their places. */
START_TEST(test_move_over_discarded)
{
        struct rig *r = rig_at(STORED);

        r->changing = true;
        rig_remove(r, FIRST, HALF);
        rig_receive(r);
        rig_zap(r, FIRST, HALF);
        rig_unmap(r, FIRST, HALF);
        rig_remap(r, 0, FIRST, HALF);
        rig_unmap_echo(r, 0, HALF);
        rig_receive(r);
        r->changing = false;
        settle(r);
        touch_settled(r, FIRST, HALF);
        for (unsigned i = 0; i < HALF; i++) {
                memcpy(r->memory + i * PAGE_SIZE_, r->memory + (FIRST + i) * PAGE_SIZE_, PAGE_SIZE_);
                r->page[i].present = r->page[FIRST + i].present;
        }
        ck_assert(rig_holds_many(r, 0, HALF, 1));
        touch_settled(r, FIRST + HALF, N - FIRST - HALF);
        nothing_left(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-event");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_remove, 0, N_WHERE);
        tcase_add_loop_test(tc, test_unmap, 0, N_WHERE);
        tcase_add_loop_test(tc, test_remap, 0, N_WHERE);
        tcase_add_loop_test(tc, test_orders_void, 0, 2);
        tcase_add_test(tc, test_cleared);
        tcase_add_test(tc, test_cleared_seen_absent);
        tcase_add_test(tc, test_event_before_fault);
        tcase_add_loop_test(tc, test_late_unmap, MOVED, STORED + 1);
        tcase_add_test(tc, test_unclear);
        tcase_add_test(tc, test_bare);
        tcase_add_test(tc, test_guard);
        tcase_add_test(tc, test_remap_untold);
        tcase_add_test(tc, test_newcomer);
        tcase_add_test(tc, test_remove_waits);
        tcase_add_test(tc, test_unmap_of_newcomer);
        tcase_add_test(tc, test_move_over_discarded);
        return unit_run("pager-event", tc);
}
