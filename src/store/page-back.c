// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packed pages that were kept in memory, on their way to a medium: the oldest of an owner, which nobody has wanted back
 * for longest, when they take seven eighths of what they may, until it is three quarters. Before them those whose owner
 * has ended.
 *
 * A page is read from memory until its write has ended; then its place changes, unless it was freed meanwhile. ram.c
 * holds what is under way, so that its address is no other page's.
 */
#include "store/page-port.h"

#include <errno.h>

/* After a write that failed. */
#define PAUSE_NS UINT64_C(1000000000)

static void write_on(struct page_port *port);

/* What an owner has beyond the three quarters of what it may have. */
static uint64_t beyond(const struct store_owner *owner)
{
        uint64_t bytes = ram_owner_bytes(owner->ram);
        uint64_t keep = owner->ram_limit / 4 * 3;

        return bytes > keep ? bytes - keep : 0;
}

/* Takes the oldest objects into the bounce. Objects that were dropped meanwhile are left out. */
static void collect(struct page_port *port)
{
        struct page_back *w = &port->back;
        struct page_store *s = page_store_of_port(port);
        struct bounce *b = w->bounce;
        struct ram_old old[BOUNCE_PAGES];
        unsigned n = ram_oldest(s->ram, NULL, old, BOUNCE_PAGES, UINT64_MAX);

        if (n == 0)
                n = ram_oldest(s->ram, w->owner->ram, old, BOUNCE_PAGES, beyond(w->owner));
        for (unsigned i = 0; i < n; i++) {
                char *out = b->memory + (size_t)b->units * s->unit;
                int bytes = ram_get(s->ram, old[i].object, old[i].where, out);
                struct place place;

                if (bytes > 0) {
                        page_store_look(s, old[i].where, 1, &place);
                        w->old[b->n] = old[i];
                        if (page_port_add(port, b, w->owner, old[i].where, (size_t)bytes, place.codec) == 0)
                                continue;
                }
                ram_release(s->ram, old[i].object);
        }
}

static void end(struct page_port *port)
{
        struct page_back *w = &port->back;
        struct page_store *s = page_store_of_port(port);
        struct store_owner *owner = w->owner;

        for (uint32_t i = w->bounce->sent; i < w->bounce->n; i++)
                ram_release(s->ram, w->old[i].object);
        page_port_bounce_free(w->bounce);
        w->owner = NULL;
        w->bounce = NULL;
        owner->back = false;
        page_discard_look(port);
}

static void on_written(struct medium_io *m, int result)
{
        struct page_back *w = op_owner(m, struct page_back, medium);
        struct page_port *port = op_owner(w, struct page_port, back);
        struct page_store *s = page_store_of_port(port);
        struct bounce *b = w->bounce;
        struct store_owner *owner = w->owner;

        if (result < 0) {
                page_store_give_back(s, 0, loop_now(port->base.loop), w->part, m->at, m->units);
                w->again_at = loop_now(port->base.loop) + PAUSE_NS;
                end(port);
                return;
        }
        for (uint32_t i = b->sent; i < b->sent + w->run; i++) {
                page_store_move(s, w->old[i].where, w->old[i].object, &b->v[i].place, &b->v[i].seal);
                ram_release(s->ram, w->old[i].object);
        }
        b->sent += w->run;
        if (b->sent < b->n) {
                write_on(port);
                return;
        }
        end(port);
        if (beyond(owner))
                page_back_start(port, owner);
}

static void write_on(struct page_port *port)
{
        struct page_back *w = &port->back;
        struct bounce_part part;

        if (!page_port_find(port, w->bounce, false, &part)) {
                w->again_at = loop_now(port->base.loop) + PAUSE_NS; /* no room */
                end(port);
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
        medium_submit(port->medium[w->part], &w->medium);
}

void page_back_start(struct page_port *port, struct store_owner *owner)
{
        struct page_back *w = &port->back;

        if (w->owner || !port->write_bounces.free || loop_now(port->base.loop) < w->again_at)
                return;
        w->bounce = page_port_bounce(&port->write_bounces);
        w->owner = owner;
        owner->back = true;
        collect(port);
        if (w->bounce->n)
                write_on(port);
        else
                end(port);
}

void page_back_look(struct page_port *port, struct store_owner *owner)
{
        if (owner && owner->ram && ram_owner_bytes(owner->ram) > owner->ram_limit / 8 * 7)
                page_back_start(port, owner);
}
