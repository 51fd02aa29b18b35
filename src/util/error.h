/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <errno.h>

/*
 * A failure that a person will read: a code for the program and one line of text that says what was
 * wrong, where, and what to do. Callers that need no text pass NULL.
 */
struct error {
        int code; /* negative errno; 0: none */
        char text[480];
};

/*
 * Fills in e (if not NULL; the first text stays when e already holds one) and returns code, which is a
 * negative errno. The format takes no trailing newline.
 */
int error_set(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": " and strerror(-code) behind the text. */
int error_sys(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
