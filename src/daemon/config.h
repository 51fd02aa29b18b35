/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "store/codec.h"
#include "store/medium.h"

struct error;

#define CONFIG_MAX_WORKERS 64

/* How long an NBD server is waited for: the least, the most, and what it is when nothing is said. */
#define CONFIG_MIN_TIMEOUT_NS UINT64_C(1000000000)
#define CONFIG_MAX_TIMEOUT_NS UINT64_C(3600000000000)
#define CONFIG_TIMEOUT_NS     UINT64_C(30000000000)

/* Most [store NAME] sections. */
#define CONFIG_MAX_STORES 8

/* The largest share of its limit that a program's packed pages may have in memory. */
#define CONFIG_MAX_RAM_PERCENT 50

/* The size of a store in a file when none is given. */
#define CONFIG_FILE_BYTES (8ull << 30)

struct config_store {
        char *name, *path; /* the path may be the URI of an NBD server (medium_nbd_is_uri) */
        uint64_t size;     /* bytes; 0: not given: all of a device, CONFIG_FILE_BYTES for a file */
        bool keep;
        enum medium_discard discard; /* of what is free */
        unsigned weight;      /* its share of what is written, against those of the others */
        unsigned connections; /* to an NBD server, of each worker */
        uint64_t timeout_ns;  /* of an NBD server */
};

struct config_class {
        char *name;
        uint64_t limit; /* bytes; 0: none */
        uint64_t swap;  /* bytes of its pages in the store; 0: no limit */
        bool has_codec;
        struct codec_choice codec;
        uint64_t ram_bytes;   /* of packed pages in memory; UINT64_MAX: ram_percent alone says how many */
        unsigned ram_percent; /* of the limit; 0: none */
};

/* The configuration; all strings are its own. */
struct config {
        char *socket, *control, *state;
        char *tracker; /* NULL: the best there is */
        unsigned workers;
        unsigned readahead; /* pages that come along with one that is read, at most; 0: none */
        struct config_store store[CONFIG_MAX_STORES]; /* pages are spread over them */
        unsigned n_stores;
        struct codec_choice codec;  /* of classes that have none of their own */
        bool encrypt;               /* what is in the stores */
        bool grow_when_full;        /* the stores: programs go beyond their limits then; else they wait */
        struct config_class class_; /* the default class */
};

/*
 * Reads a file (INI, see vmpagerd(8)). Every line that is wrong is said on stderr with its number; returns -EINVAL
 * then, or another negative errno with e filled in where the file cannot be read. On success the caller has to
 * config_clear().
 */
int config_read(const char *path, struct config *out, struct error *e);

/* What holds without a file. */
int config_defaults(struct config *out);

/* Whether it is complete and makes sense: 0, or -EINVAL with e filled in. */
int config_check(const struct config *c, uint64_t memory, struct error *e);

/* Frees what config_read() or config_defaults() allocated. */
void config_clear(struct config *c);

#endif
