/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_MESSAGE_H
#define VMPAGERCTL_MESSAGE_H

/* Writes "vmpagerctl: TEXT" and a newline to stderr, in one write(2). */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * What vmpagerctl itself ends with; env(1) and timeout(1) use the same numbers. The status of the program under
 * "run" is passed on, so failures of "run" itself have to keep out of its way.
 */
enum exit_code {
        EXIT_USAGE = 2,          /* of all commands but run */
        EXIT_SELF = 125,         /* run: CMD was not started, or cannot go on */
        EXIT_NOT_RUNNABLE = 126, /* run: CMD is there, but cannot be run under vmpager */
        EXIT_NOT_FOUND = 127,    /* run: there is no CMD */
        EXIT_SIGNALLED = 128,    /* run: plus the number of the signal that ended CMD */
};

#endif
