/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's way to an NBD server. Nothing in it blocks: connecting, too, is done by the worker's loop.
 *
 * A server that is lost: its connections are made anew, with growing pauses (10 ms to 2 s, or to a quarter of the
 * timeout), and what they had under way is repeated: a write puts the same bytes to the same place. Nothing fails as
 * long as one connection answers. A transfer fails with -ETIMEDOUT when the server was away for the configured
 * timeout; one that was sent, and repeated, at the latest after twice that time. A server that takes requests and does
 * not answer one for that time counts as lost. One that comes back as another (its size differs, it cannot be written)
 * is as one that does not come back: -ESTALE. What the server itself answers is handed on: -EIO, -ENOSPC, ...
 *
 * The danger of repeating. A server may still hold a write of a connection that has gone, and carry it out late: after
 * its repetition was answered, or after it was given up. Nothing in the protocol says when that is over. As long as
 * the place holds what this write put there that is harmless, but once the place is free and holds another page, that
 * page is destroyed (the checksums of the store find out, and the page is lost). So such a transfer ends with
 * `in_doubt` set, whatever its result: its place may be read and, once it is free, MUST NOT be written again as long
 * as the server is in use. The same goes for a trim. How many bytes that can be at each loss is bounded: those under
 * way, NBD_UNDER_WAY_BYTES a connection.
 */
#ifndef STORE_NBD_LINK_H
#define STORE_NBD_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/nbd-server.h"
#include "sys/loop.h"

/* What may be under way on one connection: requests; and bytes of them, where it is more than one request. */
#define NBD_UNDER_WAY       64u
#define NBD_UNDER_WAY_BYTES (4u << 20)

struct nbd_link;
struct nbd_transfer;

/*
 * Called in the link's thread, never inside nbd_link_transfer(): res is t->bytes, or a negative errno (then no promise
 * is made about the memory it was to fill, or the place it was to write). May free or reuse t.
 */
typedef void (*nbd_done_fn)(struct nbd_transfer *t, int res);

enum nbd_verb { NBD_READ, NBD_WRITE, NBD_TRIM };

/* Bytes to be moved. Belongs to the caller; is the link's, with the memory, until done() was called. */
struct nbd_transfer {
        nbd_done_fn done;
        bool write;
        bool in_doubt;   /* out: the server may write the place once more, at any later time; see above */
        uint32_t bytes;  /* not 0; at most INT32_MAX */
        uint64_t offset; /* it and bytes: multiples of the server's block_min, within its size */
        void *memory;
        struct {
                struct nbd_link *link;
                struct nbd_transfer *next;
                struct loop_post post;
                enum nbd_verb verb;
                uint32_t issued;   /* bytes that have become parts */
                unsigned parts;    /* that have not ended */
                int result;        /* the first error */
                uint64_t since;    /* waits for a connection */
                uint64_t first_at; /* its first part was issued */
        } private_;
};

/*
 * A link for the thread of `loop`. Its connections are made meanwhile: what is submitted before waits for them.
 * Returns 0 or -ENOMEM.
 */
int nbd_link_open(struct nbd_server *server, struct loop *loop, struct nbd_link **out);

/*
 * Closes it. Nothing may be under way. Runs turns of the loop until it is not needed any more, so this may not be
 * called from a done() of a transfer. Takes NULL.
 */
void nbd_link_close(struct nbd_link *link);

/* Moves the bytes. done() is always called. Two transfers that overlap are in no order. */
void nbd_link_transfer(struct nbd_link *link, struct nbd_transfer *t);

/*
 * Tells the server that the place needs to hold nothing; memory and write mean nothing. -EOPNOTSUPP where it has no
 * such request. The place must stay free until done().
 */
void nbd_link_trim(struct nbd_link *link, struct nbd_transfer *t);

#endif
