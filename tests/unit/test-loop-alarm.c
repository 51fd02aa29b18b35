// SPDX-License-Identifier: GPL-2.0-or-later
/* Timers that are set anew while they run. */
#include "sys/loop-alarm.h"

#include <check.h>

#include "unit-run.h"
#include "util/error.h"

#define MS   UINT64_C(1000000)
#define HOUR (UINT64_C(3600) * 1000 * MS)

struct fired {
        struct loop_alarm alarm;
        unsigned times;
        uint64_t at;
        uint64_t again; /* set so when it fires */
};

static void on_fire(struct loop_alarm *alarm)
{
        struct fired *f = op_owner(&alarm->op, struct fired, alarm.op);

        ck_assert_uint_eq(alarm->due, 0);
        f->times++;
        f->at = loop_now(alarm->loop);
        if (f->again)
                loop_alarm_set(alarm, f->again);
        f->again = 0;
}

static struct loop *loop_of_test(void)
{
        struct error e = { 0 };
        struct loop *loop = NULL;

        ck_assert_msg(loop_new(&loop, &e) == 0, "%s", e.text);
        return loop;
}

static void turn_until(struct loop *loop, const struct fired *f, unsigned times)
{
        while (f->times < times)
                ck_assert_int_eq(loop_turn(loop), 0);
}

START_TEST(test_earlier_and_later)
{
        struct loop *loop = loop_of_test();
        uint64_t start = loop_now(loop);
        struct fired a = { .alarm = { .loop = loop, .fire = on_fire } }, b = a;

        /* Earlier, before and after the first one is under way. */
        loop_alarm_set(&a.alarm, start + HOUR);
        loop_alarm_set(&a.alarm, start + 10 * MS);
        turn_until(loop, &a, 1);
        ck_assert_uint_ge(a.at, start + 10 * MS);
        loop_alarm_set(&a.alarm, start + HOUR);
        loop_alarm_set(&b.alarm, start + 11 * MS);
        turn_until(loop, &b, 1);
        loop_alarm_set(&a.alarm, start + 20 * MS);
        loop_alarm_set(&a.alarm, start + 12 * MS);
        turn_until(loop, &a, 2);

        /* Later; the timer under way fires meanwhile. */
        start = loop_now(loop);
        loop_alarm_set(&a.alarm, start + 10 * MS);
        loop_alarm_set(&a.alarm, start + 40 * MS);
        loop_alarm_set(&b.alarm, start + 20 * MS);
        turn_until(loop, &b, 2);
        turn_until(loop, &a, 3);
        ck_assert_uint_ge(a.at, start + 40 * MS);

        /* From its own callback. */
        start = loop_now(loop);
        a.again = start + 20 * MS;
        loop_alarm_set(&a.alarm, start + 1 * MS);
        turn_until(loop, &a, 5);
        ck_assert_uint_ge(a.at, start + 20 * MS);
        ck_assert(!loop_alarm_is_armed(&a.alarm));
        loop_free(loop);
}
END_TEST

START_TEST(test_stop)
{
        struct loop *loop = loop_of_test();
        uint64_t start = loop_now(loop);
        struct fired a = { .alarm = { .loop = loop, .fire = on_fire } };

        loop_alarm_stop(&a.alarm);
        ck_assert(!loop_alarm_is_armed(&a.alarm));
        loop_alarm_set(&a.alarm, start + HOUR);
        loop_alarm_stop(&a.alarm);
        while (loop_alarm_is_armed(&a.alarm))
                ck_assert_int_eq(loop_turn(loop), 0);
        ck_assert_uint_eq(a.times, 0);

        /* Stopped, and set again before that has come about. */
        loop_alarm_set(&a.alarm, start + HOUR);
        loop_alarm_stop(&a.alarm);
        loop_alarm_set(&a.alarm, start + 10 * MS);
        turn_until(loop, &a, 1);
        loop_free(loop);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("alarm");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_earlier_and_later);
        tcase_add_test(tc, test_stop);
        return unit_run("loop-alarm", tc);
}
