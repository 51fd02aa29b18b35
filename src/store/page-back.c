// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packed pages that were kept in memory, on their way to a medium: the oldest of an owner, which nobody has wanted back
 * for longest, when they take seven eighths of what they may, until it is three quarters. Before them those whose owner
 * has ended. A batch at a time; where one hangs on its medium, another goes on beside it.
 *
 * A page is read from memory until its write has ended; then its place changes, unless it was freed meanwhile. ram.c
 * holds what is under way, so that its address is no other page's.
 */
#include "store/page-port.h"

#include <errno.h>

/* After a write that failed. */
#define PAUSE_NS UINT64_C(1000000000)

/* When it was the turn of a medium that is held. */
#define TURN_NS UINT64_C(20000000)

static void write_on(struct page_back *w);

/* What an owner has beyond the three quarters of what it may have, but for what is on its way already. */
static uint64_t beyond(const struct page_port *port, const struct store_owner *owner)
{
        uint64_t bytes = ram_owner_bytes(owner->ram);
        uint64_t keep = owner->ram_limit / 4 * 3;

        for (unsigned i = 0; i < SPREAD_MOST; i++)
                if (port->back[i].owner == owner)
                        keep += port->back[i].bytes;
        return bytes > keep ? bytes - keep : 0;
}

/* Takes the oldest objects into the bounce. Objects that were dropped meanwhile are left out. */
static void collect(struct page_back *w)
{
        struct page_port *port = w->port;
        struct page_store *s = page_store_of_port(port);
        struct bounce *b = w->bounce;
        struct ram_old old[BOUNCE_PAGES];
        unsigned n = ram_oldest(s->ram, NULL, old, BOUNCE_PAGES, UINT64_MAX);

        if (n == 0)
                n = ram_oldest(s->ram, w->owner->ram, old, BOUNCE_PAGES, beyond(port, w->owner));
        for (unsigned i = 0; i < n; i++) {
                char *out = b->memory + (size_t)b->units * s->unit;
                int bytes = ram_get(s->ram, old[i].object, old[i].where, out);
                struct place place;

                if (bytes > 0) {
                        page_store_look(s, old[i].where, 1, &place);
                        w->old[b->n] = old[i];
                        if (page_port_add(port, b, w->owner, old[i].where, (size_t)bytes, place.codec) == 0) {
                                w->bytes += ram_cost(old[i].bytes);
                                continue;
                        }
                }
                ram_release(s->ram, old[i].object);
        }
}

static void end(struct page_back *w)
{
        struct page_store *s = page_store_of_port(w->port);
        struct store_owner *owner = w->owner;

        for (uint32_t i = w->bounce->sent; i < w->bounce->n; i++)
                ram_release(s->ram, w->old[i].object);
        page_port_bounce_free(w->bounce);
        w->owner = NULL;
        w->bounce = NULL;
        owner->back--;
        page_discard_look(w->port);
}

static void on_written(struct medium_io *m, int result)
{
        struct page_back *w = op_owner(m, struct page_back, medium);
        struct page_port *port = w->port;
        struct page_store *s = page_store_of_port(port);
        struct bounce *b = w->bounce;
        struct store_owner *owner = w->owner;

        page_turn_end(port, NULL, true, w->part);
        if (result < 0) {
                page_store_give_back(s, 0, loop_now(port->base.loop), w->part, m->at, m->units);
                port->back_after = loop_now(port->base.loop) + PAUSE_NS;
                end(w);
                return;
        }
        for (uint32_t i = b->sent; i < b->sent + w->run; i++) {
                page_store_move(s, w->old[i].where, w->old[i].object, &b->v[i].place, &b->v[i].seal);
                ram_release(s->ram, w->old[i].object);
        }
        b->sent += w->run;
        if (b->sent < b->n) {
                write_on(w);
                return;
        }
        end(w);
        if (beyond(port, owner))
                page_back_start(port, owner);
}

static void write_on(struct page_back *w)
{
        struct page_port *port = w->port;
        struct bounce_part part;

        if (!page_port_find(port, NULL, w->bounce, &part)) {
                /* No room, or its medium has as much to do as it may. */
                port->back_after = loop_now(port->base.loop) + (part.medium == SPREAD_MOST ? PAUSE_NS : TURN_NS);
                end(w);
                return;
        }
        w->run = part.pages;
        w->part = part.medium;
        w->medium = (struct medium_io){
                .done = on_written,
                .write = true,
                .units = part.units,
                .at = part.at,
                .buffer = port->buffer,
                .memory = part.memory,
        };
        page_turn_begin(port, NULL, true, w->part);
        medium_submit(port->medium[w->part], &w->medium);
}

/* Who can begin now; NULL: one that does not hang is under way, or as many hang as there are media. */
static struct page_back *idle(struct page_port *port, uint64_t now)
{
        struct page_back *found = NULL;

        for (unsigned i = 0; i < page_store_of_port(port)->spread.n; i++) {
                struct page_back *w = &port->back[i];

                if (!w->owner)
                        found = w;
                else if (now - w->since < MEDIUM_SLOW_NS)
                        return NULL;
        }
        return found;
}

void page_back_start(struct page_port *port, struct store_owner *owner)
{
        uint64_t now = loop_now(port->base.loop);
        struct page_back *w = idle(port, now);

        if (!w || !port->bounces.free_write || now < port->back_after)
                return;
        w->port = port;
        w->since = now;
        w->bytes = 0;
        w->bounce = page_port_bounce(port);
        w->owner = owner;
        owner->back++;
        collect(w);
        if (w->bounce->n)
                write_on(w);
        else
                end(w);
}

void page_back_look(struct page_port *port, struct store_owner *owner)
{
        if (owner && owner->ram && ram_owner_bytes(owner->ram) > owner->ram_limit / 8 * 7)
                page_back_start(port, owner);
}
