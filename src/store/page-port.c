// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's way to the store: turns each store_io of adjacent locations into I/Os of adjacent units, one after
 * another. Mostly there is one: what was allocated together was written together.
 *
 *   page-write   packs pages, finds room for them, writes them
 *   page-turn    has a write wait for its medium, or go to another
 *   page-read    reads them, unpacks them, sees that they are right
 *   page-back    writes packed pages that were kept in memory to a medium
 *   page-move    moves pages that lie between free units
 *   page-discard tells the media what is free
 *
 * Pages that are packed or encrypted go through a bounce: memory of the port's, in which they lie as on the medium.
 * Others are moved between the medium and the caller's memory.
 */
#include "store/page-port.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Between two looks for what is being discarded. */
#define LOOK_NS UINT64_C(1000000)

static void go_on(struct store_io *io)
{
        if (io->write)
                page_write_on(io);
        else
                page_read_on(io);
}

void page_io_end(struct store_io *io, int result)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        struct page_counters *c = io->write ? &s->writes : &s->reads;

        page_io_put_bounce(p);
        atomic_fetch_add_explicit(&c->ios, 1, memory_order_relaxed);
        if (result < 0)
                atomic_fetch_add_explicit(&c->errors, 1, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&c->pages, io->pages, memory_order_relaxed);
        if (io->write && (result == 0 || result == -ENOSPC))
                page_move_look(p->port);
        if (io->write)
                page_discard_look(p->port);
        io->done(io, result);
}

static void on_end(struct op *op, int res, unsigned flags)
{
        struct page_io *p = op_owner(op, struct page_io, op);

        (void)res;
        (void)flags;
        page_io_end(store_io_of(p), p->result);
}

void page_io_end_later(struct store_io *io, int result)
{
        struct page_io *p = page_io_of(io);

        p->result = result;
        p->op.done = on_end;
        loop_defer(p->port->base.loop, &p->op);
}

static void on_go_on(struct op *op, int res, unsigned flags)
{
        (void)res;
        (void)flags;
        go_on(store_io_of(op_owner(op, struct page_io, op)));
}

void page_io_go_on_later(struct store_io *io)
{
        struct page_io *p = page_io_of(io);

        p->op.done = on_go_on;
        loop_defer(p->port->base.loop, &p->op);
}

void page_io_no_room(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct loop *loop = p->port->base.loop;

        if (!page_discard_is_under_way(page_store_of_port(p->port))) {
                page_io_end_later(io, -ENOSPC);
                return;
        }
        p->op.done = on_go_on;
        loop_timer(loop, &p->op, loop_now(loop) + LOOK_NS);
}

void page_io_move(struct page_io *p, uint64_t at, uint32_t units, void *memory, int buffer, medium_done_fn done)
{
        p->medium = (struct medium_io){
                .done = done,
                .write = store_io_of(p)->write,
                .units = units,
                .at = at,
                .buffer = buffer,
                .memory = memory,
        };
        medium_submit(p->port->medium[p->part], &p->medium);
}

void page_port_submit(struct store_port *base, struct store_io *io)
{
        struct page_port *port = (struct page_port *)base;
        const struct page_store *s = page_store_of_port(port);
        struct page_io *p = page_io_of(io);

        assert(io->pages && io->loc < s->n && io->pages <= s->n - io->loc);
        io->tier = STORE_MEMORY;
        p->port = port;
        p->bounce = NULL;
        p->next = 0;
        p->reread = false;
        p->op = (struct op){ 0 };
        go_on(io);
}

/* Memory of the port's, for bounces where it has any, and for pages on the move. */
static int make_memory(struct page_port *port, unsigned bounces)
{
        port->memory_bytes = bounces * BOUNCE_BYTES + PAGE_MOVE_BYTES;
        port->memory = mmap(NULL, port->memory_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (port->memory == MAP_FAILED)
                port->memory = NULL;
        if (!port->memory)
                return -ENOMEM;
        port->buffer = loop_register_buffer(port->base.loop, port->memory, port->memory_bytes);
        port->move.memory = port->memory + bounces * BOUNCE_BYTES;
        return bounces ? page_bounces_new(port, port->memory) : 0;
}

static int set_up(struct page_port *port)
{
        struct page_store *s = page_store_of_port(port);
        int r = make_memory(port, s->packs ? page_bounces_for(s->spread.n) : 0);

        if (r == 0 && s->packs)
                r = codec_work_new(&port->codec);
        if (r == 0 && s->keys)
                r = seal_work_new(s->keys, &port->seal);
        for (unsigned i = 0; i < s->spread.n && r == 0; i++)
                r = medium_port_open(s->spread.part[i].medium, port->base.loop, &port->medium[i]);
        return r;
}

int page_port_open(struct store *store, struct loop *loop, struct store_port **out)
{
        struct page_store *s = page_store_of(store);
        struct page_port *port = calloc(1, sizeof(*port));
        int r;

        if (!port)
                return -ENOMEM;
        port->base = (struct store_port){ .store = store, .loop = loop };
        port->buffer = -1;
        page_discard_start(port);
        atomic_fetch_add_explicit(&s->ports, 1, memory_order_relaxed);
        r = set_up(port);
        if (r < 0) {
                page_port_close(&port->base);
                return r;
        }
        page_discard_look(port);
        *out = &port->base;
        return 0;
}

void page_port_close(struct store_port *base)
{
        struct page_port *port = (struct page_port *)base;
        struct page_store *s = page_store_of_port(port);

        page_move_stop(port);
        page_turn_stop(port);
        page_discard_stop(port);
        for (unsigned i = 0; i < s->spread.n; i++)
                medium_port_close(port->medium[i]);
        codec_work_free(port->codec);
        seal_work_free(port->seal);
        if (port->buffer >= 0)
                loop_unregister_buffer(base->loop, port->buffer);
        if (port->memory)
                munmap(port->memory, port->memory_bytes);
        page_bounces_free(port);
        atomic_fetch_sub_explicit(&s->ports, 1, memory_order_relaxed);
        free(port);
}

void page_port_tidy(struct store_port *base)
{
        struct page_port *port = (struct page_port *)base;

        if (port->seal)
                seal_work_tidy(port->seal);
}
