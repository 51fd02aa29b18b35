// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages that come along with one that is read: what is read, what comes in between, and what is left of it. */
#include <errno.h>
#include <string.h>

#include "pager-rig.h"

#define STORED 300u /* pages, from the first on */

/* What is in them. */
static unsigned char content[STORED][PAGE_SIZE_];

/* A client with pages in the store, and read-ahead. */
static struct rig *new_stored(void)
{
        struct rig *r = rig_new();

        r->pager.readahead = READAHEAD_MOST;
        rig_put_many(r, 0, STORED, 7);
        memcpy(content, r->memory, sizeof(content));
        rig_evict_to(r, 0, STORED, PAGE_STORED);
        return r;
}

/* Reads on in sequence until a window of n pages is under way behind the page, whose own read has ended. */
static unsigned read_until(struct rig *r, unsigned n)
{
        unsigned page = 0;

        for (;;) {
                while (r->page[page].present)
                        page++;
                ck_assert_uint_lt(page + n, STORED);
                rig_touch(r, page);
                rig_receive(r);
                if (r->n_ios > 1 && r->io[1]->pages >= n)
                        break;
                rig_store(r, 0);
        }
        ck_assert_uint_eq(r->io[0]->pages, 1);
        rig_store_one(r, 0);
        ck_assert(rig_holds(r, page, 7) && r->page[page].waiting == 0);
        rig_expect(r, page + 1, n, PAGE_FETCHING);
        ck_assert_uint_eq(r->n_ios, 1);
        return page + 1;
}

/* Nothing is left of what was under way. */
static void check_quiet(struct rig *r)
{
        ck_assert_uint_eq(r->n_ios, 0);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        ck_assert_uint_eq(r->pager.fetches.n_free, PAGER_FETCHES);
        ck_assert_uint_eq(rig_refs(r), r->space.table.count[PAGE_STORED]);
        ck_assert_uint_eq(r->killed, 0);
        ck_assert_uint_eq(r->space.stats.poisoned_pages, 0);
}

/* _i: up, down, each third page */
START_TEST(test_in_order)
{
        static const int stride[] = { 1, -1, 3 };
        struct rig *r = new_stored();
        unsigned reads = 0, pages = 0;

        for (int page = _i == 1 ? (int)STORED - 1 : 0; page >= 0 && page < (int)STORED; page += stride[_i]) {
                if (!r->page[page].present) {
                        rig_touch(r, (unsigned)page);
                        rig_receive(r);
                        reads += r->n_ios;
                        rig_store(r, 0);
                }
                pages++;
                ck_assert(rig_holds(r, (unsigned)page, 7));
        }
        ck_assert_uint_lt(r->space.stats.served[FAULT_DISK], pages / 8);
        if (stride[_i] != 3)
                ck_assert_uint_lt(reads, pages / 4);
        ck_assert_uint_eq(r->space.readahead.pages + r->space.stats.served[FAULT_DISK], pages);
        ck_assert_uint_gt(r->space.readahead.hits, pages / 2);
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* Switched off. */
START_TEST(test_off)
{
        struct rig *r = new_stored();

        r->pager.readahead = 0;
        for (unsigned page = 0; page < 50; page++) {
                rig_touch(r, page);
                rig_receive(r);
                ck_assert_uint_eq(r->n_ios, 1);
                rig_store(r, 0);
        }
        rig_expect(r, 50, STORED - 50, PAGE_STORED);
        rig_free(r);
}
END_TEST

/* _i: which page of the window somebody wants before it is there. It is installed first, and he is woken. */
START_TEST(test_asked_meanwhile)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        rig_touch_as(r, 5, page, true);
        rig_receive(r);
        ck_assert_uint_eq(r->n_ios, 1);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, first, 16, 7));
        ck_assert_uint_eq(r->page[page].waiting, 0);
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* _i: which page is discarded before the bytes are there. It is zeros, the others are what they were. */
START_TEST(test_discarded_meanwhile)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        rig_remove(r, page, 1);
        rig_receive(r);
        rig_zap(r, page, 1);
        rig_store(r, 0);
        ck_assert(!r->page[page].present);
        rig_expect(r, page, 1, PAGE_NATIVE);
        for (unsigned i = first; i < first + 16; i++)
                ck_assert(i == page || rig_holds(r, i, 7));
        rig_touch(r, page);
        rig_receive(r);
        ck_assert(rig_holds(r, page, 0));
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* _i: which page. Its event was not read when the bytes come: all are left in the store, and none is old afterwards. */
START_TEST(test_discarded_unread)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        rig_remove(r, page, 1);
        rig_store(r, 0);
        rig_expect(r, first, 16, PAGE_STORED);
        check_quiet(r);
        rig_receive(r);
        rig_zap(r, page, 1);
        rig_touch(r, page);
        rig_receive(r);
        ck_assert(rig_holds(r, page, 0));
        rig_free(r);
}
END_TEST

