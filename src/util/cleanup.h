/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Scope-bound release: `_cleanup_(closep) int fd = -1;`. Each takes what is not there yet. */
#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* Hands the value out of a scope-bound variable. */
static inline int take_fd(int *fd)
{
        int r = *fd;

        *fd = -1;
        return r;
}

#endif
