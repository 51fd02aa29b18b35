// SPDX-License-Identifier: GPL-2.0-or-later
/* Slots: never one twice, always the longest run up to what was asked for, all of them back in the end. */
#include "model/ring-slots.h"

#include <stdbool.h>
#include <string.h>

#include "unit-run.h"

#define SLOTS 97u

static uint32_t longest(const bool *used, uint32_t most)
{
        uint32_t best = 0, len = 0;

        for (uint32_t i = 0; i < SLOTS; i++) {
                len = used[i] ? 0 : len + 1;
                if (len > best)
                        best = len;
        }
        return best < most ? best : most;
}

START_TEST(test_random)
{
        bool used[SLOTS] = { false };
        struct ring_slots s;
        uint32_t n_free = SLOTS;

        unit_random_start();
        ck_assert_int_eq(ring_slots_init(&s, SLOTS), 0);
        for (unsigned step = 0; step < 50000; step++) {
                if (unit_random(3)) {
                        uint32_t want = 1 + (uint32_t)unit_random(24), first = UINT32_MAX;
                        uint32_t expect = longest(used, want), got = ring_slots_take(&s, want, &first);

                        ck_assert_uint_eq(got, expect);
                        ck_assert(got || first == UINT32_MAX);
                        for (uint32_t i = first; i < first + got; i++) {
                                ck_assert(i < SLOTS && !used[i]);
                                ck_assert(s.v[i].used && s.v[i].owner == RING_SLOT_NO_OWNER && !s.v[i].writing);
                                s.v[i].owner = i;
                                used[i] = true;
                        }
                        n_free -= got;
                } else {
                        uint32_t at = (uint32_t)unit_random(SLOTS), end = at + (uint32_t)unit_random(40);

                        for (; at < end && at < SLOTS; at++) {
                                if (!used[at])
                                        continue;
                                ring_slots_free(&s, at);
                                used[at] = false;
                                n_free++;
                        }
                }
                ck_assert_uint_eq(s.n_free, n_free);
                for (uint32_t i = 0; i < SLOTS; i++)
                        if (!!s.v[i].used != used[i])
                                ck_abort_msg("slot %u", i);
        }
        ring_slots_clear(&s);
        ck_assert_uint_eq(s.n, 0);
}
END_TEST

/* The longest free run lies right behind where the search begins, with its first slot before that. */
START_TEST(test_across_cursor)
{
        struct ring_slots s;
        uint32_t first;

        ck_assert_int_eq(ring_slots_init(&s, 8), 0);
        ck_assert_uint_eq(ring_slots_take(&s, 5, &first), 5);
        ring_slots_free(&s, 4);
        ck_assert_uint_eq(s.cursor, 5);
        ck_assert_uint_eq(ring_slots_take(&s, 4, &first), 4);
        ck_assert_uint_eq(first, 4);
        ck_assert_uint_eq(ring_slots_take(&s, 1, &first), 0);
        ring_slots_clear(&s);
}
END_TEST

START_TEST(test_order)
{
        struct ring_slots s;
        uint32_t first;

        ck_assert_int_eq(ring_slots_init(&s, 16), 0);
        for (uint32_t i = 0; i < 4; i++) {
                ck_assert_uint_eq(ring_slots_take(&s, 4, &first), 4);
                ck_assert_uint_eq(first, i * 4);
        }
        ck_assert_uint_eq(ring_slots_take(&s, 4, &first), 0);
        for (uint32_t i = 4; i < 8; i++)
                ring_slots_free(&s, i);
        ck_assert_uint_eq(ring_slots_take(&s, 16, &first), 4);
        ck_assert_uint_eq(first, 4);
        ring_slots_clear(&s);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("ring-slots");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_across_cursor);
        tcase_add_test(tc, test_order);
        return unit_run("ring-slots", tc);
}
