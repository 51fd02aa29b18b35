// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's way to the store: turns each store_io of adjacent locations into I/Os of adjacent units, one after
 * another. Mostly there is one: what was allocated together was written together.
 *
 *     write: [take units -> medium -> places]...       read: [run of adjacent places -> medium -> check]...
 *                                                                                          |
 *                                                                           wrong: the run once more
 *
 * A write that fails gives the units back, and the medium is passed by for some time; the caller, who has the
 * pages still, allocates anew and gets others. The fault point "store-check" is visited when what was read is checked.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "store/checksum.h"
#include "store/medium.h"
#include "store/page-store-internal.h"
#include "util/faultpoint.h"

struct page_port {
        struct store_port base;
        struct medium_port *medium[SPREAD_MOST];
};

/* In store_io.private_, while it is under way. */
struct __attribute__((may_alias)) page_io {
        struct medium_io medium;
        struct page_port *port;
        uint32_t next; /* the first page that was not moved yet */
        uint32_t run;  /* pages that are */
        unsigned part; /* medium */
        bool reread;   /* what was read first was wrong */
        int result;
        struct op op;
};

_Static_assert(sizeof(struct page_io) <= sizeof(((struct store_io *)0)->private_), "page_io fits store_io");
_Static_assert(_Alignof(struct page_io) <= 16, "page_io is aligned in store_io");

static struct page_io *page_io_of(struct store_io *io)
{
        return (struct page_io *)io->private_;
}

static struct store_io *io_of(struct page_io *p)
{
        return (struct store_io *)((char *)p - offsetof(struct store_io, private_));
}

static struct page_store *store_of_port(const struct page_port *port)
{
        return page_store_of(port->base.store);
}

static void ended(struct store_io *io, int result)
{
        struct page_store *s = store_of_port(page_io_of(io)->port);
        struct page_counters *c = io->write ? &s->writes : &s->reads;

        atomic_fetch_add_explicit(&c->ios, 1, memory_order_relaxed);
        if (result < 0)
                atomic_fetch_add_explicit(&c->errors, 1, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&c->pages, io->pages, memory_order_relaxed);
        io->done(io, result);
}

static void on_deferred(struct op *op, int res, unsigned flags)
{
        struct page_io *p = op_owner(op, struct page_io, op);

        (void)res;
        (void)flags;
        ended(io_of(p), p->result);
}

/* Ends it in the next turn: nothing is under way. */
static void end_later(struct store_io *io, int result)
{
        struct page_io *p = page_io_of(io);

        p->result = result;
        p->op.done = on_deferred;
        loop_defer(p->port->base.loop, &p->op);
}

static char *memory_of(const struct store_io *io, uint32_t page)
{
        return (char *)io->memory + (size_t)page * STORE_PAGE;
}

/* Moves the run between the caller's memory and unit `at` of the medium. */
static void move(struct store_io *io, uint64_t at, medium_done_fn done)
{
        struct page_io *p = page_io_of(io);

        p->medium = (struct medium_io){
                .done = done,
                .write = io->write,
                .units = p->run * store_of_port(p->port)->per_page,
                .at = at,
                .buffer = io->buffer,
                .memory = memory_of(io, p->next),
        };
        medium_submit(p->port->medium[p->part], &p->medium);
}

static void write_on(struct store_io *io);

static void on_written(struct medium_io *m, int result)
{
        struct page_io *p = op_owner(m, struct page_io, medium);
        struct page_store *s = store_of_port(p->port);
        struct store_io *io = io_of(p);

        if (result < 0) {
                page_store_give_back(s, p->run, loop_now(p->port->base.loop), p->part, m->at);
                ended(io, result);
                return;
        }
        for (uint32_t i = 0; i < p->run; i++)
                s->place[io->loc + p->next + i] = (struct place){ .at = m->at + (uint64_t)i * s->per_page,
                                                                  .bytes = STORE_PAGE,
                                                                  .kind = PLACE_MEDIUM,
                                                                  .medium = (uint8_t)p->part };
        p->next += p->run;
        if (p->next < io->pages)
                write_on(io);
        else
                ended(io, 0);
}