/* _i: which page is unmapped. */
START_TEST(test_unmapped_meanwhile)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        rig_unmap(r, page, 1);
        rig_receive(r);
        rig_store(r, 0);
        for (unsigned i = first; i < first + 16; i++)
                ck_assert(i == page ? !r->page[i].present : rig_holds(r, i, 7));
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* _i: from which page on they are moved. They arrive where they are now. */
START_TEST(test_moved_meanwhile)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i, n = 16 - (unsigned)_i;

        rig_remap(r, page, RIG_MAPPED + 50, n);
        rig_receive(r);
        rig_unmap_echo(r, page, n);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(_i == 0 || rig_holds_many(r, first, (unsigned)_i, 7));
        for (unsigned i = 0; i < n; i++) {
                unsigned now = RIG_MAPPED + 50 + i;

                ck_assert(!r->page[page + i].present && r->page[now].present);
                ck_assert(memcmp(rig_bytes(r, now), content[page + i], PAGE_SIZE_) == 0);
        }
        check_quiet(r);
        rig_free(r);
}
END_TEST

/*
 * _i: which page was discarded without an event (MADV_GUARD_INSTALL): its mark is gone. It is not filled, with old
 * bytes least of all, and whoever touches it when it may be touched again finds zeros.
 */
START_TEST(test_no_mark)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        r->page[page].marked = false;
        r->page[page].guard = true;
        rig_store(r, 0);
        ck_assert(!r->page[page].present);
        for (unsigned i = first; i < first + 16; i++)
                ck_assert(i == page || rig_holds(r, i, 7));
        r->page[page].guard = false;
        rig_touch(r, page);
        rig_receive(r);
        ck_assert(rig_holds(r, page, 0));
        check_quiet(r);
        rig_free(r);
}
END_TEST

START_TEST(test_no_mark_and_touched)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + 3;

        r->page[page].marked = false;
        rig_touch(r, page);
        rig_receive(r);
        ck_assert(rig_holds(r, page, 0));
        rig_store(r, 0);
        ck_assert(rig_holds(r, page, 0));
        ck_assert(rig_holds_many(r, first, 3, 7) && rig_holds_many(r, page + 1, 12, 7));
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* _i: how COPY fails, once. Nobody waits: the pages are in the store as before, and are read when they are wanted. */
START_TEST(test_not_installed)
{
        static const int error[] = { -EAGAIN, -ESRCH, -ENOMEM };
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16);

        r->copy_error = error[_i];
        r->copy_errors = 1;
        rig_store(r, 0);
        rig_expect(r, first, 16, PAGE_STORED);
        check_quiet(r);
        rig_touch(r, first + 2);
        rig_receive(r);
        rig_store(r, 0);
        ck_assert(rig_holds(r, first + 2, 7));
        rig_free(r);
}
END_TEST

/*
 * _i: whether the kernel tells where a mapping ends. Behind it there is memory that nobody can touch: nothing is
 * brought in there.
 */
