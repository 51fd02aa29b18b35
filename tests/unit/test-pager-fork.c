// SPDX-License-Identifier: GPL-2.0-or-later
/* A client forks: the child has what was out, wherever it was, and each of the two keeps its own. */
#include <errno.h>
#include <string.h>

#include "pager-rig.h"
#include "pager/evict.h"

#define N 20u

enum where {
        PRESENT,
        ORDERED,   /* EVICTING, and the agent has not begun */
        MOVED,     /* EVICTING, and the agent is in the middle of it */
        COMPLETED, /* EVICTING, and the agent has said so, but was not heard yet */
        WRITING,   /* STANDBY */
        STORED,
        READING, /* FETCHING */
        LOST,    /* POISONED */
        N_WHERE
};

static struct rig *rig_at(enum where where)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, N, 1);
        if (where >= STORED)
                rig_evict_to(r, 0, N, PAGE_STORED);
        else if (where == WRITING)
                rig_evict_to(r, 0, N, PAGE_STANDBY);
        else if (where >= ORDERED)
                rig_evict_to(r, 0, N, PAGE_EVICTING);
        if (where == MOVED || where == COMPLETED)
                rig_move(r);
        if (where == COMPLETED) {
                atomic_store(&r->ring->completed, r->moved);
                atomic_store(&r->ring->busy, 0);
        }
        if (where == READING || where == LOST) {
                for (unsigned i = 0; i < N; i++)
                        rig_touch_as(r, 1000 + i, i, true);
                rig_receive(r);
                rig_expect(r, 0, N, PAGE_FETCHING);
        }
        if (where == LOST)
                rig_store(r, -EIO);
        return r;
}

/* Lets all that is under way for both come to its end. The store is the parent's. */
static void settle(struct rig *r)
{
        for (unsigned i = 0; i < 6; i++) {
                rig_receive(r);
                rig_agent(r);
                if (r->child && !r->child->space.dying)
                        rig_receive(r->child);
                rig_store(r, 0);
                rig_tick(r, 1000000);
        }
}

static void touch_all(struct rig *r)
{
        for (unsigned i = 0; i < N; i++)
                rig_touch(r, i);
}

/* A child's messages, the store of all, and time. */
static void run_on(struct rig *r, struct rig *child)
{
        rig_receive(child);
        rig_store(r, 0);
        rig_tick(child, 1000000);
}

/* The child is unattended: nothing is evicted from it, and it has no limit. */
static struct rig *forked(struct rig *r)
{
        struct rig *child = rig_child(r);

        rig_fork(r);
        rig_receive(r);
        return child;
}

START_TEST(test_both)
{
        struct rig *r = rig_at((enum where)_i), *child = forked(r);

        ck_assert_uint_eq(r->forked, _i == MOVED ? 0 : 1);
        settle(r);
        ck_assert_uint_eq(r->forked, 1);
        ck_assert_uint_eq(r->space.stats.events_fork, 1);
        touch_all(child);
        settle(r);
        if (_i == LOST) {
                for (unsigned i = 0; i < N; i++)
                        ck_assert(child->page[i].poisoned && r->page[i].poisoned);
        } else {
                ck_assert(rig_holds_many(child, 0, N, 1));
                rig_put_many(child, 0, N, 2);
                touch_all(r);
                settle(r);
                ck_assert(rig_holds_many(r, 0, N, 1));
        }
        ck_assert_uint_eq(rig_refs(r), 0);
        ck_assert_uint_eq(r->space.ring_slots.n_free, RIG_SLOTS);
        ck_assert_uint_eq(child->space.ring_slots.n_free, RIG_SLOTS);
        rig_free(r);
}
END_TEST

