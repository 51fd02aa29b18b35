// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's way to a medium, whatever its kind: turns each medium_io into transfers.
 *
 * A port has a lane for reads, one for writes and one for discards, each with a bound on the I/Os under way and a
 * queue in order of arrival for those beyond it. Writes have the smaller bound, because a device that was given a
 * hundred large writes makes the next read wait for them, and behind a read there is a fault. Separate bounds also
 * mean that a read never queues behind a write, and that no stream of reads keeps a write from its turn. Of discards,
 * which are in no hurry, there is one.
 *
 *     submit -> [queued] -> issue -> transfer -> transferred -> ended: done()
 *                             ^        ^   |
 *                             |        +-- short: the rest
 *                             +-- -EINTR at once; -EAGAIN, -ENOMEM, less than a unit after a pause
 *
 * issue() visits the fault points "store-read", "store-write" and "store-discard", with ".NAME" those of one medium's,
 * and "store-io.NAME". Everything from issue() on goes through the loop, also a made-up error, so done() never runs
 * inside submit().
 *
 * A lane knows its oldest I/O: where that has no end for long, what need not go to this medium goes elsewhere, and some
 * time longer, since a medium that hung once does so again.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "store/medium.h"
#include "util/faultpoint.h"

#define READS_MOST    192u
#define WRITES_MOST   64u
#define DISCARDS_MOST 1u

/* Bytes of one transfer: below what Linux moves in one call (MAX_RW_COUNT, read(2)). */
#define TRANSFER_MOST (1u << 30)

/*
 * A pause and a number of tries for results that pass (no request free, no memory): 5 s in all, since giving up
 * on a read costs its reader the page.
 */
#define RETRY_NS   UINT64_C(1000000)
#define RETRY_MOST 5000

/* A medium that was slow counts as slow for so many times as long as the I/O has taken, and no longer than that. */
#define SLOW_TIMES   8
#define SLOW_MOST_NS UINT64_C(60000000000)

static void issue(struct medium_io *io);

static struct medium_lane *lane_of(struct medium_port *port, const struct medium_io *io)
{
        return io->discard ? &port->discards : io->write ? &port->writes : &port->reads;
}

static void start(struct medium_port *port, struct medium_io *io)
{
        lane_of(port, io)->under_way++;
        io->op = (struct op){ 0 };
        io->moved = 0;
        io->retries = 0;
        issue(io);
}

static void count(struct medium_counters *c, const struct medium_io *io, int result)
{
        atomic_fetch_add_explicit(&c->ios, 1, memory_order_relaxed);
        if (result < 0)
                atomic_fetch_add_explicit(&c->errors, 1, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&c->bytes, medium_io_bytes(io), memory_order_relaxed);
}

/* The I/O leaves its lane; how long it was there is remembered if it was long. */
static void leave(struct medium_lane *lane, struct medium_io *io)
{
        uint64_t now = loop_now(io->port->loop), took = now - io->since;

        DL_DELETE2(lane->oldest, io, older, newer);
        if (took < MEDIUM_SLOW_NS)
                return;
        took = took < SLOW_MOST_NS / SLOW_TIMES ? took * SLOW_TIMES : SLOW_MOST_NS;
        if (now + took > lane->slow_until)
                lane->slow_until = now + took;
}

/* The I/O is over. The place it leaves goes to the queue first: done() may submit another one. */
static void ended(struct medium_io *io, int result)
{
        struct medium_port *port = io->port;
        struct medium_lane *lane = lane_of(port, io);
        struct medium_io *next = lane->head;

        count(lane->counters, io, result);
        leave(lane, io);
        lane->under_way--;
        if (next) {
                LL_DELETE(lane->head, next);
                start(port, next);
        }
        io->done(io, result);
}

static void on_retry(struct op *op, int res, unsigned flags)
{
        (void)res;
        (void)flags;
        issue(medium_io_of(op));
}

/* Issues the I/O again: at once, or after a pause. */
static void issue_again(struct medium_io *io, bool pause)
{
        struct loop *loop = io->port->loop;

        io->op.done = on_retry;
        if (pause)
                loop_timer(loop, &io->op, loop_now(loop) + RETRY_NS);
        else
                loop_defer(loop, &io->op);
}

/*
 * The I/O goes on at a whole unit, as O_DIRECT wants it. A result of 0 is the end of a file that somebody has cut
 * short: there is nothing to wait for.
 */
void medium_transferred(struct medium_io *io, int res)
{
        int unit = (int)io->port->medium->unit;
        bool passing = res == -EAGAIN || res == -ENOMEM || (res > 0 && res < unit);

        if (res == -EINTR) {
                issue_again(io, false);
        } else if (passing && io->retries < RETRY_MOST) {
                io->retries++;
                issue_again(io, true);
        } else if (res < unit) {
                ended(io, res < 0 ? res : -EIO);
        } else {
                io->moved += (uint32_t)(res - res % unit);
                io->retries = 0;
                if (io->moved < medium_io_bytes(io))
                        issue(io);
                else
                        ended(io, 0);
        }
}

static void transfer(struct medium_io *io)
{
        io->port->medium->ops->transfer(io->port, io);
}

