/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_ORPHANS_H
#define CLIENT_ORPHANS_H

#include <stddef.h>

#include "sys/loop.h"

/*
 * Userfaultfds of children that a client forked while it was paged. Held open, they keep the child's missing pages from
 * being read as zeros; they are closed when the child has ended or called exec, which is looked for every few seconds.
 */
struct orphans {
        struct loop *loop;
        struct op timer_op;
        const void *zeros; /* a page */
        int *fd;
        size_t n, room;
};

/* Most that one worker holds. */
#define ORPHANS_MAX 4096

/* Sets up an empty list; zeros is a page that stays. */
void orphans_init(struct orphans *o, struct loop *loop, const void *zeros);

/* Takes a descriptor over. -EMFILE or -ENOMEM: it could not be kept and is still the caller's. */
int orphans_add(struct orphans *o, int fd);

/* Closes all. */
void orphans_clear(struct orphans *o);

#endif
