// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operations: each fills in the next SQE and leaves it in the submission queue, where the turn (loop.c) finds
 * it. The exception is loop_defer(), which the kernel never hears of.
 */
#include "sys/loop-internal.h"

#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* linux/blkdev.h of Linux 6.12: the range is in the SQE's addr and addr3. */
#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)
#endif

struct io_uring_sqe *loop_next_sqe(struct loop *loop)
{
        struct io_uring_sqe *sqe;
        int r;

        while (!(sqe = io_uring_get_sqe(&loop->ring))) {
                r = io_uring_submit_and_get_events(&loop->ring);
                if (r < 0 && !loop_transient(r))
                        abort();
        }
        return sqe;
}

void loop_push(struct loop *loop)
{
        int r = io_uring_submit(&loop->ring);

        if (r < 0 && !loop_transient(r)) /* transient: the turn submits it */
                abort();
}

static struct io_uring_sqe *arm(struct loop *loop, struct op *op, enum kind kind)
{
        assert(op->done);
        assert(!op->armed);
        op->armed = true;
        op->kind = kind;
        loop->inflight++;
        return loop_next_sqe(loop);
}

/* Last, since the io_uring_prep_ functions may clear the field. */
static void tag(struct io_uring_sqe *sqe, const struct op *op)
{
        io_uring_sqe_set_data64(sqe, (uintptr_t)op | op->kind);
}

void loop_poll(struct loop *loop, struct op *op, int fd, unsigned mask)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_poll_add(sqe, fd, mask);
        tag(sqe, op);
}

void loop_poll_multishot(struct loop *loop, struct op *op, int fd, unsigned mask)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_poll_multishot(sqe, fd, mask);
        tag(sqe, op);
}

void loop_accept_multishot(struct loop *loop, struct op *op, int fd)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_ACCEPT);

        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
        tag(sqe, op);
}

void loop_read(struct loop *loop, struct op *op, int fd, void *buf, unsigned len, uint64_t offset)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_read(sqe, fd, buf, len, offset);
        tag(sqe, op);
}

void loop_write(struct loop *loop, struct op *op, int fd, const void *buf, unsigned len, uint64_t offset)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_write(sqe, fd, buf, len, offset);
        tag(sqe, op);
}

void loop_recvmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_recvmsg(sqe, fd, msg, MSG_CMSG_CLOEXEC);
        tag(sqe, op);
}

void loop_sendmsg(struct loop *loop, struct op *op, int fd, const struct msghdr *msg)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL);
        tag(sqe, op);
}

void loop_read_fixed(struct loop *loop, struct op *op, int file, unsigned buffer, void *buf, unsigned len,
                     uint64_t offset)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_read_fixed(sqe, file, buf, len, offset, (int)buffer);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        tag(sqe, op);
}

void loop_write_fixed(struct loop *loop, struct op *op, int file, unsigned buffer, const void *buf, unsigned len,
                      uint64_t offset)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_write_fixed(sqe, file, buf, len, offset, (int)buffer);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        tag(sqe, op);
}

void loop_punch(struct loop *loop, struct op *op, int file, uint64_t offset, uint64_t len)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_fallocate(sqe, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        tag(sqe, op);
}

void loop_discard(struct loop *loop, struct op *op, int file, uint64_t offset, uint64_t len)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_PLAIN);

        io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file, NULL, 0, 0);
        sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
        sqe->addr = offset;
        sqe->addr3 = len;
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        tag(sqe, op);
}

void loop_timer(struct loop *loop, struct op *op, uint64_t at)
{
        struct io_uring_sqe *sqe = arm(loop, op, KIND_TIMER);

        op->ts.tv_sec = (int64_t)(at / NS_PER_S);
        op->ts.tv_nsec = (long long)(at % NS_PER_S);
        io_uring_prep_timeout(sqe, &op->ts, 0, IORING_TIMEOUT_ABS);
        tag(sqe, op);
}

void loop_defer(struct loop *loop, struct op *op)
{
        assert(op->done);
        assert(!op->armed);
        op->armed = true;
        op->kind = KIND_DEFER;
        op->next = NULL;
        *loop->deferred_end = op;
        loop->deferred_end = &op->next;
}

/*
 * The request is found by its user_data. SQEs are taken in order, so this one cannot hit an op that is armed again
 * after it; one that has completed meanwhile is not found, and its result is on its way.
 */
void loop_cancel(struct loop *loop, struct op *op)
{
        struct io_uring_sqe *sqe;

        if (!op->armed || op->kind == KIND_DEFER)
                return;
        sqe = loop_next_sqe(loop);
        io_uring_prep_cancel64(sqe, (uintptr_t)op | op->kind, 0);
        io_uring_sqe_set_data64(sqe, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
}
