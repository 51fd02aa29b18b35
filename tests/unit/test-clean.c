// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes of where pages are in the store: never another page's, and each location comes out once. */
#include "model/clean.h"

#include <string.h>

#include "model/page.h"
#include "unit-run.h"

#define TOP   ((UINT64_C(1) << 47) - 2 * PAGE_SIZE_)
#define LOCS  5000u
#define PAGES 3000u

static bool out[LOCS]; /* locations that are noted nowhere */

static void given_back(void *arg, uint64_t loc)
{
        unsigned *n = arg;

        ck_assert_uint_lt(loc, LOCS);
        ck_assert(!out[loc]);
        out[loc] = true;
        ++*n;
}

static uint64_t at(unsigned page)
{
        /* In several places, so that their sets are the same. */
        return (UINT64_C(0x7f0000000000) >> page % 5) + page / 5 * PAGE_SIZE_;
}

START_TEST(test_extremes)
{
        struct clean c;
        uint64_t loc = 1, other = 77;

        ck_assert_int_eq(clean_init(&c, 1), 0);
        ck_assert(!clean_find(&c, 0, &loc) && !clean_take(&c, TOP, &loc) && loc == 1);
        ck_assert(!clean_note(&c, 0, 0, &other));
        ck_assert(!clean_note(&c, TOP, PAGE_LOC_MAX, &other));
        ck_assert_uint_eq(c.n, 2);
        ck_assert(clean_find(&c, 0, &loc) && loc == 0);
        ck_assert(clean_take(&c, TOP, &loc) && loc == PAGE_LOC_MAX);
        ck_assert(!clean_find(&c, TOP, &loc));
        /* A second note of a page takes the first one's place. */
        ck_assert(clean_note(&c, 0, 9, &other) && other == 0);
        ck_assert(clean_take(&c, 0, &loc) && loc == 9);
        ck_assert_uint_eq(c.n, 0);
        clean_clear(&c);
        clean_clear(&c);
}
END_TEST

/* What was noted longest ago makes place. */
START_TEST(test_full_set)
{
        struct clean c;
        uint64_t other = 0, loc;
        uint64_t apart;

        ck_assert_int_eq(clean_init(&c, 512), 0);
        apart = c.sets * PAGE_SIZE_;
        for (unsigned i = 0; i < CLEAN_WAYS; i++)
                ck_assert(!clean_note(&c, i * apart, i, &other));
        ck_assert(clean_note(&c, 0, 100, &other) && other == 0); /* now the latest */
        ck_assert(clean_note(&c, CLEAN_WAYS * apart, 101, &other) && other == 1);
        ck_assert(!clean_find(&c, apart, &loc));
        ck_assert(clean_find(&c, 0, &loc) && loc == 100);
        ck_assert_uint_eq(c.n, CLEAN_WAYS);
        clean_forget(&c, 0, UINT64_C(1) << 47, (void (*)(void *, uint64_t))given_back, &(unsigned){ 0 });
        ck_assert_uint_eq(c.n, 0);
        clean_clear(&c);
}
END_TEST

/* Against a plain list. _i: forgets short ranges, long ones */
START_TEST(test_random)
{
        uint64_t noted[PAGES];
        struct clean c;

        unit_random_start();
        memset(out, true, sizeof(out));
        memset(noted, 0xff, sizeof(noted));
        ck_assert_int_eq(clean_init(&c, PAGES / 2), 0);
        for (unsigned step = 0; step < 100000; step++) {
                unsigned page = (unsigned)unit_random(PAGES), n = 0, first = 0;
                uint64_t loc = UINT64_MAX, other = UINT64_MAX;

                switch (unit_random(4)) {
                case 0:
                case 1:
                        while (first < LOCS && !out[first])
                                first++;
                        ck_assert_uint_lt(first, LOCS);
                        out[first] = false;
                        if (clean_note(&c, at(page), first, &other)) {
                                given_back(&n, other);
                                for (unsigned i = 0; i < PAGES; i++)
                                        if (noted[i] == other)
                                                noted[i] = UINT64_MAX;
                        }
                        noted[page] = first;
                        break;
                case 2:
                        ck_assert_int_eq(clean_take(&c, at(page), &loc), noted[page] != UINT64_MAX);
                        ck_assert_uint_eq(loc, noted[page]);
                        if (loc != UINT64_MAX)
                                out[loc] = true;
                        noted[page] = UINT64_MAX;
                        break;
                case 3:
                        if (unit_random(20))
                                break;
                        loc = at(page) + (_i ? UINT64_C(1) << 40 : 64 * PAGE_SIZE_);
                        clean_forget(&c, at(page), loc, given_back, &n);
                        for (unsigned i = 0; i < PAGES; i++)
                                if (noted[i] != UINT64_MAX && at(i) >= at(page) && at(i) < loc) {
                                        ck_assert(out[noted[i]]);
                                        noted[i] = UINT64_MAX;
                                        n--;
                                }
                        ck_assert_uint_eq(n, 0);
                        break;
                }
        }
        clean_clear(&c);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("clean");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_extremes);
        tcase_add_test(tc, test_full_set);
        tcase_add_loop_test(tc, test_random, 0, 2);
        return unit_run("clean", tc);
}
