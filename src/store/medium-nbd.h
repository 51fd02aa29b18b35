/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_MEDIUM_NBD_H
#define STORE_MEDIUM_NBD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/medium.h"

struct error;

struct medium_nbd_config {
        const char *name;     /* of the [store NAME] section, for messages */
        const char *uri;      /* see nbd_config */
        uint64_t size;        /* bytes; 0: all of the export */
        uint32_t unit;        /* bytes: what I/O is a multiple of; more where the server wants that, 4096 at most */
        unsigned connections; /* of each worker */
        uint64_t timeout_ns;
        enum medium_discard discard;
};

/* Whether a path= names an NBD server, and no file. */
bool medium_nbd_is_uri(const char *path);

/*
 * Looks at the URI without reaching for the server: 0, or -EINVAL with a text in e where it is of a kind that there is
 * not, or -ENOTSUP where vmpager was built without libnbd.
 */
int medium_nbd_check_uri(const char *name, const char *uri, struct error *e);

/*
 * Opens an export of an NBD server, whose content is lost. Waits for the server at most timeout_ns. Nobody keeps
 * others from using it meanwhile. Returns 0, or a negative errno with a text in e: see nbd_server_open(); -ENOSPC where
 * it is smaller than `size`.
 */
int medium_nbd_open(const struct medium_nbd_config *config, struct medium **out, struct error *e);

#endif
