// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's way to a disk store: turns each store_io into reads or writes on the worker's ring.
 *
 * A port has two lanes, one for reads and one for writes, each with a bound on the I/Os under way and a queue in order
 * of arrival for those beyond it. Writes have the smaller bound, because a device that was given a hundred large
 * writes makes the next read wait for them, and behind a read there is a fault. Separate bounds also mean that a
 * read never queues behind a write, and that no stream of reads keeps a write from its turn.
 *
 *     submit -> [queued] -> issue -> transfer -> transferred -> ended: done()
 *                             ^        ^   |
 *                             |        +-- short: the rest
 *                             +-- -EINTR at once; -EAGAIN, -ENOMEM, less than a page after a pause
 *                             +-- a read that is not what was written: once more, from its start
 *
 * issue() visits the fault points "store-read" and "store-write", the check of what was read "store-check". Everything
 * from issue() on goes through the loop, also a made-up error, so done() never runs inside submit().
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "store/checksum.h"
#include "store/disk-internal.h"
#include "sys/loop.h"
#include "util/faultpoint.h"

#define READS_MOST  192u
#define WRITES_MOST 64u

/* Bytes of one transfer: below what Linux moves in one call (MAX_RW_COUNT, read(2)). */
#define TRANSFER_MOST (1u << 30)

/*
 * A pause and a number of tries for results that pass (no request free, no memory): 5 s in all, since giving up
 * on a read costs its reader the page.
 */
#define RETRY_NS   UINT64_C(1000000)
#define RETRY_MOST 5000

struct lane {
        struct store_io *head, *tail; /* queued; the tail means nothing while there is no head */
        unsigned under_way, most;
        const char *faultpoint;
        struct disk_counters *counters;
};

struct disk_port {
        struct store_port base;
        int file; /* in the loop's table */
        struct lane reads, writes;
};

/* In store_io.private_, while it is under way. */
struct __attribute__((may_alias)) disk_io {
        struct op op;
        struct disk_port *port;
        uint64_t moved;   /* bytes, whole pages */
        uint32_t asked;   /* bytes of the transfer under way */
        int made_up;      /* result from a fault point */
        unsigned retries; /* since the last progress */
        bool reread;      /* what was read first was wrong */
};

_Static_assert(sizeof(struct disk_io) <= sizeof(((struct store_io *)0)->private_), "disk_io fits store_io");
_Static_assert(_Alignof(struct disk_io) <= 16, "disk_io is aligned in store_io");

static void issue(struct store_io *io);

static struct disk *disk_of_port(const struct disk_port *port)
{
        return (struct disk *)port->base.store;
}

static struct disk_io *disk_io_of(struct store_io *io)
{
        return (struct disk_io *)io->private_;
}

static struct store_io *io_of_op(struct op *op)
{
        return (struct store_io *)((char *)op - offsetof(struct disk_io, op) - offsetof(struct store_io, private_));
}

static struct lane *lane_of(struct disk_port *port, const struct store_io *io)
{
        return io->write ? &port->writes : &port->reads;
}

static uint64_t io_bytes(const struct store_io *io)
{
        return (uint64_t)io->pages * STORE_PAGE;
}

static void start(struct disk_port *port, struct store_io *io)
{
        struct disk_io *dio = disk_io_of(io);

        lane_of(port, io)->under_way++;
        memset(dio, 0, sizeof(*dio));
        dio->port = port;
        if (io->write)
                checksums_set(disk_of_port(port)->sums, io->loc, io->memory, io->pages);
        issue(io);
}

static void count(struct disk_counters *c, const struct store_io *io, int result)
{
        atomic_fetch_add_explicit(&c->ios, 1, memory_order_relaxed);
        if (result < 0)
                atomic_fetch_add_explicit(&c->errors, 1, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&c->pages, io->pages, memory_order_relaxed);
}

/* The I/O is over. The place it leaves goes to the queue first: done() may submit another one. */
static void ended(struct store_io *io, int result)
{
        struct disk_port *port = disk_io_of(io)->port;
        struct lane *lane = lane_of(port, io);
        struct store_io *next = lane->head;

        count(lane->counters, io, result);
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
        issue(io_of_op(op));
}

/* Issues the I/O again: at once, or after a pause. */
static void issue_again(struct store_io *io, bool pause)
{
        struct disk_io *dio = disk_io_of(io);
        struct loop *loop = dio->port->base.loop;

        dio->op.done = on_retry;
        if (pause)
                loop_timer(loop, &dio->op, loop_now(loop) + RETRY_NS);
        else
                loop_defer(loop, &dio->op);
}

/* Whether all that was read is what was written. */
static bool is_right(const struct store_io *io)
{
        struct disk *d = disk_of_port(disk_io_of((struct store_io *)io)->port);
        bool right = checksums_check(d->sums, io->loc, io->memory, io->pages) == io->pages &&
                     faultpoint_visit("store-check").action != FAULTPOINT_ERRNO;

        if (!right)
                atomic_fetch_add_explicit(&d->mismatches, 1, memory_order_relaxed);
        return right;
}

/* All bytes were moved. A device, or the way to it, may do better the second time. */
static void moved_all(struct store_io *io)
{
        struct disk_io *dio = disk_io_of(io);

        if (io->write || is_right(io)) {
                ended(io, 0);
        } else if (dio->reread) {
                ended(io, -EBADMSG);
        } else {
                dio->reread = true;
                dio->moved = 0;
                issue(io);
        }
}

