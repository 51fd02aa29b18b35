// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A read knows its medium when it takes a bounce, and waits in that medium's queue; where some wait, the medium has all
 * that it may have now. A write takes a bounce first, packs into it, and only then its medium is found; so all writes
 * wait in one queue, and what a medium may have of their bounces is seen to when they are to be written (page-turn.c).
 */
#include "store/page-bounce.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "store/page-port.h"

void page_queue_add(struct page_queue *q, struct page_io *p)
{
        p->next_waiting = NULL;
        if (q->first)
                q->last->next_waiting = p;
        else
                q->first = p;
        q->last = p;
}

struct page_io *page_queue_take(struct page_queue *q)
{
        struct page_io *p = q->first;

        if (p)
                q->first = p->next_waiting;
        return p;
}

/* Of each kind: one for each medium is its own, and some are for all. */
static unsigned of_a_kind(unsigned media)
{
        return media == 1 ? 4 : 2 * media + 2;
}

unsigned page_bounces_for(unsigned media)
{
        return 2 * of_a_kind(media);
}

int page_bounces_new(struct page_port *port, char *memory)
{
        struct page_bounces *b = &port->bounces;
        unsigned media = page_store_of_port(port)->spread.n;

        b->n = page_bounces_for(media);
        b->all = calloc(b->n, sizeof(*b->all));
        if (!b->all)
                return -ENOMEM;
        portions_init(&b->reads, of_a_kind(media), media);
        portions_init(&b->writes, of_a_kind(media), media);
        for (unsigned i = 0; i < b->n; i++) {
                b->all[i].port = port;
                b->all[i].memory = memory + i * BOUNCE_BYTES;
                b->all[i].write = i % 2;
                if (b->all[i].write)
                        LL_PREPEND(b->free_write, &b->all[i]);
                else
                        LL_PREPEND(b->free_read, &b->all[i]);
        }
        return 0;
}

void page_bounces_free(struct page_port *port)
{
        free(port->bounces.all);
}

static struct bounce *take(struct bounce **list)
{
        struct bounce *b = *list;

        if (!b)
                return NULL;
        *list = b->next;
        b->n = b->sent = b->units = 0;
        return b;
}

struct bounce *page_port_bounce(struct page_port *port)
{
        return take(&port->bounces.free_write);
}

/* For a read of that medium; NULL: it has all that it may have. */
static struct bounce *take_for(struct page_bounces *all, unsigned part)
{
        struct bounce *b = portions_left(&all->reads, part) ? take(&all->free_read) : NULL;

        if (b) {
                b->part = part;
                portions_take(&all->reads, part, 1);
        }
        return b;
}

static void go_on_with(struct page_io *p, struct bounce *b)
{
        p->bounce = b;
        page_io_go_on_later(store_io_of(p));
}

/* There is one more: for the next that waits and may have it, beginning behind the medium that has had it. */
static void read_bounce_free(struct bounce *b)
{
        struct page_bounces *all = &b->port->bounces;
        unsigned media = all->reads.n;

        portions_give(&all->reads, b->part, 1);
        LL_PREPEND(all->free_read, b);
        for (unsigned i = 1; i <= media; i++) {
                unsigned part = (b->part + i) % media;

                if (all->reading[part].first && portions_left(&all->reads, part)) {
                        go_on_with(page_queue_take(&all->reading[part]), take_for(all, part));
                        return;
                }
        }
}

void page_port_bounce_free(struct bounce *b)
{
        struct page_bounces *all = &b->port->bounces;

        if (!b->write) {
                read_bounce_free(b);
                return;
        }
        LL_PREPEND(all->free_write, b);
        if (all->writing.first)
                go_on_with(page_queue_take(&all->writing), page_port_bounce(b->port));
}

bool page_io_take_bounce(struct page_io *p)
{
        struct page_bounces *all = &p->port->bounces;
        bool write = store_io_of(p)->write;

        p->bounce = write ? page_port_bounce(p->port) : take_for(all, p->part);
        if (!p->bounce)
                page_queue_add(write ? &all->writing : &all->reading[p->part], p);
        return p->bounce != NULL;
}

void page_io_put_bounce(struct page_io *p)
{
        struct bounce *b = p->bounce;

        p->bounce = NULL;
        if (b)
                page_port_bounce_free(b);
}
