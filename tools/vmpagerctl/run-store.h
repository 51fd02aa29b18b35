/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_STORE_H
#define VMPAGERCTL_RUN_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

/* The store of a private daemon. */
struct run_store {
        char path[PATH_MAX]; /* absolute */
        uint64_t size;       /* bytes; 0: all of a block device */
        bool made;           /* there is no such file yet: the daemon makes it, and it goes with the daemon */
};

/*
 * Settles path and size: of what the user named, or of a file for this run in `dir` (path NULL), whose name holds
 * `id`. A size of 0 is chosen here. 0, or a negative errno with a text in e. Makes nothing.
 */
int run_store_choose(const char *path, uint64_t size, const char *dir, const char *id, struct run_store *out,
                     struct error *e);

#endif
