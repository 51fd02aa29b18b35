/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LOOP_ALARM_H
#define SYS_LOOP_ALARM_H

#include <stdint.h>

#include "sys/loop.h"

/*
 * A timer that may be set anew while it runs, earlier or later. Belongs to the caller, who fills in `loop` and `fire`,
 * the rest being zero; it must stay where it is while loop_alarm_is_armed().
 */
struct loop_alarm {
        struct loop *loop;
        void (*fire)(struct loop_alarm *alarm); /* the alarm is not set then, and may be set again */
        struct op op;
        uint64_t due;   /* 0: not set */
        uint64_t armed; /* what the timer under way fires at */
};

/* Fires once at CLOCK_MONOTONIC time `due` (ns, not 0), whatever was set before. Setting it later costs nothing. */
void loop_alarm_set(struct loop_alarm *alarm, uint64_t due);

/* Does not fire any more; its operation ends soon: see loop_alarm_is_armed(). */
void loop_alarm_stop(struct loop_alarm *alarm);

/* Whether the loop still knows of it. */
static inline bool loop_alarm_is_armed(const struct loop_alarm *alarm)
{
        return alarm->op.armed;
}

#endif
