/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store keeps pages. It knows locations and bytes, and nothing of clients.
 *
 * A location (store_loc) names one page in one store. It is reference-counted, since fork shares it:
 * store_alloc() gives it with one reference, store_ref() adds one, store_unref() takes one away and
 * frees the location at the last.
 *
 * Threads: a store is shared by all workers. alloc, ref and unref may be called from any thread. I/O goes
 * through a store_port, which is a worker's way to the store (its ring, its registered buffers) and
 * belongs to that worker alone.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/codec.h"

#define STORE_PAGE   4096u
#define STORE_SECTOR 512u /* what a packed page is a multiple of */

typedef uint64_t store_loc; /* 36 bits are used at most; 0 is a location like any other */

struct error;
struct loop;
struct store;
struct store_port;
struct store_io;
struct store_owner;
struct portions;

/* Where the pages of a read came from: all of them from the store's memory, or some from a medium. */
enum store_tier { STORE_DISK, STORE_MEMORY };

/*
 * Called in the port's thread when an I/O has ended: result 0, or a negative errno (then no promise is made about
 * the memory it was to fill, or about the locations it was to write). -EBADMSG: what was read, twice, is not what was
 * written. May free or reuse io.
 */
typedef void (*store_done_fn)(struct store_io *io, int result);

/* One I/O of adjacent locations. Belongs to the caller, stays in place until done() was called. */
struct store_io {
        store_done_fn done;
        bool write;
        uint32_t pages;
        store_loc loc;             /* the first */
        int buffer;                /* index of the registered buffer that holds memory, in the port's loop */
        void *memory;              /* page-aligned, pages * STORE_PAGE bytes */
        struct store_owner *owner; /* of a write: whose pages they are; NULL: they are kept as they are */
        struct portions *room;     /* of a write: what its pages are taken from, for store_parts(); NULL: not bounded */
        enum store_tier tier;      /* of a read that has ended */
        struct store_io *next;     /* the store's, while it is queued */
        _Alignas(16) unsigned char private_[512]; /* the store's, while it is under way */
};

#define STORE_PARTS_MOST 8u

/* One of the media of a store, as it stands for itself. */
struct store_part_stats {
        const char *name;                   /* of its section in the configuration; the store's */
        uint64_t capacity_bytes, bytes;     /* as struct store_stats has them of all */
        uint64_t read_bytes, written_bytes; /* since the start */
        uint64_t read_errors, write_errors; /* I/Os that it failed, whether others then went well or not */
        bool away;                          /* a server that is lost just now */
};

struct store_stats {
        uint64_t disk_capacity_bytes;     /* in use and free */
        uint64_t disk_bytes;              /* in use */
        uint64_t disk_retired_bytes;      /* neither, for good: a server may still write there */
        uint64_t disk_free_long_bytes;    /* free, in runs of 64 KiB and more */
        uint64_t disk_free_longest_bytes; /* the longest run, rounded down by a quarter at most; 2048 units at most */
        uint64_t disk_free_runs;          /* that all that is free lies in */
        uint64_t disk_written_bytes;      /* to the media since the start; what failed is not counted */
        uint64_t discarded_bytes;         /* of the media: told that nothing is kept there, since the start */
        uint64_t discarding_bytes;        /* that is under way; it is free, and cannot be written meanwhile */
        uint64_t discard_errors;          /* discards that failed, or were refused */
        uint64_t put_bytes;               /* of pages that were given to the store since, whatever has become of them */
        uint64_t ram_bytes;               /* in use by a RAM tier */
        uint64_t reads, writes;           /* I/Os */
        uint64_t read_pages, written_pages;
        uint64_t moved_pages; /* from one place of a medium to another, so that free space lies together */
        uint64_t read_errors, write_errors; /* I/Os that failed, at last */
        uint64_t checksum_errors;           /* pages that were read and were not what was written, retries included */
        unsigned n_parts;
        struct store_part_stats part[STORE_PARTS_MOST];
};

/* How the pages of an owner are kept. */
struct store_owner_config {
        struct codec_choice codec;
        bool sealed; /* encrypted, with a key of the owner's own */
        bool ram;    /* packed pages may stay in memory, up to what store_owner_limit() says */
};

struct store_ops {
        void (*destroy)(struct store *store);
        uint32_t (*alloc)(struct store *store, uint32_t pages, store_loc *first);
        int (*ref)(struct store *store, store_loc loc);
        void (*unref)(struct store *store, store_loc first, uint32_t pages);
        int (*port_open)(struct store *store, struct loop *loop, struct store_port **out);
        void (*port_close)(struct store_port *port);
        void (*submit)(struct store_port *port, struct store_io *io);
        void (*port_tidy)(struct store_port *port); /* NULL: there is nothing to do */
        void (*stats)(struct store *store, struct store_stats *out);
        int (*owner_new)(struct store *store, const struct store_owner_config *config, struct store_owner **out);
        void (*owner_free)(struct store *store, struct store_owner *owner);
        void (*owner_limit)(struct store *store, struct store_owner *owner, uint64_t bytes);
        uint64_t (*owner_ram)(struct store *store, struct store_owner *owner);
        bool (*owner_busy)(struct store *store, struct store_owner *owner);
        bool (*same)(struct store *store, store_loc loc, const void *page); /* NULL: it cannot tell */
        unsigned (*parts)(const struct store *store);                       /* NULL: one, as the next */
        uint32_t (*part)(struct store *store, store_loc loc, uint32_t n, unsigned *part);
};