/* The parent ends at once, with all that its agent was about. */
START_TEST(test_parent_ends)
{
        struct rig *r = rig_at((enum where)_i), *child = forked(r);

        rig_end(r);
        ck_assert_uint_eq(r->forked, 1);
        touch_all(child);
        for (unsigned i = 0; i < 3; i++) {
                rig_receive(child);
                rig_store(r, 0);
        }
        for (unsigned i = 0; i < N; i++)
                ck_assert(_i == MOVED || _i == LOST ? child->page[i].poisoned : rig_holds(child, i, 1));
        ck_assert_uint_eq(rig_refs(r), 0);
        rig_free(r);
}
END_TEST

/* The parent discards, unmaps or moves what it had: that is its own affair. */
START_TEST(test_parent_goes_on)
{
        struct rig *r = rig_at(STORED), *child = forked(r);

        rig_remove(r, 0, 5);
        rig_receive(r);
        rig_zap(r, 0, 5);
        rig_unmap(r, 5, 5);
        rig_receive(r);
        rig_remap(r, 10, 600, 5);
        rig_receive(r);
        rig_unmap_echo(r, 10, 5);
        settle(r);
        ck_assert_uint_eq(rig_refs(r), N + 10);
        touch_all(child);
        settle(r);
        ck_assert(rig_holds_many(child, 0, N, 1));
        ck_assert_uint_eq(rig_refs(r), 10);
        rig_free(r);
}
END_TEST

/* A range with MADV_WIPEONFORK: the child's page tables are empty there, marks and all. */
START_TEST(test_wiped)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        rig_fork(r);
        for (unsigned i = 0; i < 5; i++)
                child->page[i].marked = false;
        rig_receive(r);
        touch_all(child);
        settle(r);
        ck_assert(rig_holds_many(child, 0, 5, 0));
        ck_assert(rig_holds_many(child, 5, N - 5, 1));
        rig_free(r);
}
END_TEST

/* The child moves such a range about; several of its calls are told before the pager comes to look. */
START_TEST(test_wiped_moves)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        rig_fork(r);
        for (unsigned i = 0; i < 5; i++)
                child->page[i].marked = false;
        rig_receive(r);
        child->changing = true;
        rig_remap(child, 0, 600, N);
        rig_receive(child);
        rig_unmap_echo(child, 0, N);
        rig_receive(child);
        rig_remap(child, 600, 700, N);
        rig_receive(child);
        rig_unmap_echo(child, 600, N);
        rig_receive(child);
        rig_remap(child, 700, 600, N);
        rig_receive(child);
        rig_unmap_echo(child, 700, N);
        child->changing = false;
        settle(r);
        ck_assert_uint_eq(child->killed, 0);
        for (unsigned i = 600; i < 600 + N; i++)
                rig_touch(child, i);
        settle(r);
        for (unsigned i = 0; i < N; i++) {
                rig_touch(r, i);
                settle(r);
                if (i < 5)
                        ck_assert(rig_holds(child, 600 + i, 0));
                else
                        ck_assert_int_eq(memcmp(rig_bytes(child, 600 + i), rig_bytes(r, i), PAGE_SIZE_), 0);
        }
        rig_free(r);
}
END_TEST

/*
 * Memory that the child does not have (MADV_DONTFORK): it moves some of its own there. _i: and on from there, before
 * the pager comes to look.
 */
START_TEST(test_hole)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);
        unsigned at = _i ? 600 : 300;

        rig_fork(r);
        for (unsigned i = 300; i < 350; i++)
                child->page[i].mapped = false;
        rig_receive(r);
        child->changing = true;
        rig_remap(child, 0, 300, N);
        rig_receive(child);
        rig_unmap_echo(child, 0, N);
        rig_receive(child);
        if (_i) {
                rig_remap(child, 300, 600, N);
                rig_receive(child);
                rig_unmap_echo(child, 300, N);
        }
        child->changing = false;
        settle(r);
        ck_assert_uint_eq(child->killed, 0);
        for (unsigned i = 0; i < N; i++) {
                rig_touch(child, at + i);
                rig_touch(r, i);
        }
        settle(r);
        for (unsigned i = 0; i < N; i++) {
                ck_assert(child->page[at + i].present);
                ck_assert_int_eq(memcmp(rig_bytes(child, at + i), rig_bytes(r, i), PAGE_SIZE_), 0);
        }
        rig_free(r);
}
END_TEST