START_TEST(test_other_mapping)
{
        struct rig *r = new_stored();

        r->protected_from = STORED / 2;
        r->no_query = !_i;
        for (unsigned page = 0; page < r->protected_from; page++) {
                if (r->page[page].present)
                        continue;
                rig_touch(r, page);
                rig_receive(r);
                rig_store(r, 0);
        }
        ck_assert(rig_holds_many(r, 0, r->protected_from, 7));
        ck_assert_int_eq(!r->page[r->protected_from].present, _i);
        if (_i)
                rig_expect(r, r->protected_from, STORED - r->protected_from, PAGE_STORED);
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* A run across two mappings is refused whole: page by page it is not. */
START_TEST(test_two_mappings)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16);

        r->copy_error = -ENOENT;
        r->copy_errors = 1;
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, first, 16, 7));
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* _i: which page is there already. It is left as it is. */
START_TEST(test_is_there)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16), page = first + (unsigned)_i;

        rig_put(r, page, 9);
        rig_store(r, 0);
        for (unsigned i = first; i < first + 16; i++)
                ck_assert(rig_holds(r, i, i == page ? 9 : 7));
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* The read of a window fails: nothing is lost by it. What is wanted is read again, alone, and only that decides. */
START_TEST(test_read_fails)
{
        struct rig *r = new_stored();
        unsigned first = read_until(r, 16);

        rig_touch_as(r, 5, first + 3, true);
        rig_touch_as(r, 6, first + 9, true);
        rig_receive(r);
        rig_store_one(r, -EBADMSG);
        rig_expect(r, first, 3, PAGE_STORED);
        ck_assert_uint_eq(r->space.stats.poisoned_pages, 0);
        ck_assert_uint_eq(r->n_ios, 2);
        ck_assert_uint_eq(r->io[0]->pages, 1);
        rig_store_one(r, 0);
        rig_store_one(r, -EBADMSG);
        ck_assert(rig_holds(r, first + 3, 7));
        rig_expect(r, first + 9, 1, PAGE_POISONED);
        ck_assert_uint_eq(r->space.stats.poisoned_pages, 1);
        ck_assert(r->page[first + 9].poisoned && r->page[first + 9].waiting == 0);
        ck_assert_uint_eq(rig_refs(r), r->space.table.count[PAGE_STORED]);
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        rig_free(r);
}
END_TEST

/* A page that came along alone, which nobody wants, cannot be read: it is not lost before somebody does. */
START_TEST(test_single_read_fails)
{
        struct rig *r = new_stored();

        for (unsigned page = 0; page < 7; page += 3) {
                rig_touch(r, page);
                rig_receive(r);
                if (page < 6)
                        rig_store(r, 0);
        }
        ck_assert_uint_gt(r->n_ios, 1);
        rig_store_one(r, 0);
        rig_store(r, -EIO);
        rig_expect(r, 9, 1, PAGE_STORED);
        check_quiet(r);
        rig_free(r);
}
END_TEST

/* The client forks while a window is read. Both have all pages then, or find them in the store. */
START_TEST(test_fork)
{
        struct rig *r = new_stored(), *child = rig_child(r);
        unsigned first = read_until(r, 16);

        rig_fork(r);
        rig_receive(r);
        for (unsigned i = first; i < first + 16; i++)
                ck_assert_msg(rig_state(child, i) == PAGE_STORED, "page %u of the child", i);
        rig_store(r, 0);
        ck_assert(rig_holds_many(r, first, 16, 7));
        rig_touch(child, first + 5);
        rig_receive(child);
        rig_store(r, 0);
        ck_assert(rig_holds(child, first + 5, 7));
        ck_assert_uint_eq(r->space.budget.reserved, 0);
        ck_assert_uint_eq(r->pager.fetches.n_free, PAGER_FETCHES);
        rig_free(r);
}
END_TEST

/* It ends while a window is read. rig_free() sees that no location is in use after the last I/O. */
START_TEST(test_client_ends)
{
        struct rig *r = new_stored();

        read_until(r, 16);
        rig_end(r);
        ck_assert(space_busy(&r->space));
        rig_store(r, 0);
        ck_assert(!space_busy(&r->space));
        ck_assert_uint_eq(r->pager.fetches.n_free, PAGER_FETCHES);
        rig_free(r);
}
END_TEST

/* _i: how many pages of room there are, beside half of what eviction keeps. So much is used, and no more. */
START_TEST(test_room)
{
        struct rig *r = new_stored();
        uint64_t before;
        unsigned page, first = read_until(r, 16);

        rig_store(r, 0);
        before = r->space.readahead.pages;
        for (page = first; r->page[page].present; page++)
                ;
        r->space.budget.resident += budget_room(&r->space.budget) - RIG_MIB / 2 - ((unsigned)_i + 1) * PAGE_SIZE_;
        rig_touch(r, page);
        rig_receive(r);
        ck_assert_uint_eq(r->space.readahead.pages - before, (unsigned)_i);
        ck_assert_ptr_null(r->space.stalled.head);
        rig_store(r, 0);
        ck_assert(rig_holds(r, page, 7));
        rig_free(r);
}
END_TEST