static void on_delayed(struct op *op, int res, unsigned flags)
{
        (void)res;
        (void)flags;
        transfer(medium_io_of(op));
}

static void on_made_up(struct op *op, int res, unsigned flags)
{
        struct medium_io *io = medium_io_of(op);

        (void)res;
        (void)flags;
        medium_transferred(io, io->made_up);
}

static void make_up(struct medium_io *io, int result)
{
        io->made_up = result;
        io->op.done = on_made_up;
        loop_defer(io->port->loop, &io->op);
}

/* Visits the fault points of an I/O, and so many that all are counted. */
static struct faultpoint_hit visit(const struct medium_io *io)
{
        const struct medium_lane *lane = lane_of(io->port, io);
        struct faultpoint_hit hit[] = { faultpoint_visit(lane->faultpoint), faultpoint_visit(lane->own_faultpoint),
                                        faultpoint_visit(io->port->faultpoint) };

        for (unsigned i = 0; i < sizeof(hit) / sizeof(*hit); i++)
                if (hit[i].action != FAULTPOINT_NONE)
                        return hit[i];
        return hit[0];
}

/* Starts the next transfer, as the fault points have it. */
static void issue(struct medium_io *io)
{
        struct loop *loop = io->port->loop;
        int64_t unit = io->port->medium->unit;
        uint64_t left = medium_io_bytes(io) - io->moved;
        uint32_t most = io->discard ? io->port->medium->discard.most : TRANSFER_MOST;
        struct faultpoint_hit hit = visit(io);

        io->asked = left < most ? (uint32_t)left : most;
        switch (hit.action) {
        case FAULTPOINT_ERRNO:
                make_up(io, (int)hit.value);
                return;
        case FAULTPOINT_SHORT:
                if (hit.value < unit) {
                        make_up(io, hit.value > 0 ? (int)hit.value : 0);
                        return;
                }
                if (hit.value < io->asked)
                        io->asked = (uint32_t)(hit.value - hit.value % unit);
                break;
        case FAULTPOINT_DELAY:
                io->op.done = on_delayed;
                loop_timer(loop, &io->op, loop_now(loop) + (uint64_t)hit.value);
                return;
        case FAULTPOINT_HANG:
                issue_again(io, true);
                return;
        case FAULTPOINT_NONE:
        case FAULTPOINT_KILL:
                break;
        }
        transfer(io);
}

void medium_submit(struct medium_port *port, struct medium_io *io)
{
        struct medium_lane *lane = lane_of(port, io);
        const struct medium *m = port->medium;

        assert(io->units && io->at < m->units && io->units <= m->units - io->at);
        assert((uintptr_t)io->memory % 512 == 0);
        assert(!io->discard || m->discard.most);
        io->port = port;
        io->next = NULL;
        io->since = loop_now(port->loop);
        DL_APPEND2(lane->oldest, io, older, newer);
        if (lane->under_way < lane->most) {
                start(port, io);
                return;
        }
        if (lane->head)
                LL_APPEND_ELEM(lane->head, lane->tail, io);
        else
                lane->head = io;
        lane->tail = io;
}

bool medium_port_is_slow(const struct medium_port *port, uint64_t now, uint64_t *when)
{
        const struct medium_lane *lane = &port->writes;

        *when = lane->oldest ? lane->oldest->since + MEDIUM_SLOW_NS : UINT64_MAX;
        return now < lane->slow_until || now >= *when;
}

static void set_up_lane(struct medium_lane *lane, const struct medium *m, unsigned most, const char *faultpoint,
                        struct medium_counters *counters)
{
        *lane = (struct medium_lane){ .most = most, .faultpoint = faultpoint, .counters = counters };
        snprintf(lane->own_faultpoint, sizeof(lane->own_faultpoint), "%s.%s", faultpoint, m->name);
}

int medium_port_open(struct medium *m, struct loop *loop, struct medium_port **out)
{
        struct medium_port *port;
        int r = m->ops->port_open(m, loop, &port);

        if (r < 0)
                return r;
        port->medium = m;
        port->loop = loop;
        set_up_lane(&port->reads, m, READS_MOST, "store-read", &m->reads);
        set_up_lane(&port->writes, m, WRITES_MOST, "store-write", &m->writes);
        set_up_lane(&port->discards, m, DISCARDS_MOST, "store-discard", &m->discards);
        snprintf(port->faultpoint, sizeof(port->faultpoint), "store-io.%s", m->name);
        atomic_fetch_add_explicit(&m->ports, 1, memory_order_relaxed);
        *out = port;
        return 0;
}

void medium_port_close(struct medium_port *port)
{
        if (!port)
                return;
        assert(!port->reads.under_way && !port->writes.under_way && !port->discards.under_way);
        atomic_fetch_sub_explicit(&port->medium->ports, 1, memory_order_relaxed);
        port->medium->ops->port_close(port);
}

void medium_coarsen(struct medium *m, uint32_t unit)
{
        assert(!m->ports);
        if (unit <= m->unit)
                return;
        m->units = m->units * m->unit / unit;
        m->unit = unit;
}

void medium_destroy(struct medium *m)
{
        if (!m)
                return;
        assert(!m->ports);
        m->ops->destroy(m);
}
