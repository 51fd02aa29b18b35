// SPDX-License-Identifier: GPL-2.0-or-later
/* Portions: nobody ever has less than his own for what others have taken, and there is never more than all. */
#include "model/portions.h"

#include "unit-run.h"

START_TEST(test_one)
{
        struct portions p;

        portions_init(&p, 1024, 1);
        ck_assert_uint_eq(portions_most(&p), 1024);
        portions_take(&p, 0, 1000);
        ck_assert_uint_eq(portions_left(&p, 0), 24);
        portions_give(&p, 0, 1);
        ck_assert_uint_eq(portions_left(&p, 0), 25);
}
END_TEST

/* One that takes all that it gets leaves the others theirs; when it gives back, they may have that. */
START_TEST(test_greedy)
{
        struct portions p;

        portions_init(&p, 256, 2);
        ck_assert_uint_eq(portions_most(&p), 192);
        portions_take(&p, 0, 192);
        ck_assert_uint_eq(portions_left(&p, 0), 0);
        ck_assert_uint_eq(portions_left(&p, 1), 64);
        portions_take(&p, 1, 64);
        ck_assert_uint_eq(portions_left(&p, 1), 0);
        portions_give(&p, 0, 100);
        ck_assert_uint_eq(portions_left(&p, 0), 100);
        ck_assert_uint_eq(portions_left(&p, 1), 100);
        portions_give(&p, 0, 92);
        ck_assert_uint_eq(portions_left(&p, 0), 192);
        ck_assert_uint_eq(portions_left(&p, 1), 128);
}
END_TEST

/* As few as there are users: one each, and nothing is common. */
START_TEST(test_least)
{
        struct portions p;

        portions_init(&p, 8, 8);
        for (uint32_t i = 0; i < 8; i++) {
                ck_assert_uint_eq(portions_left(&p, i), 1);
                portions_take(&p, i, 1);
                ck_assert_uint_eq(portions_left(&p, i), 0);
        }
}
END_TEST

START_TEST(test_random)
{
        uint32_t users, all, sum = 0;
        struct portions p;

        unit_random_start();
        users = 1 + (uint32_t)unit_random(PORTIONS_MOST);
        all = users + (uint32_t)unit_random(3000);
        portions_init(&p, all, users);
        ck_assert_uint_ge(portions_most(&p) * 2, all);
        for (unsigned step = 0; step < 20000; step++) {
                uint32_t user = (uint32_t)unit_random(users), left = portions_left(&p, user);

                ck_assert_uint_ge(left + p.has[user], p.each);
                if (unit_random(2)) {
                        uint32_t n = (uint32_t)unit_random(left + 1);

                        portions_take(&p, user, n);
                        sum += n;
                } else {
                        uint32_t n = (uint32_t)unit_random(p.has[user] + 1);

                        portions_give(&p, user, n);
                        sum -= n;
                }
                ck_assert_uint_le(sum, all);
                for (uint32_t i = 0; i < users; i++)
                        ck_assert_uint_ge(portions_left(&p, i) + p.has[i], p.each);
        }
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("portions");

        tcase_add_test(tc, test_one);
        tcase_add_test(tc, test_greedy);
        tcase_add_test(tc, test_least);
        tcase_add_loop_test(tc, test_random, 0, 20);
        return unit_run("portions", tc);
}
