/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: one io_uring, one thread. All that a worker waits for (sockets, userfaultfds, eventfds,
 * pidfds, store I/O, timers, other threads) is an operation on this ring; none of its callbacks
 * may block.
 *
 * Rules of an operation (struct op): it belongs to the caller, is zero-initialised, and must stay where it is from
 * the moment it is armed until its done() was called without LOOP_MORE. Arming an armed one is an error of
 * the program (assert). done() may arm it again, and may free it when there is no LOOP_MORE.
 */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;
struct op;
struct error;

/* res: as io_uring_cqe.res (a count, a mask, or a negative errno). */
typedef void (*op_done_fn)(struct op *op, int res, unsigned flags);

#define LOOP_MORE 1u /* the operation stays armed, further completions will come */

struct op {
        op_done_fn done;
        bool armed;
        unsigned char kind; /* the loop's, as what follows */
        union {
                struct __kernel_timespec ts; /* used by loop_timer() */
                struct op *next;             /* used by loop_defer() */
        };
};

/* Gets from an op to the structure that embeds it. */
#define op_owner(op, type, member) ((type *)((char *)(op)-offsetof(type, member)))

/*
 * Creates the loop. It has to be called in the thread that will run it. *out is untouched on failure. Errors: -ENOSYS
 * or -EPERM where io_uring is switched off (kernel.io_uring_disabled), with e saying so.
 */
int loop_new(struct loop **out, struct error *e);
void loop_free(struct loop *loop);

/* Runs until loop_stop() is called from one of its callbacks. Returns 0 or a negative errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Submits, waits for at least one completion unless something is ready, runs callbacks once. For tests. */
int loop_turn(struct loop *loop);

/* The clock of the loop: CLOCK_MONOTONIC in nanoseconds, read when it is asked. */
uint64_t loop_now(struct loop *loop);

void loop_poll(struct loop *loop, struct op *op, int fd, unsigned mask);            /* once */
void loop_poll_multishot(struct loop *loop, struct op *op, int fd, unsigned mask);  /* LOOP_MORE until it ends */
void loop_accept_multishot(struct loop *loop, struct op *op, int fd);               /* res: descriptor, CLOEXEC */
void loop_read(struct loop *loop, struct op *op, int fd, void *buf, unsigned len, uint64_t offset);
void loop_write(struct loop *loop, struct op *op, int fd, const void *buf, unsigned len, uint64_t offset);
void loop_recvmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg);
void loop_sendmsg(struct loop *loop, struct op *op, int fd, const struct msghdr *msg);

/* I/O with registered buffers and files: `buffer` and `file` are indices from the two functions below. */
void loop_read_fixed(struct loop *loop, struct op *op, int file, unsigned buffer, void *buf, unsigned len,
                     uint64_t offset);
void loop_write_fixed(struct loop *loop, struct op *op, int file, unsigned buffer, const void *buf, unsigned len,
                      uint64_t offset);

/*
 * Tells that a range of a registered file needs not be kept: a hole in a regular file (fallocate(2)), a discard of a
 * block device, whose range is in whole blocks of it. res is 0, or -EOPNOTSUPP, -ENOTTY or -EINVAL where there is no
 * such thing; of devices Linux can do it since 6.12. The range may be read as anything until it was written again.
 */
void loop_punch(struct loop *loop, struct op *op, int file, uint64_t offset, uint64_t len);
void loop_discard(struct loop *loop, struct op *op, int file, uint64_t offset, uint64_t len);

/* Fires once at CLOCK_MONOTONIC time `at` (ns): res is 0; a cancelled one gets -ECANCELED. */
void loop_timer(struct loop *loop, struct op *op, uint64_t at);

/* Submits now what is armed, instead of at the end of the turn: for who has long work to do meanwhile. */
void loop_push(struct loop *loop);

/* Asks for an armed operation to end soon: its done() gets -ECANCELED, or its result if it was quicker. */
void loop_cancel(struct loop *loop, struct op *op);

/* Calls done(op, 0, 0) in this loop's next turn. */
void loop_defer(struct loop *loop, struct op *op);

/*
 * Runs fn(arg) in the loop's thread; may be called from any thread, never blocks, and wakes the loop.
 * The order of calls from one thread is kept. Returns 0 or -ENOMEM.
 */
int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* What loop_post_with() needs of its caller's memory; all of it is the loop's. */
struct loop_post {
        struct loop_post *next;
        void (*fn)(void *arg);
        void *arg;
        bool allocated;
};

/* As loop_post(), with memory of the caller's: it cannot fail. *post must stay until fn(), which may free it. */
void loop_post_with(struct loop *loop, struct loop_post *post, void (*fn)(void *arg), void *arg);

/*
 * Registers memory (at most 1 GiB) or a file; returns an index of at least 0, or a negative errno. The memory must stay
 * mapped until it is unregistered. Linux pins it: the RLIMIT_MEMLOCK of an unprivileged caller counts.
 */
int loop_register_buffer(struct loop *loop, void *base, size_t len);
void loop_unregister_buffer(struct loop *loop, int index);
int loop_register_file(struct loop *loop, int fd);
void loop_unregister_file(struct loop *loop, int index);

#endif
