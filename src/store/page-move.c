// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages on the move from one place of a medium to another (page-drain.h), as they are: packed stays packed, and sealed
 * stays sealed, by the same seal. A row of them is read, and each compared with what is known of it, so that no damage
 * is copied; what is not right, twice, stays where it is, and whoever wants it hears of it. Then it is written, in as
 * few pieces as there is room for, and then its pages are there.
 *
 * One row at a time, so that faults hardly notice.
 */
#include "store/page-move.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/page-port.h"

/* After a write that failed. */
#define PAUSE_NS UINT64_C(1000000000)

static void go_on(struct op *op, int res, unsigned flags);

/* Looks for the next row in the loop's next turn. */
static void go_on_later(struct page_port *port)
{
        port->move.op.done = go_on;
        loop_defer(port->base.loop, &port->move.op);
}

static void end(struct page_port *port)
{
        port->move.is_on = false;
        page_drain_disclaim(page_store_of_port(port));
        page_discard_look(port);
}

static void submit(struct page_port *port, bool write, unsigned medium, uint64_t at, uint32_t units, uint32_t skip,
                   medium_done_fn done)
{
        struct page_move *w = &port->move;

        w->medium = (struct medium_io){
                .done = done,
                .write = write,
                .units = units,
                .at = at,
                .buffer = port->buffer,
                .memory = w->memory + (size_t)skip * page_store_of_port(port)->unit,
        };
        medium_submit(port->medium[medium], &w->medium);
}

static void write_on(struct page_port *port);

static void on_written(struct medium_io *m, int result)
{
        struct page_move *w = op_owner(m, struct page_move, medium);
        struct page_port *port = op_owner(w, struct page_port, move);
        struct page_store *s = page_store_of_port(port);
        uint64_t now = loop_now(port->base.loop);

        if (result < 0) {
                page_drain_give_back(s, &w->row, m->at, m->units, now);
                w->again_at = now + PAUSE_NS;
                end(port);
                return;
        }
        page_drain_moved(s, &w->row, w->sent, w->run, m->at);
        w->sent += w->run;
        w->sent_units += m->units;
        write_on(port);
}

static void write_on(struct page_port *port)
{
        struct page_move *w = &port->move;
        uint32_t units = 0;
        uint64_t at = 0;

        w->run = 0;
        if (w->sent < w->row.n)
                w->run = page_drain_take(page_store_of_port(port), &w->row, w->sent, &at, &units);
        if (w->run)
                submit(port, true, w->row.page[0].from.medium, at, units, w->sent_units, on_written);
        else
                go_on_later(port); /* all of it was moved; or what finds no room stays */
}

/* Whether a page of the row, at `in`, is what was written. */
static bool is_right(struct page_port *port, const struct page_moved *m, const char *in)
{
        char *open = port->move.open, *page = port->move.page;

        if (m->from.sealed) {
                int r = seal_open(port->seal, m->loc, in, m->from.bytes, &m->seal, open);

                explicit_bzero(open, m->from.bytes);
                return r == 0;
        }
        if (m->from.codec == CODEC_NONE)
                return checksum_fits(&m->sum, m->loc, in);
        return codec_unpack(port->codec, m->from.codec, in, m->from.bytes, page) == 0 &&
               checksum_fits(&m->sum, m->loc, page);
}

static bool are_right(struct page_port *port)
{
        const struct page_store *s = page_store_of_port(port);
        const struct page_row *row = &port->move.row;
        const char *in = port->move.memory;

        for (uint32_t i = 0; i < row->n; i++) {
                if (!is_right(port, &row->page[i], in))
                        return false;
                in += (size_t)place_units(s, &row->page[i].from) * s->unit;
        }
        return true;
}

static void on_read(struct medium_io *m, int result)
{
        struct page_move *w = op_owner(m, struct page_move, medium);
        struct page_port *port = op_owner(w, struct page_port, move);

        if (result == 0 && are_right(port)) {
                w->sent = w->sent_units = 0;
                write_on(port);
        } else if (result == 0 && !w->reread) {
                w->reread = true;
                submit(port, false, w->row.page[0].from.medium, m->at, m->units, 0, on_read);
        } else {
                go_on_later(port);
        }
}

static void go_on(struct op *op, int res, unsigned flags)
{
        struct page_move *w = op_owner(op, struct page_move, op);
        struct page_port *port = op_owner(w, struct page_port, move);
        struct page_store *s = page_store_of_port(port);
        uint32_t units = 0;
        int r;

        (void)res;
        (void)flags;
        r = w->stopping ? -ENOENT : page_drain_next(s, &w->row);
        if (r < 0) {
                end(port);
                return;
        }
        if (r == 0) {
                go_on_later(port);
                return;
        }
        for (uint32_t i = 0; i < w->row.n; i++)
                units += place_units(s, &w->row.page[i].from);
        w->reread = false;
        submit(port, false, w->row.page[0].from.medium, w->row.page[0].from.at, units, 0, on_read);
}

void page_move_look(struct page_port *port)
{
        struct page_move *w = &port->move;
        struct page_store *s = page_store_of_port(port);

        if (w->is_on || w->stopping || !page_drain_is_due(s) || loop_now(port->base.loop) < w->again_at ||
            !page_drain_claim(s, port))
                return;
        w->is_on = true;
        go_on_later(port);
}

void page_move_stop(struct page_port *port)
{
        port->move.stopping = true;
        while (port->move.is_on)
                if (loop_turn(port->base.loop) < 0)
                        abort(); /* it has buffers of the kernel's that it cannot give up */
}
