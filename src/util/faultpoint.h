/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_FAULTPOINT_H
#define UTIL_FAULTPOINT_H

#include <stdint.h>

/*
 * Named places where a test can make something fail. They are set from the text
 *
 *     name=action[:argument][@skip][xtimes][,name=...]
 *
 * with the actions `errno:EIO` (the place fails with that error), `delay:50ms` (it takes that much longer), `short:N`
 * (an I/O transfers N bytes only), `hang` (it takes until the point is set no more: the caller visits it again and
 * again) and `kill` (SIGKILL to the daemon itself); the first `skip` visits pass, then the action is taken `times`
 * times (without it: every time). The daemon reads the text from VMPAGER_FAULTPOINTS at start. Without any set, a visit
 * is one relaxed load.
 */
enum faultpoint_action {
        FAULTPOINT_NONE,
        FAULTPOINT_ERRNO,
        FAULTPOINT_DELAY,
        FAULTPOINT_SHORT,
        FAULTPOINT_HANG,
        FAULTPOINT_KILL,
};

struct faultpoint_hit {
        enum faultpoint_action action;
        int64_t value; /* negative errno; nanoseconds; bytes */
};

struct error;

/* Replaces all that is set; NULL or "" clears. Returns 0 or -EINVAL with e filled in. */
int faultpoint_set(const char *text, struct error *e);

/*
 * Visits a point: what the caller is to do. FAULTPOINT_KILL does not return. The caller carries out a delay itself
 * (it may not sleep: the loop's timers are there for it).
 */
struct faultpoint_hit faultpoint_visit(const char *name);

#endif
