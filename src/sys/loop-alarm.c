// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A timer of the loop cannot be moved while it is under way. So one that has to come earlier is cancelled and started
 * again when that is done; one that has to come later is left alone, and on firing finds that it is not time yet.
 */
#include "sys/loop-alarm.h"

#include <assert.h>

static void on_timer(struct op *op, int res, unsigned flags);

static void arm(struct loop_alarm *alarm)
{
        alarm->armed = alarm->due;
        alarm->op.done = on_timer;
        loop_timer(alarm->loop, &alarm->op, alarm->due);
}

static void on_timer(struct op *op, int res, unsigned flags)
{
        struct loop_alarm *alarm = op_owner(op, struct loop_alarm, op);

        (void)res;
        (void)flags;
        if (!alarm->due)
                return;
        if (loop_now(alarm->loop) < alarm->due) {
                arm(alarm);
                return;
        }
        alarm->due = 0;
        alarm->fire(alarm);
}

void loop_alarm_set(struct loop_alarm *alarm, uint64_t due)
{
        assert(due);
        alarm->due = due;
        if (!alarm->op.armed) {
                arm(alarm);
        } else if (due < alarm->armed) {
                alarm->armed = due; /* one cancel is enough */
                loop_cancel(alarm->loop, &alarm->op);
        }
}

void loop_alarm_stop(struct loop_alarm *alarm)
{
        alarm->due = 0;
        if (alarm->op.armed) {
                alarm->armed = 0;
                loop_cancel(alarm->loop, &alarm->op);
        }
}