/* Writes the next run. */
static void write_on(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = store_of_port(p->port);
        uint64_t at;

        p->run = page_store_take(s, io->pages - p->next, loop_now(p->port->base.loop), &p->part, &at);
        if (!p->run) {
                end_later(io, -ENOSPC);
                return;
        }
        checksums_set(s->sums, io->loc + p->next, memory_of(io, p->next), p->run);
        move(io, at, on_written);
}

/* Whether all that was read is what was written. */
static bool is_right(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = store_of_port(p->port);
        bool right = checksums_check(s->sums, io->loc + p->next, memory_of(io, p->next), p->run) == p->run &&
                     faultpoint_visit("store-check").action != FAULTPOINT_ERRNO;

        if (!right)
                atomic_fetch_add_explicit(&s->mismatches, 1, memory_order_relaxed);
        return right;
}

static void read_on(struct store_io *io);

static void on_read(struct medium_io *m, int result)
{
        struct page_io *p = op_owner(m, struct page_io, medium);
        struct store_io *io = io_of(p);

        if (result < 0) {
                ended(io, result);
        } else if (!is_right(io)) {
                /* A device, or the way to it, may do better the second time. */
                if (p->reread) {
                        ended(io, -EBADMSG);
                        return;
                }
                p->reread = true;
                move(io, m->at, on_read);
        } else {
                p->reread = false;
                p->next += p->run;
                if (p->next < io->pages)
                        read_on(io);
                else
                        ended(io, 0);
        }
}

/* How many pages from `next` on lie one behind another. */
static uint32_t adjacent(const struct page_store *s, const struct store_io *io, uint32_t next)
{
        const struct place *first = &s->place[io->loc + next];
        uint32_t n = 1;

        for (; next + n < io->pages; n++) {
                const struct place *p = &first[n];

                if (p->kind != PLACE_MEDIUM || p->medium != first->medium ||
                    p->at != first->at + (uint64_t)n * s->per_page)
                        break;
        }
        return n;
}

/* Reads the next run. */
static void read_on(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = store_of_port(p->port);
        const struct place *place = &s->place[io->loc + p->next];

        assert(place->kind == PLACE_MEDIUM);
        p->part = place->medium;
        p->run = adjacent(s, io, p->next);
        move(io, place->at, on_read);
}

void page_port_submit(struct store_port *base, struct store_io *io)
{
        struct page_port *port = (struct page_port *)base;
        const struct page_store *s = store_of_port(port);
        struct page_io *p = page_io_of(io);

        assert(io->pages && io->loc < s->n && io->pages <= s->n - io->loc);
        p->port = port;
        p->next = 0;
        p->reread = false;
        p->op = (struct op){ 0 };
        if (io->write)
                write_on(io);
        else
                read_on(io);
}

int page_port_open(struct store *store, struct loop *loop, struct store_port **out)
{
        struct page_store *s = page_store_of(store);
        struct page_port *port = calloc(1, sizeof(*port));
        int r;

        if (!port)
                return -ENOMEM;
        port->base = (struct store_port){ .store = store, .loop = loop };
        atomic_fetch_add_explicit(&s->ports, 1, memory_order_relaxed);
        for (unsigned i = 0; i < s->spread.n; i++) {
                r = medium_port_open(s->spread.part[i].medium, loop, &port->medium[i]);
                if (r < 0) {
                        page_port_close(&port->base);
                        return r;
                }
        }
        *out = &port->base;
        return 0;
}

void page_port_close(struct store_port *base)
{
        struct page_port *port = (struct page_port *)base;
        struct page_store *s = store_of_port(port);

        for (unsigned i = 0; i < s->spread.n; i++)
                medium_port_close(port->medium[i]);
        atomic_fetch_sub_explicit(&s->ports, 1, memory_order_relaxed);
        free(port);
}
