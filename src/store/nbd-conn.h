/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_NBD_CONN_H
#define STORE_NBD_CONN_H

#include <pthread.h>

#include "store/nbd-internal.h"
#include "sys/loop-alarm.h"

/* One request: a transfer, or some of it. */
struct nbd_part {
        struct nbd_part *prev, *next;
        struct nbd_transfer *t;
        uint32_t at, bytes; /* in the transfer */
        int64_t cookie;     /* libnbd's name for it */
        uint64_t issued_at;
};

enum nbd_conn_state {
        NBD_CONN_NONE,       /* until the alarm says to try (again) */
        NBD_CONN_DIALLING,   /* a thread is at it, the handle is that thread's */
        NBD_CONN_CONNECTING, /* until the alarm says that it takes too long */
        NBD_CONN_UP,
        NBD_CONN_STOPPED,
};

/* One connection of a pool. It stays where it is while it is not quiet. */
struct nbd_conn {
        struct nbd_pool *pool;
        unsigned number;
        enum nbd_conn_state state;
        struct nbd_handle *handle;
        struct op in, out; /* polls */
        struct loop_alarm alarm;
        uint64_t pause_ns;     /* the last one before a new try */
        bool answered;         /* a request, since it is up */
        bool leaving;          /* the server has said that it shuts down: nothing new goes there */
        struct nbd_part *sent; /* in order of issued_at */
        unsigned n_sent;
        uint32_t bytes_sent;
        struct {
                pthread_t thread;
                struct loop_post post;
                int result;
                char why[NBD_WHY];
        } dial;
};

/* Prepares a zeroed connection and begins to connect, in the next turn of the loop. */
void nbd_conn_start(struct nbd_conn *conn, struct nbd_pool *pool, unsigned number);

/* Takes leave; nothing is under way. What it has in the loop ends soon: nbd_conn_is_quiet(). */
void nbd_conn_stop(struct nbd_conn *conn);
bool nbd_conn_is_quiet(const struct nbd_conn *conn);

/* Whether another request may be sent. */
bool nbd_conn_has_room(const struct nbd_conn *conn);

/*
 * Sends a part, whose end the pool hears of: here, or later. May find that the connection is lost, which the
 * pool hears of as well.
 */
void nbd_conn_send(struct nbd_conn *conn, struct nbd_part *part);

#endif