/* The message that was sent last is read before the one that was sent before it. */
static void swap_last(struct rig *r)
{
        struct uffd_msg m = r->msg[r->n_msgs - 1];

        r->msg[r->n_msgs - 1] = r->msg[r->n_msgs - 2];
        r->msg[r->n_msgs - 2] = m;
}

/* Another thread moves memory while the program forks: before that or after it, and it is told in either order. */
START_TEST(test_in_journal)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);
        bool fork_first = _i & 1, fork_read_first = _i & 2;
        unsigned at = fork_first ? 0 : 600;

        r->changing = true;
        if (fork_first)
                rig_fork(r);
        rig_remap(r, 0, 600, 5);
        if (!fork_first)
                rig_fork(r);
        if (fork_first != fork_read_first)
                swap_last(r);
        rig_receive(r);
        ck_assert_uint_eq(r->forked, 1);
        /* Until all is told nobody knows what the child has. */
        rig_touch(child, 10);
        rig_receive(child);
        rig_store(r, 0);
        ck_assert(!child->page[10].present);
        rig_unmap_echo(r, 0, 5);
        r->changing = false;
        settle(r);
        ck_assert_uint_eq(r->forked, 1);
        for (unsigned i = 5; i < N; i++)
                rig_touch(child, i);
        for (unsigned i = at; i < at + 5; i++)
                rig_touch(child, i);
        settle(r);
        ck_assert(rig_holds_many(child, 5, N - 5, 1));
        for (unsigned i = 0; i < 5; i++) {
                rig_touch(r, 600 + i);
                settle(r);
                ck_assert_int_eq(memcmp(rig_bytes(child, at + i), rig_bytes(r, 600 + i), PAGE_SIZE_), 0);
                ck_assert(child->page[at + i].present);
        }
        rig_free(r);
}
END_TEST

/* Whether a page holds what another was given. */
static bool holds_as(const struct rig *child, unsigned page, unsigned as, unsigned seed)
{
        struct rig *other = rig_new();
        bool same;

        rig_put(other, as, seed);
        same = memcmp(rig_bytes(child, page), rig_bytes(other, as), PAGE_SIZE_) == 0;
        rig_free(other);
        return same;
}

enum hidden { NOTHING_HIDDEN, FROM_WIPED, FROM_NOT_FORKED, CHAINED, BARE, N_HIDDEN };

/*
 * Another thread moves memory to where other memory was that is out, while the program forks. The child has the one or
 * the other there. _i: whether the fork came first; what makes it hard to tell.
 */
START_TEST(test_moved_onto)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);
        enum hidden hidden = (enum hidden)(_i / 2);
        bool fork_first = _i & 1;

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        for (unsigned i = 0; i < 5; i++)
                r->page[i].not_for_children = hidden == FROM_WIPED || hidden == FROM_NOT_FORKED;
        for (unsigned i = 0; i < 5 && hidden == BARE; i++) {
                ptable_set(&r->space.table, rig_addr(i), ptable_get(&r->space.table, rig_addr(i)) | PAGE_BARE);
                r->page[i].marked = false;
        }
        r->changing = true;
        if (fork_first)
                rig_fork(r);
        rig_unmap(r, 300, 5);
        rig_remap(r, 0, 300, 5);
        for (unsigned i = 0; i < 5; i++)
                r->page[300 + i].not_for_children = r->page[i].not_for_children;
        rig_receive(r);
        rig_unmap_echo(r, 0, 5);
        if (hidden == CHAINED) {
                rig_receive(r);
                rig_remap(r, 10, 0, 5);
                rig_receive(r);
                rig_unmap_echo(r, 10, 5);
        }
        if (!fork_first)
                rig_fork(r);
        for (unsigned i = fork_first ? 0 : 300; i < (fork_first ? 5u : 305u); i++) {
                child->page[i].marked &= !r->page[300].not_for_children;
                child->page[i].mapped &= hidden != FROM_NOT_FORKED;
        }
        rig_receive(r);
        r->changing = false;
        settle(r);
        ck_assert_uint_eq(r->forked, 1);
        for (unsigned i = 300; i < 305; i++)
                if (child->page[i].mapped)
                        rig_touch(child, i);
        settle(r);
        for (unsigned i = 300; i < 305; i++) {
                if ((hidden == CHAINED || hidden == BARE) && child->page[i].poisoned)
                        continue;
                if (fork_first)
                        ck_assert(rig_holds(child, i, 9));
                else if (hidden == FROM_WIPED)
                        ck_assert(rig_holds(child, i, 0));
                else if (hidden != FROM_NOT_FORKED)
                        ck_assert(child->page[i].present && holds_as(child, i, i - 300, 1));
        }
        rig_free(r);
}
END_TEST

