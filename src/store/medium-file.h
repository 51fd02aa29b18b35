/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_MEDIUM_FILE_H
#define STORE_MEDIUM_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/medium.h"

struct error;

struct medium_file_config {
        const char *name; /* of the [store NAME] section, for messages */
        const char *path; /* a file (created if missing, mode 0600) or a block device */
        uint64_t size;    /* bytes; for a block device 0 means all of it */
        uint32_t unit; /* bytes: what I/O is a multiple of; a device that cannot do 512 makes it more, 4096 at most */
        enum medium_discard discard; /* a file is discarded from, and has holes to begin with, by YES alone */
        bool unlink_on_close; /* a file that this medium created goes with it */
};

/*
 * Opens a file or block device: O_DIRECT, buffered with a warning in the log where the filesystem has none. A file is
 * given its full size at once, so that a full filesystem shows now and not later, unless it is to have holes where the
 * filesystem can make them. Sizes are rounded down to whole pages. A loop device that does not use its file so
 * (losetup --direct-io=on) is taken with a warning.
 *
 * An existing file is taken over only when it is empty or has exactly this size, and belongs to the daemon's user; any
 * other is refused, since it may hold somebody's data. A block device is not looked into: what it held is lost.
 * Another daemon using it is refused (flock; O_EXCL for a block device, which refuses a mounted one as well).
 *
 * Returns 0, or a negative errno with a text in e: directory missing, not writable, too small, filesystem full, in use,
 * somebody's file, neither file nor device. Nothing is left behind then.
 */
int medium_file_open(const struct medium_file_config *config, struct medium **out, struct error *e);

#endif
