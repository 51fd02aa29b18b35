// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event loop over one io_uring.
 *
 *     loop_read() and the like        loop_turn()
 *     ------------------------        -----------
 *     fill in the next SQE            take the deferred list
 *     (user_data: op | kind)          one io_uring_enter(): submit all, wait for one completion
 *                                     call done() of the deferred ones
 *                                     copy completions out of the ring in batches, call done() of each
 *
 * Nothing is submitted before the turn, unless the submission queue is full: a turn costs one system call, however
 * many operations it starts. Completions are copied out before any callback runs, so that a callback may queue (and
 * with that submit) and the kernel always finds room in the completion queue.
 *
 * The ring is set up with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1): completion work runs in this thread when it
 * asks for it, and never interrupts it elsewhere. Therefore all calls but loop_post() belong to the thread that
 * created the loop.
 *
 * Other threads reach the loop over a list under a mutex and an eventfd that the ring reads. Who finds the list empty
 * writes the eventfd; the loop takes the whole list after that read, so one write suffices for all before it.
 */
#include "sys/loop-internal.h"

#include "util/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SQ_ENTRIES 1024
#define CQ_ENTRIES 4096
#define BATCH      128
#define DRAIN_NS   5000000000 /* what loop_free() allows for I/O that cannot be cancelled */

struct completion {
        uint64_t data;
        int res;
        unsigned flags;
};

static void run_deferred(struct op *op)
{
        while (op) {
                struct op *next = op->next;

                op->armed = false;
                op->done(op, 0, 0);
                op = next;
        }
}

static void complete(struct loop *loop, const struct completion *c)
{
        struct op *op = (struct op *)(uintptr_t)(c->data & ~(uint64_t)KIND_MASK);
        int res = c->res;

        if (!op)
                return;
        if ((c->data & KIND_MASK) == KIND_TIMER && res == -ETIME)
                res = 0;
        if (c->flags & IORING_CQE_F_MORE) {
                op->done(op, res, LOOP_MORE);
                return;
        }
        loop->inflight--;
        op->armed = false;
        op->done(op, res, 0);
}

/* Copies up to BATCH completions out of the ring. */
static unsigned reap(struct loop *loop, struct completion *out, unsigned most)
{
        struct io_uring_cqe *cqes[BATCH];
        unsigned n = io_uring_peek_batch_cqe(&loop->ring, cqes, most < BATCH ? most : BATCH);

        for (unsigned i = 0; i < n; i++)
                out[i] = (struct completion){ cqes[i]->user_data, cqes[i]->res, cqes[i]->flags };
        io_uring_cq_advance(&loop->ring, n);
        return n;
}

int loop_turn(struct loop *loop)
{
        struct op *deferred = loop->deferred;
        struct completion batch[BATCH];
        unsigned left, n;
        int r;

        loop->deferred = NULL;
        loop->deferred_end = &loop->deferred;
        if (deferred || io_uring_cq_ready(&loop->ring))
                r = io_uring_submit_and_get_events(&loop->ring);
        else
                r = io_uring_submit_and_wait(&loop->ring, 1);

        run_deferred(deferred);
        for (left = io_uring_cq_ready(&loop->ring); left; left -= n) {
                n = reap(loop, batch, left);
                for (unsigned i = 0; i < n; i++)
                        complete(loop, &batch[i]);
        }
        return r < 0 && !loop_transient(r) ? r : 0;
}

int loop_run(struct loop *loop)
{
        int r = 0;

        while (r == 0 && !loop->stopped)
                r = loop_turn(loop);
        loop->stopped = false;
        return r;
}

void loop_stop(struct loop *loop)
{
        loop->stopped = true;
}

