// SPDX-License-Identifier: GPL-2.0-or-later
/* The set of ranges against a bitmap of pages. */
#include "model/region.h"

#include <string.h>

#include "unit-run.h"

#define PAGES 200u
#define PAGE  UINT64_C(4096)

static bool any(const bool *map, uint64_t from, uint64_t to)
{
        for (; from < to; from++)
                if (map[from])
                        return true;
        return false;
}

static bool all(const bool *map, uint64_t from, uint64_t to)
{
        for (; from < to; from++)
                if (!map[from])
                        return false;
        return true;
}

/* Sorted, disjoint, joined, and the same pages. */
static void check_set(const struct region_set *s, const bool *map)
{
        bool seen[PAGES] = { false };

        for (size_t i = 0; i < s->n; i++) {
                ck_assert_uint_lt(s->v[i].start, s->v[i].end);
                if (i)
                        ck_assert_uint_gt(s->v[i].start, s->v[i - 1].end);
                ck_assert_uint_le(s->v[i].end, PAGES * PAGE);
                for (uint64_t a = s->v[i].start; a < s->v[i].end; a += PAGE)
                        seen[a / PAGE] = true;
        }
        ck_assert_mem_eq(seen, map, sizeof(seen));
}

static void check_questions(const struct region_set *s, const bool *map, uint64_t from, uint64_t to)
{
        const struct region *r = region_at_or_after(s, from * PAGE + 17);
        uint64_t first = from, after;

        ck_assert(region_touches(s, from * PAGE, to * PAGE) == any(map, from, to));
        ck_assert(region_holds(s, from * PAGE, to * PAGE) == all(map, from, to));
        while (first < PAGES && !map[first])
                first++;
        if (first == PAGES) {
                ck_assert_ptr_null(r);
                return;
        }
        ck_assert_ptr_nonnull(r);
        for (after = first; after < PAGES && map[after]; after++)
                ;
        while (first > 0 && map[first - 1])
                first--;
        ck_assert_uint_eq(r->start, first * PAGE);
        ck_assert_uint_eq(r->end, after * PAGE);
}

START_TEST(test_random)
{
        struct region_set s = { 0 };
        bool map[PAGES] = { false };

        unit_random_start();
        for (unsigned step = 0; step < 20000; step++) {
                uint64_t from = unit_random(PAGES), to = from + 1 + unit_random(unit_random(4) ? 6 : 60);
                bool add = unit_random(2);

                if (to > PAGES)
                        to = PAGES;
                ck_assert_int_eq((add ? region_add : region_remove)(&s, from * PAGE, to * PAGE), 0);
                memset(map + from, add, to - from);
                check_set(&s, map);
                from = unit_random(PAGES);
                to = from + 1 + unit_random(PAGES - from);
                check_questions(&s, map, from, to);
        }
        region_clear(&s);
        ck_assert_uint_eq(s.n, 0);
        ck_assert(!region_touches(&s, 0, PAGES * PAGE));
}
END_TEST

START_TEST(test_empty)
{
        struct region_set s = { 0 };

        ck_assert_ptr_null(region_at_or_after(&s, 0));
        ck_assert(!region_holds(&s, 0, PAGE));
        ck_assert_int_eq(region_remove(&s, 0, PAGE), 0);
        ck_assert_int_eq(region_add(&s, PAGE, PAGE), 0);
        ck_assert_uint_eq(s.n, 0);
        region_clear(&s);
}
END_TEST

START_TEST(test_joins)
{
        struct region_set s = { 0 };

        ck_assert_int_eq(region_add(&s, 0, PAGE), 0);
        ck_assert_int_eq(region_add(&s, 2 * PAGE, 3 * PAGE), 0);
        ck_assert_uint_eq(s.n, 2);
        ck_assert_int_eq(region_add(&s, PAGE, 2 * PAGE), 0);
        ck_assert_uint_eq(s.n, 1);
        ck_assert(region_holds(&s, 0, 3 * PAGE));
        ck_assert_int_eq(region_remove(&s, PAGE, 2 * PAGE), 0);
        ck_assert_uint_eq(s.n, 2);
        ck_assert(!region_touches(&s, PAGE, 2 * PAGE));
        region_clear(&s);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("region");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_empty);
        tcase_add_test(tc, test_joins);
        return unit_run("region", tc);
}