/* What another thread moves to where something is out it has mapped after the fork: the child has nothing there. */
START_TEST(test_new_moved_onto)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        rig_put_many(r, 310, 5, 7);
        r->space.stray_marks = 5;
        r->changing = true;
        rig_fork(r);
        for (unsigned i = 310; i < 315; i++)
                child->page[i].mapped = child->page[i].present = false;
        rig_receive(r);
        rig_unmap(r, 300, 5);
        rig_remap(r, 310, 300, 5);
        rig_receive(r);
        rig_unmap_echo(r, 310, 5);
        rig_receive(r);
        r->changing = false;
        settle(r);
        for (unsigned i = 300; i < 305; i++)
                rig_touch(child, i);
        settle(r);
        for (unsigned i = 300; i < 305; i++)
                ck_assert(child->page[i].poisoned || rig_holds(child, i, 9));
        rig_free(r);
}
END_TEST

/* Another thread discards or unmaps while the program forks, and its event is read first: the child has the pages. */
START_TEST(test_discarded_meanwhile)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        atomic_store(&r->ring->forks, 1);
        r->changing = true;
        rig_fork(r);
        if (_i == 0)
                rig_remove(r, 0, 5);
        else
                rig_unmap(r, 0, 5);
        swap_last(r);
        rig_receive(r);
        rig_zap(r, 0, 5);
        r->changing = false;
        atomic_store(&r->ring->forks, 0);
        settle(r);
        ck_assert_uint_eq(r->forked, 1);
        touch_all(child);
        settle(r);
        ck_assert(rig_holds_many(child, 0, N, 1));
        if (_i == 0)
                touch_all(r);
        settle(r);
        ck_assert(_i == 1 || rig_holds_many(r, 0, 5, 0));
        rig_free(r);
}
END_TEST

/*
 * The fork's own call is not over when the child runs. _i: the program has other threads, and what the child has may
 * have to be told of yet.
 */
START_TEST(test_at_once)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        r->changing = true;
        r->alone = !_i;
        rig_fork(r);
        rig_receive(r);
        touch_all(child);
        rig_receive(child);
        rig_store(r, 0);
        for (unsigned i = 0; i < N; i++)
                ck_assert(child->page[i].present == !_i);
        r->changing = false;
        settle(r);
        ck_assert(rig_holds_many(child, 0, N, 1));
        rig_free(r);
}
END_TEST

/* The parent ends before it is known that it had no more to tell. _i: another of its threads had moved a page. */
START_TEST(test_orphan)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        r->changing = true;
        if (_i)
                rig_remap(r, 0, 600, 1);
        r->n_msgs = 0; /* not told yet */
        rig_fork(r);
        rig_receive(r);
        rig_end(r);
        touch_all(child);
        settle(r);
        ck_assert_uint_eq(child->killed, _i ? 1 : 0);
        ck_assert(_i || rig_holds_many(child, 0, N, 1));
        rig_free(r);
}
END_TEST

