/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A medium keeps bytes, in units of a size of its own: a file, a block device, or a server. It knows nothing of pages,
 * of what is free, or of what was written: that is the page store's (page-store.h), which has several.
 *
 * Threads: a medium is shared by all workers. I/O goes through a medium_port, which belongs to one worker and its
 * loop alone. What every kind of medium needs is in medium-port.c (lanes, tries, fault points); a kind adds how
 * bytes are moved (medium_ops).
 */
#ifndef STORE_MEDIUM_H
#define STORE_MEDIUM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sys/loop.h"

struct doubt;
struct medium;
struct medium_port;
struct medium_io;

/*
 * Called in the port's thread when an I/O has ended, never inside medium_submit(): result 0, or a negative errno (then
 * no promise is made about the memory it was to fill, or the units it was to write). May free or reuse io.
 */
typedef void (*medium_done_fn)(struct medium_io *io, int result);

/* Whether units that are free are discarded: AUTO where that takes nothing from anybody. */
enum medium_discard { MEDIUM_DISCARD_AUTO, MEDIUM_DISCARD_YES, MEDIUM_DISCARD_NO };

/* One I/O of adjacent units. Belongs to the caller, stays in place until done() was called. */
struct medium_io {
        medium_done_fn done;
        bool write;
        bool discard; /* nothing is moved: what is in the units is not needed any more, and may be anything then */
        uint32_t units;
        uint64_t at;  /* the first */
        int buffer;   /* index of the registered buffer that holds memory, in the port's loop; -1: none */
        void *memory; /* units * the medium's unit bytes; aligned to 512; of a discard: NULL */

        /* The medium's, until it has ended. */
        struct medium_io *next;          /* in the queue */
        struct medium_io *older, *newer; /* of its lane */
        uint64_t since;                  /* ns: when it was submitted */
        struct medium_port *port;
        struct op op;
        uint64_t moved;                           /* bytes, whole units */
        uint32_t asked;                           /* bytes of the transfer under way */
        int made_up;                              /* result from a fault point */
        unsigned retries;                         /* since the last progress */
        _Alignas(16) unsigned char private_[128]; /* the kind's, during a transfer */
};

/* A kind of medium. */
struct medium_ops {
        const char *name;
        void (*destroy)(struct medium *m);

        /* A port, with its kind's part set up: medium_port.medium and .loop are filled in by the caller afterwards. */
        int (*port_open)(struct medium *m, struct loop *loop, struct medium_port **out);
        void (*port_close)(struct medium_port *port);

        /*
         * Moves io->asked bytes from io->moved on, or discards them where the medium can; medium_transferred() tells
         * how it went, and is never called before this has returned.
         */
        void (*transfer)(struct medium_port *port, struct medium_io *io);

        /* Whether nothing can be moved just now. From any thread. NULL: never known. */
        bool (*is_away)(const struct medium *m);
};

/* What the ports of all workers count: relaxed, each a sum of its own. */
struct medium_counters {
        _Atomic uint64_t ios;
        _Atomic uint64_t bytes;  /* of the I/Os that succeeded */
        _Atomic uint64_t errors; /* I/Os that failed, at last */
};

/* Every kind of medium begins with this. */
struct medium {
        const struct medium_ops *ops;
        const char *name; /* of its section in the configuration; the configuration's */
        uint32_t unit;    /* bytes: a power of two from 512 to 4096 */
        uint64_t units;
        struct doubt *doubt; /* units that must not be written again (doubt.h); NULL: what has ended is over */
        struct {
                enum medium_discard wanted;
                uint32_t most;  /* bytes of one transfer, a multiple of STORE_PAGE; 0: it cannot discard */
                uint64_t grain; /* bytes: it does so by multiples of as many */
                bool stale;     /* what it holds now is not needed and may take room */
        } discard;
        struct medium_counters reads, writes, discards;
        _Atomic unsigned ports; /* open ones */
};

#define MEDIUM_MIN_BYTES (1u << 20) /* the least size of a medium */

/* An I/O that takes as long is slow, and so is its medium: nobody waits for it who need not. */
#define MEDIUM_SLOW_NS UINT64_C(250000000)

#define MEDIUM_POINT_MOST 80 /* bytes of a fault point's name */

/* I/Os of one kind (reads, writes, discards) that are under way, and those that wait for a place among them. */
struct medium_lane {
        struct medium_io *head, *tail; /* queued; the tail means nothing while there is no head */
        struct medium_io *oldest;      /* of all, queued or under way: utlist, DL */
        uint64_t slow_until;           /* ns: one of them was slow; 0: none */
        unsigned under_way, most;
        const char *faultpoint;
        char own_faultpoint[MEDIUM_POINT_MOST]; /* of this medium's alone */
        struct medium_counters *counters;
};

/* Every kind's port begins with this. */
struct medium_port {
        struct medium *medium;
        struct loop *loop;
        struct medium_lane reads, writes, discards;
        char faultpoint[MEDIUM_POINT_MOST]; /* of all I/O of this medium's */
};

/* Makes its units larger: a power of two, STORE_PAGE at most. No port is open yet. */
void medium_coarsen(struct medium *m, uint32_t unit);

/* A worker's way to the medium. The port is closed when no I/O is under way. 0 or a negative errno. */
int medium_port_open(struct medium *m, struct loop *loop, struct medium_port **out);
void medium_port_close(struct medium_port *port); /* NULL: nothing */

/* Starts an I/O; done() is always called, never before this returns. */
void medium_submit(struct medium_port *port, struct medium_io *io);

/*
 * Whether writes through this port are slow at the time `now` (ns): one has taken MEDIUM_SLOW_NS and has not ended, or
 * one has that did end, and since then no more than some times as long has gone by. *when, if it is not: the time at
 * which it is if no write ends until then; UINT64_MAX: none is under way.
 */
bool medium_port_is_slow(const struct medium_port *port, uint64_t now, uint64_t *when);

/* For a kind of medium: the transfer has moved res bytes, or failed with the negative errno res. */
void medium_transferred(struct medium_io *io, int res);

/* Closes it. No port is open. NULL: nothing. */
void medium_destroy(struct medium *m);

/* Whether nothing can be moved just now, so that another medium is to be preferred. */
static inline bool medium_is_away(const struct medium *m)
{
        return m->ops && m->ops->is_away && m->ops->is_away(m);
}

static inline struct medium_io *medium_io_of(struct op *op)
{
        return op_owner(op, struct medium_io, op);
}

static inline uint64_t medium_io_bytes(const struct medium_io *io)
{
        return (uint64_t)io->units * io->port->medium->unit;
}

#endif