/* Every kind of store begins with this. */
struct store {
        const struct store_ops *ops;
};

struct store_port {
        struct store *store;
        struct loop *loop;
};

/*
 * Up to `pages` adjacent locations; *first is the first. Returns how many it got: fewer than asked for where
 * no longer run is free, 0 where the store is full.
 */
static inline uint32_t store_alloc(struct store *s, uint32_t pages, store_loc *first)
{
        return s->ops->alloc(s, pages, first);
}

/*
 * One more reference to an allocated location: 0, or -EOVERFLOW where it has as many as can be counted (it keeps
 * those; the caller makes a copy of the page instead).
 */
static inline int store_ref(struct store *s, store_loc loc)
{
        return s->ops->ref(s, loc);
}

/* One reference less for each of `pages` adjacent locations. */
static inline void store_unref(struct store *s, store_loc first, uint32_t pages)
{
        s->ops->unref(s, first, pages);
}

/* A worker's way to the store. The port is closed when no I/O is under way. 0 or a negative errno. */
static inline int store_port_open(struct store *s, struct loop *loop, struct store_port **out)
{
        return s->ops->port_open(s, loop, out);
}

static inline void store_port_close(struct store_port *port)
{
        if (port)
                port->store->ops->port_close(port);
}

/* An owner that wrote through this port has ended: what was derived from its key is overwritten with the key. */
static inline void store_port_tidy(struct store_port *port)
{
        if (port && port->store->ops->port_tidy)
                port->store->ops->port_tidy(port);
}

/* Starts an I/O; done() is always called, never before this returns. */
static inline void store_submit(struct store_port *port, struct store_io *io)
{
        port->store->ops->submit(port, io);
}

/* Whether the store can tell what is in a location without reading it. */
static inline bool store_can_compare(const struct store *s)
{
        return s->ops->same != NULL;
}

/*
 * Whether a page is what was written to the location, which is in use, and whose write has ended well. Does not read. A
 * yes is wrong once in 2^128 pages that differ; a no may be wrong. Any thread.
 */
static inline bool store_same(struct store *s, store_loc loc, const void *page)
{
        return s->ops->same(s, loc, page);
}

/*
 * A store has parts, of which one may hang while the others are well: who shares something among the I/O of all of them
 * gives each a portion (portions.h).
 *
 * store_part(): how many of n adjacent locations that were written, from `loc` on, are in the same part; *part is its
 * number, or store_parts() for what is in none of them. Any thread.
 */
static inline unsigned store_parts(const struct store *s)
{
        return s->ops->parts ? s->ops->parts(s) : 1;
}

static inline uint32_t store_part(struct store *s, store_loc loc, uint32_t n, unsigned *part)
{
        if (s->ops->part)
                return s->ops->part(s, loc, n, part);
        *part = 0;
        return n;
}

static inline void store_stats(struct store *s, struct store_stats *out)
{
        s->ops->stats(s, out);
}

/*
 * Somebody whose pages are written: a client. What they are kept like follows from the configuration, as far as the
 * store was made for it. Returns 0 (*out can be NULL, which is an owner like any other) or a negative errno. The owner
 * is freed when none of its writes is under way; pages of it that are shared stay.
 *
 * limit: how many bytes its packed pages may take in memory. ram: how many they take. busy: whether some of them are
 * being written back, so that it cannot be freed yet.
 */
static inline int store_owner_new(struct store *s, const struct store_owner_config *config, struct store_owner **out)
{
        *out = NULL;
        return s->ops->owner_new ? s->ops->owner_new(s, config, out) : 0;
}

static inline void store_owner_free(struct store *s, struct store_owner *owner)
{
        if (owner)
                s->ops->owner_free(s, owner);
}

static inline void store_owner_limit(struct store *s, struct store_owner *owner, uint64_t bytes)
{
        if (owner)
                s->ops->owner_limit(s, owner, bytes);
}

static inline uint64_t store_owner_ram(struct store *s, struct store_owner *owner)
{
        return owner ? s->ops->owner_ram(s, owner) : 0;
}

static inline bool store_owner_busy(struct store *s, struct store_owner *owner)
{
        return owner && s->ops->owner_busy(s, owner);
}

static inline void store_destroy(struct store *s)
{
        if (s)
                s->ops->destroy(s);
}

#endif
