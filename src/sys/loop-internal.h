/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the loop share: loop.c (ring, turns, other threads), loop-op.c, loop-table.c. */
#ifndef SYS_LOOP_INTERNAL_H
#define SYS_LOOP_INTERNAL_H

#include "sys/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#define LOOP_BUFFERS 1024
#define LOOP_FILES   64
#define NS_PER_S     1000000000

/*
 * The low bits of user_data, which an op's alignment leaves free, say what kind of operation it is; 0 as a whole is
 * a cancel request, whose own completion tells nothing.
 */
enum kind { KIND_PLAIN = 0, KIND_TIMER = 1, KIND_ACCEPT = 2, KIND_DEFER = 3, KIND_MASK = 7 };

static_assert(_Alignof(struct op) > KIND_MASK, "kinds are kept in the low bits of an op's address");

/* A stack of the free indices of a registered table. */
struct loop_table {
        unsigned n;
        uint16_t free[LOOP_BUFFERS];
};

struct loop {
        struct io_uring ring;
        bool stopped;
        unsigned inflight; /* operations that the kernel has or will be given */
        struct op *deferred, **deferred_end;
        struct loop_table buffers, files;

        int wake;
        struct op wake_op;
        uint64_t wake_count;
        pthread_mutex_t lock; /* of the two below */
        struct loop_post *posted, **posted_end;
};

/* io_uring_enter(2): these leave the ring whole, and what was to be done is still to be done. */
static inline bool loop_transient(int r)
{
        return r == -EINTR || r == -EAGAIN || r == -EBUSY;
}

/* The next free SQE. A full queue is submitted for it; a ring that takes nothing more aborts the program. */
struct io_uring_sqe *loop_next_sqe(struct loop *loop);

/* Registers the empty tables. Returns 0 or a negative errno. */
int loop_tables_init(struct loop *loop);

#endif
