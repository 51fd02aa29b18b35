/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_NBD_POOL_H
#define STORE_NBD_POOL_H

#include "store/nbd-conn.h"
#include "store/nbd-internal.h"
#include "sys/loop-alarm.h"

/* The connections of one loop, and what is to go over them. All of it belongs to the loop's thread. */
struct nbd_pool {
        struct nbd_server *server;
        struct loop *loop;
        void (*ended)(struct nbd_transfer *t);
        unsigned n_conns, n_up;
        struct nbd_conn *conns;
        struct nbd_part *parts, *free_parts;         /* as many as can be under way; singly linked by next */
        struct nbd_part *again;                      /* to be sent once more; in order */
        struct nbd_transfer *waiting, *waiting_tail; /* only the first of them can have been issued in part */
        struct nbd_transfer *over, *over_tail;       /* ended(t) is to be called */
        struct op over_op;
        struct loop_alarm held; /* when the first of what waits for the server is given up */
        uint64_t down_since;    /* no connection is up; 0: one is */
        int down_result;        /* what then becomes of what is given up */
        bool complained;        /* of a server that is another, since it was lost */
};

/* ended(t) is called in the loop's thread when a transfer has ended, never inside nbd_pool_submit(). 0 or -ENOMEM. */
int nbd_pool_new(struct nbd_server *server, struct loop *loop, void (*ended)(struct nbd_transfer *t),
                 struct nbd_pool **out);

/* Nothing is under way. Runs turns of the loop until all its operations have ended. Takes NULL. */
void nbd_pool_free(struct nbd_pool *pool);

/* Starts a transfer: t->private_ is zero but for link and verb. */
void nbd_pool_submit(struct nbd_pool *pool, struct nbd_transfer *t);

/* Sends what can be sent. The connections call it when they have handled what came. */
void nbd_pool_pump(struct nbd_pool *pool);

/* A part has ended: 0 or a negative errno. */
void nbd_pool_part_ended(struct nbd_pool *pool, struct nbd_part *part, int result);

/*
 * A part has to be sent once more. `in_doubt`: the server may have it. It is given up here when that has gone on for
 * too long.
 */
void nbd_pool_part_again(struct nbd_pool *pool, struct nbd_part *part, bool in_doubt);

/* A connection is up; one that was up, or was being made, is not. `result`: -ESTALE, or -ETIMEDOUT for all else. */
void nbd_pool_conn_up(struct nbd_pool *pool, const struct nbd_conn *conn);
void nbd_pool_conn_lost(struct nbd_pool *pool, const struct nbd_conn *conn, bool was_up, int result, const char *why);

#endif