uint64_t loop_now(struct loop *loop)
{
        struct timespec ts;

        (void)loop;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void post(struct loop *loop, struct loop_post *p)
{
        const uint64_t one = 1;
        bool first;

        pthread_mutex_lock(&loop->lock);
        first = !loop->posted;
        *loop->posted_end = p;
        loop->posted_end = &p->next;
        pthread_mutex_unlock(&loop->lock);

        /* The counter is far from its limit, where alone a write could fail or block: eventfd(2). */
        while (first && write(loop->wake, &one, sizeof(one)) < 0 && errno == EINTR)
                ;
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
        struct loop_post *p = malloc(sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (struct loop_post){ .fn = fn, .arg = arg, .allocated = true };
        post(loop, p);
        return 0;
}

void loop_post_with(struct loop *loop, struct loop_post *p, void (*fn)(void *arg), void *arg)
{
        *p = (struct loop_post){ .fn = fn, .arg = arg };
        post(loop, p);
}

static void wake_arm(struct loop *loop)
{
        loop_read(loop, &loop->wake_op, loop->wake, &loop->wake_count, sizeof(loop->wake_count), 0);
}

static void wake_done(struct op *op, int res, unsigned flags)
{
        struct loop *loop = op_owner(op, struct loop, wake_op);
        struct loop_post *p, *next;

        (void)flags;
        if (res == -ECANCELED)
                return;
        wake_arm(loop);
        pthread_mutex_lock(&loop->lock);
        p = loop->posted;
        loop->posted = NULL;
        loop->posted_end = &loop->posted;
        pthread_mutex_unlock(&loop->lock);

        for (; p; p = next) {
                struct loop_post own = *p;

                next = own.next;
                if (own.allocated)
                        free(p);
                own.fn(own.arg);
        }
}

/* kernel.io_uring_disabled (Linux 6.6), or 0 where there is no such setting. */
static int disabled_setting(void)
{
        char text = '0';
        int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return 0;
        if (read(fd, &text, 1) != 1)
                text = '0';
        close(fd);
        return text - '0';
}

static int refused(struct error *e, int code)
{
        int n = disabled_setting();

        if (code != -ENOSYS && code != -EPERM)
                return error_sys(e, code, "cannot set up io_uring");
        if (n)
                return error_set(e, code,
                                 "io_uring is switched off on this system (kernel.io_uring_disabled = %d): "
                                 "set it to 0, for example with sysctl -w kernel.io_uring_disabled=0", n);
        if (code == -ENOSYS)
                return error_set(e, code, "this kernel has no io_uring, or a seccomp filter hides it: "
                                          "use a kernel with CONFIG_IO_URING, or allow the calls io_uring_*");
        return error_set(e, code, "io_uring is forbidden to this process: "
                                  "allow the calls io_uring_* in its seccomp filter or security policy");
}

static int ring_init(struct io_uring *ring)
{
        static const unsigned flags[] = {
                IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
                IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
                0,
        };
        int r = -EINVAL;

        for (unsigned i = 0; r == -EINVAL && i < sizeof(flags) / sizeof(*flags); i++) {
                struct io_uring_params params = { .flags = flags[i] | IORING_SETUP_CQSIZE, .cq_entries = CQ_ENTRIES };

                r = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
        }
        return r;
}

int loop_new(struct loop **out, struct error *e)
{
        struct loop *loop = calloc(1, sizeof(*loop));
        int r;

        if (!loop)
                return error_sys(e, -ENOMEM, "event loop");
        r = ring_init(&loop->ring);
        if (r < 0) {
                free(loop);
                return refused(e, r);
        }

        io_uring_register_ring_fd(&loop->ring); /* saves the lookup at each turn; Linux 5.18 */
        loop->deferred_end = &loop->deferred;
        loop->posted_end = &loop->posted;
        pthread_mutex_init(&loop->lock, NULL);
        loop->wake = eventfd(0, EFD_CLOEXEC); /* blocking: the ring answers -EAGAIN for others */
        r = loop->wake < 0 ? -errno : loop_tables_init(loop);
        if (r < 0) {
                loop_free(loop);
                return error_sys(e, r, "cannot set up the event loop");
        }
        loop->wake_op.done = wake_done;
        wake_arm(loop);
        *out = loop;
        return 0;
}

/*
 * Ends what is in flight: closing the ring alone would leave that to a kernel worker, which could still write into
 * buffers that the caller frees next. Looks at no op, whose owners may be gone.
 */
static void drain(struct loop *loop)
{
        uint64_t until = loop_now(loop) + DRAIN_NS, now;
        struct io_uring_sqe *sqe = loop_next_sqe(loop);
        struct completion batch[BATCH];
        struct io_uring_cqe *cqe;

        io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data64(sqe, 0);
        while (loop->inflight && (now = loop_now(loop)) < until) {
                struct __kernel_timespec ts = { .tv_sec = (int64_t)((until - now) / NS_PER_S) + 1 };
                int r = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &ts, NULL);
                unsigned n = reap(loop, batch, BATCH);

                if (r < 0 && !loop_transient(r) && !n)
                        return;
                for (unsigned i = 0; i < n; i++) {
                        if ((batch[i].data & KIND_MASK) == KIND_ACCEPT && batch[i].res >= 0)
                                close(batch[i].res);
                        if (batch[i].data && !(batch[i].flags & IORING_CQE_F_MORE))
                                loop->inflight--;
                }
        }
}

void loop_free(struct loop *loop)
{
        struct loop_post *next;

        if (!loop)
                return;
        if (loop->inflight)
                drain(loop);
        io_uring_queue_exit(&loop->ring);
        if (loop->wake >= 0)
                close(loop->wake);
        for (struct loop_post *p = loop->posted; p; p = next) {
                next = p->next;
                if (p->allocated)
                        free(p);
        }
        pthread_mutex_destroy(&loop->lock);
        free(loop);
}
