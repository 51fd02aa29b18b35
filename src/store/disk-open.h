/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_DISK_OPEN_H
#define STORE_DISK_OPEN_H

#include <stdbool.h>
#include <stdint.h>

struct disk_config;
struct error;

/* The opened file or block device under a disk store. */
struct disk_file {
        int fd;
        int parent;     /* O_PATH descriptor of its directory */
        char *base;     /* its name in there; owned */
        uint64_t bytes; /* usable: a multiple of STORE_PAGE */
        bool device;
        bool direct;    /* opened past the page cache */
        bool created;   /* by this disk_file_open() */
};

#define DISK_FILE_NONE ((struct disk_file){ .fd = -1, .parent = -1 })

/*
 * Opens, locks and sizes what the configuration names; the rules are in disk.h. Fills in *out, or returns a negative
 * errno with a text in e, *out untouched, and nothing left behind of what it made.
 */
int disk_file_open(const struct disk_config *config, struct disk_file *out, struct error *e);

/* Closes it, and takes the file away first where `unlink` says so. It is DISK_FILE_NONE then. */
void disk_file_close(struct disk_file *file, bool unlink);

#endif
