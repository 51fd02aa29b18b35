// SPDX-License-Identifier: GPL-2.0-or-later
/* The choice of a tracker, and the promise that all of them make: warmth wears off. */
#include "idle/idle.h"

#include "model/ptable.h"
#include "unit-run.h"

/* Rounds that a chunk is passed by after so many refaults. */
static unsigned rounds(const struct idle_ops *ops, unsigned refaults)
{
        struct chunk c = { 0 };
        unsigned n = 0;

        for (unsigned i = 0; i < refaults; i++)
                ops->refault(&c);
        while (!ops->is_cold(&c)) {
                n++;
                ck_assert_msg(n < 64, "%s: after %u refaults never cold", ops->name, refaults);
        }
        ck_assert(ops->is_cold(&c));
        return n;
}

START_TEST(test_choose)
{
        const struct idle_ops *best = idle_choose(NULL);

        ck_assert_ptr_nonnull(best);
        ck_assert_int_eq(best->probe(), 0);
        ck_assert_ptr_eq(idle_choose("standby"), &idle_standby);
        ck_assert_ptr_null(idle_choose("no-such-tracker"));
        ck_assert_ptr_null(idle_choose(""));
}
END_TEST

START_TEST(test_standby)
{
        unsigned last = 0, most = rounds(&idle_standby, 100000);

        ck_assert_uint_eq(rounds(&idle_standby, 0), 0);
        ck_assert_uint_ge(rounds(&idle_standby, 1), 1);
        for (unsigned refaults = 1; refaults < 64; refaults++) {
                unsigned n = rounds(&idle_standby, refaults);

                ck_assert_uint_ge(n, last);
                ck_assert_uint_le(n, most);
                last = n;
        }
        ck_assert_uint_gt(most, rounds(&idle_standby, 1));
        ck_assert_uint_le(most, 6);
}
END_TEST

/* Being asked about one chunk changes nothing else of it. */
START_TEST(test_own_bits)
{
        struct chunk c = { .leaf = 5, .used = 6, .avoid = 7 };

        idle_standby.refault(&c);
        idle_standby.is_cold(&c);
        ck_assert_uint_eq(c.leaf, 5);
        ck_assert_uint_eq(c.used, 6);
        ck_assert_uint_eq(c.avoid, 7);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("idle");

        tcase_add_test(tc, test_choose);
        tcase_add_test(tc, test_standby);
        tcase_add_test(tc, test_own_bits);
        return unit_run("idle", tc);
}