/*
 * The parent ends as soon as its fork has returned. What it has without a mark may be memory that children do not get,
 * and is if the program had no other thread that can have moved it; _i: it had.
 */
START_TEST(test_parent_gone_at_once)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        atomic_store(&r->ring->forks, 1);
        r->alone = !_i;
        r->ends = r->changing = true;
        rig_fork(r);
        child->page[0].marked = false;
        rig_receive(r);
        rig_end(r);
        touch_all(child);
        settle(r);
        ck_assert_uint_eq(child->killed, _i ? 1 : 0);
        ck_assert(_i || (rig_holds(child, 0, 0) && rig_holds_many(child, 1, N - 1, 1)));
        rig_free(r);
}
END_TEST

/* Adopted by its grandparent, a child has to hear what that one's other thread has done, and that one ends as well. */
START_TEST(test_adopted)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r), *grandchild = rig_child(child);

        r->changing = child->changing = child->alone = true;
        rig_remap(r, 0, 600, 1);
        r->n_msgs = 0; /* not told yet */
        rig_fork(r);
        rig_receive(r);
        rig_fork(child);
        rig_receive(child);
        rig_end(child);
        rig_end(r);
        rig_touch(grandchild, 600);
        for (unsigned i = 0; i < 4; i++)
                run_on(r, grandchild);
        ck_assert_uint_eq(grandchild->killed, 1);
        rig_end(grandchild);
        rig_free(r);
}
END_TEST

enum doing { UNMAPS, GUARDS, MOVES, N_DOING };

/*
 * The child is just changing what is to tell whether it was forked before or after something was moved onto memory that
 * was out: it unmaps the place where that was, forbids it by MADV_GUARD_INSTALL, or moves something there.
 */
START_TEST(test_child_changing)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);
        struct uffd_msg late;

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        r->changing = true;
        if (_i != MOVES)
                rig_fork(r);
        rig_unmap(r, 300, 5);
        rig_remap(r, 0, 300, 5);
        rig_receive(r);
        rig_unmap_echo(r, 0, 5);
        if (_i == MOVES)
                rig_fork(r);
        rig_receive(r);
        if (_i == UNMAPS)
                rig_unmap(child, 0, 5);
        else if (_i == MOVES)
                rig_remap(child, 10, 0, 5);
        for (unsigned i = 0; i < 5 && _i == GUARDS; i++) {
                child->page[i].marked = false;
                child->page[i].guard = true;
        }
        if (_i != GUARDS) {
                late = child->msg[--child->n_msgs]; /* not told yet */
                child->changing = true;
        }
        r->changing = false;
        settle(r);
        if (_i != GUARDS)
                child->msg[child->n_msgs++] = late;
        rig_receive(child);
        if (_i == MOVES)
                rig_unmap_echo(child, 10, 5);
        child->changing = false;
        settle(r);
        for (unsigned i = 300; i < 305; i++)
                rig_touch(child, i);
        settle(r);
        for (unsigned i = 300; i < 305 && !child->killed; i++)
                ck_assert(child->page[i].poisoned ||
                          (_i == MOVES ? holds_as(child, i, i - 300, 1) : rig_holds(child, i, 9)));
        rig_free(r);
}
END_TEST

/*
 * Pages are discarded, which leaves their marks, and moved onto what is out; _i: by way of another place. The child,
 * forked after that, finds zeros there, or what cannot be told is lost to it.
 */
START_TEST(test_stray_marks_move)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);
        unsigned from = _i ? 600 : 0;

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        r->changing = true;
        rig_unmap(r, 300, 5);
        rig_receive(r);
        rig_remove(r, 0, 5);
        rig_receive(r);
        if (_i) {
                rig_remap(r, 0, from, 5);
                rig_receive(r);
                rig_unmap_echo(r, 0, 5);
                rig_receive(r);
        }
        rig_remap(r, from, 300, 5);
        rig_fork(r);
        swap_last(r);
        rig_receive(r);
        rig_unmap_echo(r, from, 5);
        rig_receive(r);
        r->changing = false;
        settle(r);
        ck_assert_uint_eq(r->forked, 1);
        ck_assert_uint_eq(r->killed, 0);
        for (unsigned i = 300; i < 305; i++)
                rig_touch(child, i);
        settle(r);
        for (unsigned i = 300; i < 305; i++)
                ck_assert(child->page[i].poisoned || rig_holds(child, i, 0));
        rig_free(r);
}
END_TEST