/*
 * A transfer brought `res` bytes, or failed so. The I/O goes on at a whole page, as O_DIRECT wants it. A result of 0
 * is the end of a file that somebody has cut short: there is nothing to wait for.
 */
static void transferred(struct store_io *io, int res)
{
        struct disk_io *dio = disk_io_of(io);
        bool passing = res == -EAGAIN || res == -ENOMEM || (res > 0 && res < (int)STORE_PAGE);

        if (res == -EINTR) {
                issue_again(io, false);
        } else if (passing && dio->retries < RETRY_MOST) {
                dio->retries++;
                issue_again(io, true);
        } else if (res < (int)STORE_PAGE) {
                ended(io, res < 0 ? res : -EIO);
        } else {
                dio->moved += (uint32_t)res - (uint32_t)res % STORE_PAGE;
                dio->retries = 0;
                if (dio->moved < io_bytes(io))
                        issue(io);
                else
                        moved_all(io);
        }
}

static void on_transferred(struct op *op, int res, unsigned flags)
{
        (void)flags;
        transferred(io_of_op(op), res);
}

/* Moves up to dio->asked bytes from where the I/O stands. */
static void transfer(struct store_io *io)
{
        struct disk_io *dio = disk_io_of(io);
        struct disk_port *port = dio->port;
        struct loop *loop = port->base.loop;
        uint64_t offset = io->loc * STORE_PAGE + dio->moved;
        void *memory = (char *)io->memory + dio->moved;
        int fd = disk_of_port(port)->file.fd;

        dio->op.done = on_transferred;
        if (io->buffer >= 0 && io->write)
                loop_write_fixed(loop, &dio->op, port->file, (unsigned)io->buffer, memory, dio->asked, offset);
        else if (io->buffer >= 0)
                loop_read_fixed(loop, &dio->op, port->file, (unsigned)io->buffer, memory, dio->asked, offset);
        else if (io->write)
                loop_write(loop, &dio->op, fd, memory, dio->asked, offset);
        else
                loop_read(loop, &dio->op, fd, memory, dio->asked, offset);
}

static void on_delayed(struct op *op, int res, unsigned flags)
{
        (void)res;
        (void)flags;
        transfer(io_of_op(op));
}

static void on_made_up(struct op *op, int res, unsigned flags)
{
        struct store_io *io = io_of_op(op);

        (void)res;
        (void)flags;
        transferred(io, disk_io_of(io)->made_up);
}

static void make_up(struct store_io *io, int result)
{
        struct disk_io *dio = disk_io_of(io);

        dio->made_up = result;
        dio->op.done = on_made_up;
        loop_defer(dio->port->base.loop, &dio->op);
}

/* Starts the next transfer, as the fault point has it. */
static void issue(struct store_io *io)
{
        struct disk_io *dio = disk_io_of(io);
        struct loop *loop = dio->port->base.loop;
        uint64_t left = io_bytes(io) - dio->moved;
        struct faultpoint_hit hit = faultpoint_visit(lane_of(dio->port, io)->faultpoint);

        dio->asked = left < TRANSFER_MOST ? (uint32_t)left : TRANSFER_MOST;
        switch (hit.action) {
        case FAULTPOINT_ERRNO:
                make_up(io, (int)hit.value);
                return;
        case FAULTPOINT_SHORT:
                if (hit.value < STORE_PAGE) {
                        make_up(io, hit.value > 0 ? (int)hit.value : 0);
                        return;
                }
                if (hit.value < dio->asked)
                        dio->asked = (uint32_t)hit.value - (uint32_t)hit.value % STORE_PAGE;
                break;
        case FAULTPOINT_DELAY:
                dio->op.done = on_delayed;
                loop_timer(loop, &dio->op, loop_now(loop) + (uint64_t)hit.value);
                return;
        case FAULTPOINT_NONE:
        case FAULTPOINT_KILL:
                break;
        }
        transfer(io);
}

void disk_port_submit(struct store_port *base, struct store_io *io)
{
        struct disk_port *port = (struct disk_port *)base;
        struct lane *lane = lane_of(port, io);

        assert(io->pages && io->loc < disk_of_port(port)->slots && io->pages <= disk_of_port(port)->slots - io->loc);
        assert((uintptr_t)io->memory % STORE_PAGE == 0);
        io->next = NULL;
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

int disk_port_open(struct store *store, struct loop *loop, struct store_port **out)
{
        struct disk *d = (struct disk *)store;
        struct disk_port *port = calloc(1, sizeof(*port));

        if (!port)
                return -ENOMEM;
        port->file = loop_register_file(loop, d->file.fd);
        if (port->file < 0) {
                int r = port->file;

                free(port);
                return r;
        }
        port->base = (struct store_port){ .store = store, .loop = loop };
        port->reads = (struct lane){ .most = READS_MOST, .faultpoint = "store-read", .counters = &d->reads };
        port->writes = (struct lane){ .most = WRITES_MOST, .faultpoint = "store-write", .counters = &d->writes };
        atomic_fetch_add_explicit(&d->ports, 1, memory_order_relaxed);
        *out = &port->base;
        return 0;
}

void disk_port_close(struct store_port *base)
{
        struct disk_port *port = (struct disk_port *)base;

        assert(!port->reads.under_way && !port->writes.under_way);
        loop_unregister_file(base->loop, port->file);
        atomic_fetch_sub_explicit(&disk_of_port(port)->ports, 1, memory_order_relaxed);
        free(port);
}
