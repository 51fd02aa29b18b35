/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_FILE_OPEN_H
#define STORE_FILE_OPEN_H

#include <stdbool.h>
#include <stdint.h>

struct medium_file_config;
struct error;

/* The opened file or block device of a medium. */
struct open_file {
        int fd;
        int parent;     /* O_PATH descriptor of its directory */
        char *base;     /* its name in there; owned */
        uint64_t bytes; /* usable: a multiple of STORE_PAGE */
        uint32_t unit;  /* bytes that I/O is a multiple of: as configured, or STORE_PAGE */
        bool device;
        bool direct;    /* opened past the page cache */
        bool sparse;    /* a file that may have holes, in which more can be made */
        bool created;   /* by this file_open() */
};

#define OPEN_FILE_NONE ((struct open_file){ .fd = -1, .parent = -1 })

/*
 * Opens, locks and sizes what the configuration names; the rules are in medium-file.h. Fills in *out, or returns a
 * negative errno with a text in e, *out untouched, and nothing left behind of what it made.
 */
int file_open(const struct medium_file_config *config, struct open_file *out, struct error *e);

/* Closes it, and takes the file away first where `unlink` says so. It is OPEN_FILE_NONE then. */
void file_close(struct open_file *file, bool unlink);

#endif