/* The parent ends, and had moved pages with marks left over to where something is out: all that is noted has a mark. */
START_TEST(test_orphan_with_stray_marks)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        for (unsigned i = 310; i < 315; i++)
                r->page[i].marked = true;
        r->space.stray_marks = 5;
        r->changing = true;
        rig_unmap(r, 300, 5);
        rig_remap(r, 310, 300, 5);
        r->n_msgs = 0; /* not told yet */
        rig_fork(r);
        rig_receive(r);
        rig_end(r);
        rig_touch(child, 300);
        settle(r);
        ck_assert_uint_eq(child->killed, 1);
        rig_free(r);
}
END_TEST

/* A grandchild did not get what its own parent withheld from it, and not because it was forked after a move. */
START_TEST(test_withheld_by_child)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r), *grandchild = rig_child(child);

        rig_put_many(r, 300, 5, 9);
        rig_evict_to(r, 300, 5, PAGE_STORED);
        r->changing = true;
        rig_fork(r);
        rig_receive(r);
        rig_fork(child);
        for (unsigned i = 0; i < 5; i++)
                grandchild->page[i].marked = false; /* MADV_WIPEONFORK */
        rig_receive(child);
        rig_unmap(r, 300, 5);
        rig_remap(r, 0, 300, 5);
        rig_receive(r);
        rig_unmap_echo(r, 0, 5);
        rig_receive(r);
        r->changing = false;
        settle(r);
        run_on(r, child);
        for (unsigned i = 300; i < 305; i++)
                rig_touch(grandchild, i);
        for (unsigned i = 0; i < 4; i++)
                run_on(r, grandchild);
        for (unsigned i = 300; i < 305; i++)
                ck_assert(grandchild->page[i].poisoned || rig_holds(grandchild, i, 9));
        rig_end(grandchild);
        rig_free(r);
}
END_TEST

/* As long as children have to wait for what is changing nothing is evicted, and faults at the limit wait as well. */
START_TEST(test_held_by_children)
{
        struct rig *r = rig_at(STORED);

        rig_child(r);
        r->changing = true;
        rig_fork(r);
        rig_receive(r);
        r->space.futile_until = UINT64_MAX;
        ck_assert(!evict_is_hopeless(&r->space));
        r->changing = false;
        settle(r);
        ck_assert(evict_is_hopeless(&r->space));
        rig_free(r);
}
END_TEST

/* A parent is killed in the middle of an mremap: nothing is changing any more, and nothing will be told. */
START_TEST(test_killed_parent)
{
        struct rig *r = rig_at(STORED), *child = rig_child(r);

        rig_remap(r, 0, 600, 1);
        r->n_msgs = 0;
        r->ending = true;
        rig_fork(r);
        rig_receive(r);
        rig_touch(child, 600);
        settle(r);
        ck_assert(!child->page[600].present && !child->page[600].poisoned);
        rig_end(r);
        settle(r);
        ck_assert_uint_eq(child->killed, 1);
        rig_free(r);
}
END_TEST

/* The thread that forks touches memory at the limit, while the agent is kept from what was ordered. */
START_TEST(test_fault_of_who_forks)
{
        struct rig *r = rig_new();

        rig_put_many(r, 0, N, 1);
        rig_press(r);
        rig_expect(r, 0, N, PAGE_EVICTING);
        rig_touch(r, 400);
        rig_receive(r);
        ck_assert(!r->page[400].present);
        atomic_store(&r->ring->forks, 1);
        rig_tick(r, 1000000);
        ck_assert(r->page[400].present);
        rig_free(r);
}
END_TEST