/* Somebody waits for room: nothing comes along. */
START_TEST(test_stalled)
{
        struct rig *r = new_stored();
        unsigned page, first = read_until(r, 16);
        uint64_t before;

        rig_store(r, 0);
        before = r->space.readahead.pages;
        for (page = first; r->page[page].present; page++)
                ;
        rig_put_many(r, 400, 20, 4);
        rig_press(r);
        rig_touch_as(r, 9, 450, true);
        rig_receive(r);
        ck_assert_ptr_nonnull(r->space.stalled.head);
        r->space.budget.resident -= 2 * RIG_MIB;
        rig_touch(r, page);
        rig_receive(r);
        ck_assert_uint_eq(r->space.readahead.pages, before);
        rig_free(r);
}
END_TEST

/* Hardly any fetches are free: those are for who asks. */
START_TEST(test_few_fetches)
{
        struct rig *r = new_stored();

        runs_init(&r->pager.fetches, 8);
        for (unsigned page = 0; page < 40; page++) {
                rig_touch(r, page);
                rig_receive(r);
                ck_assert_uint_ge(r->pager.fetches.n_free, 2);
                rig_store(r, 0);
                ck_assert(rig_holds(r, page, 7));
        }
        ck_assert_uint_gt(r->space.readahead.pages, 10);
        rig_free(r);
}
END_TEST

/* What has no mark in the client's page tables yet stays where it is. */
START_TEST(test_bare)
{
        struct rig *r = new_stored();
        unsigned first;

        for (unsigned page = 20; page < STORED; page++)
                ptable_set(&r->space.table, rig_addr(page), ptable_get(&r->space.table, rig_addr(page)) | PAGE_BARE);
        for (first = 0; first < 10; first++) {
                rig_touch(r, first);
                rig_receive(r);
                rig_store(r, 0);
        }
        ck_assert_uint_gt(r->space.readahead.pages, 0);
        for (unsigned page = 20; page < STORED; page++)
                ck_assert(!r->page[page].present);
        rig_free(r);
}
END_TEST

/* _i: why nothing is certain of the client. */
START_TEST(test_in_doubt)
{
        struct rig *r = new_stored();
        unsigned page, first = read_until(r, 16);
        uint64_t before = r->space.readahead.pages;

        rig_store(r, 0);
        for (page = first; r->page[page].present; page++)
                ;
        switch (_i) {
        case 0:
                r->space.heir = true;
                break;
        case 1:
                r->space.bereft = true;
                break;
        case 2:
                atomic_store(&r->ring->forks, 1);
                break;
        case 3:
                rig_child(r);
                r->changing = true;
                rig_fork(r);
                break;
        }
        rig_touch(r, page);
        rig_receive(r);
        ck_assert_uint_eq(r->space.readahead.pages, before);
        r->changing = false;
        atomic_store(&r->ring->forks, 0);
        rig_store(r, 0);
        rig_receive(r);
        ck_assert(rig_holds(r, page, 7));
        rig_free(r);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("pager-ahead");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_in_order, 0, 3);
        tcase_add_test(tc, test_off);
        tcase_add_loop_test(tc, test_asked_meanwhile, 0, 16);
        tcase_add_loop_test(tc, test_discarded_meanwhile, 0, 16);
        tcase_add_loop_test(tc, test_discarded_unread, 0, 16);
        tcase_add_loop_test(tc, test_unmapped_meanwhile, 0, 16);
        tcase_add_loop_test(tc, test_moved_meanwhile, 0, 16);
        tcase_add_loop_test(tc, test_no_mark, 0, 16);
        tcase_add_test(tc, test_no_mark_and_touched);
        tcase_add_loop_test(tc, test_not_installed, 0, 3);
        tcase_add_loop_test(tc, test_other_mapping, 0, 2);
        tcase_add_test(tc, test_two_mappings);
        tcase_add_loop_test(tc, test_is_there, 0, 16);
        tcase_add_test(tc, test_read_fails);
        tcase_add_test(tc, test_single_read_fails);
        tcase_add_test(tc, test_fork);
        tcase_add_test(tc, test_client_ends);
        tcase_add_loop_test(tc, test_room, 0, 8);
        tcase_add_test(tc, test_stalled);
        tcase_add_test(tc, test_few_fetches);
        tcase_add_test(tc, test_bare);
        tcase_add_loop_test(tc, test_in_doubt, 0, 4);
        return unit_run("pager-ahead", tc);
}
