// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Media get what is written by weight (spread.c), and each write is known before it is known where it goes. So what is
 * shared is counted by medium from there on: a medium that has as much under way as it may is held, and a write whose
 * turn comes there waits, for one of two things. Either another write ends there; then the medium is well, and the
 * write goes on. Or none does, and after MEDIUM_SLOW_NS the medium counts as slow: then writes are given to others.
 *
 * With one medium there is nothing to choose, and nothing is counted.
 */
#include "store/page-turn.h"

#include <stdlib.h>

#include "store/page-port.h"

static bool is_counted(const struct page_port *port)
{
        return page_store_of_port(port)->spread.n > 1;
}

struct spread_view page_turn_view(const struct page_port *port, const struct store_io *io, bool bounce)
{
        uint64_t now = loop_now(port->base.loop), when;
        struct spread_view view = { 0 };

        if (!is_counted(port))
                return view;
        for (unsigned i = 0; i < page_store_of_port(port)->spread.n; i++) {
                bool no_room = io && io->room && portions_left(io->room, i) < io->pages;
                bool no_bounce = bounce && !portions_left(&port->bounces.writes, i);

                view.slow |= (unsigned)medium_port_is_slow(port->medium[i], now, &when) << i;
                view.held |= (unsigned)(no_room || no_bounce) << i;
        }
        return view;
}

void page_turn_begin(struct page_port *port, const struct store_io *io, bool bounce, unsigned part)
{
        if (!is_counted(port))
                return;
        if (io && io->room)
                portions_take(io->room, part, io->pages);
        if (bounce)
                portions_take(&port->bounces.writes, part, 1);
}

/* Each looks anew, in the loop's next turn. */
static void go_on(struct page_port *port)
{
        struct page_io *p;

        while ((p = page_queue_take(&port->turns.held)))
                page_io_go_on_later(store_io_of(p));
}

void page_turn_end(struct page_port *port, const struct store_io *io, bool bounce, unsigned part)
{
        if (!is_counted(port))
                return;
        if (io && io->room)
                portions_give(io->room, part, io->pages);
        if (bounce)
                portions_give(&port->bounces.writes, part, 1);
        go_on(port);
}

static void on_alarm(struct loop_alarm *alarm)
{
        go_on(op_owner(op_owner(alarm, struct page_turns, alarm), struct page_port, turns));
}

void page_turn_wait(struct page_io *p, unsigned part)
{
        struct page_port *port = p->port;
        struct loop_alarm *alarm = &port->turns.alarm;
        uint64_t when;

        page_queue_add(&port->turns.held, p);
        if (medium_port_is_slow(port->medium[part], loop_now(port->base.loop), &when))
                return; /* all others are full, or slow themselves */
        alarm->loop = port->base.loop;
        alarm->fire = on_alarm;
        if (!alarm->due || when < alarm->due)
                loop_alarm_set(alarm, when);
}

void page_turn_stop(struct page_port *port)
{
        loop_alarm_stop(&port->turns.alarm);
        while (loop_alarm_is_armed(&port->turns.alarm))
                if (loop_turn(port->base.loop) < 0)
                        abort(); /* the kernel has its memory */
}