/* What fork left shared is passed by. When it is the client's alone again the agent is told to make that known. */
START_TEST(test_shared)
{
        struct rig *r = rig_at(PRESENT), *child = forked(r);

        ck_assert(r->space.shares);
        rig_press(r);
        rig_expect(r, 0, N, PAGE_NATIVE);
        ck_assert(evict_is_hopeless(&r->space));
        rig_end(child);
        memset(r->shared, 0, sizeof(r->shared));
        rig_tick(r, UINT64_C(1000000000));
        rig_expect(r, 0, N, PAGE_EVICTING);
        ck_assert_uint_eq(r->ring->batch[(r->space.posted - 1) % VMPAGER_RING_BATCHES].flags, VMPAGER_BATCH_RECLAIM);
        rig_free(r);
}
END_TEST

/* The agent has ended in the middle of a batch: what it had taken out is lost, and what it had not begun is not. */
START_TEST(test_abandoned)
{
        struct rig *r = rig_at((enum where)_i);

        for (unsigned i = 0; i < N; i++)
                rig_touch_as(r, 1000 + i, i, true);
        rig_receive(r);
        evict_abandon(&r->space);
        evict_completed(&r->space);
        ck_assert_uint_eq(r->killed, 0);
        ck_assert_uint_eq(r->space.in_flight, 0);
        for (unsigned i = 0; i < 3; i++) {
                rig_receive(r);
                rig_store(r, 0);
        }
        for (unsigned i = 0; i < N; i++)
                ck_assert(_i == MOVED ? r->page[i].poisoned : rig_holds(r, i, 1));
        ck_assert_uint_eq(r->space.stats.poisoned_pages, _i == MOVED ? N : 0);
        rig_free(r);
}
END_TEST

/* Counting what is shared leaves a worker time for its faults, however many clients there are and slow it is. */
START_TEST(test_counts_seldom)
{
        struct rig *r = rig_new();
        unsigned before;

        r->space.shares = true;
        r->count_ns = 1000000;
        rig_tick(r, 1000000);
        before = r->counts;
        ck_assert_uint_gt(before, 0);
        rig_tick(r, 1000000);
        ck_assert_uint_eq(r->counts, before);
        rig_tick(r, 1000000000);
        ck_assert_uint_gt(r->counts, before);
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-fork");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_both, 0, N_WHERE);
        tcase_add_loop_test(tc, test_parent_ends, 0, N_WHERE);
        tcase_add_test(tc, test_parent_goes_on);
        tcase_add_test(tc, test_wiped);
        tcase_add_test(tc, test_wiped_moves);
        tcase_add_loop_test(tc, test_hole, 0, 2);
        tcase_add_loop_test(tc, test_in_journal, 0, 4);
        tcase_add_loop_test(tc, test_moved_onto, 0, 2 * N_HIDDEN);
        tcase_add_test(tc, test_new_moved_onto);
        tcase_add_loop_test(tc, test_discarded_meanwhile, 0, 2);
        tcase_add_loop_test(tc, test_at_once, 0, 2);
        tcase_add_loop_test(tc, test_orphan, 0, 2);
        tcase_add_loop_test(tc, test_parent_gone_at_once, 0, 2);
        tcase_add_test(tc, test_adopted);
        tcase_add_loop_test(tc, test_child_changing, 0, N_DOING);
        tcase_add_loop_test(tc, test_stray_marks_move, 0, 2);
        tcase_add_test(tc, test_orphan_with_stray_marks);
        tcase_add_test(tc, test_withheld_by_child);
        tcase_add_test(tc, test_held_by_children);
        tcase_add_test(tc, test_killed_parent);
        tcase_add_test(tc, test_fault_of_who_forks);
        tcase_add_test(tc, test_shared);
        tcase_add_test(tc, test_counts_seldom);
        tcase_add_loop_test(tc, test_abandoned, PRESENT, N_WHERE - 1);
        return unit_run("pager-fork", tc);
}
