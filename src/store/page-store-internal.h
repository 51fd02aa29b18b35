/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What page-store.c and page-port.c share; nobody else includes it. */
#ifndef STORE_PAGE_STORE_INTERNAL_H
#define STORE_PAGE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/place.h"
#include "store/spread.h"
#include "store/store.h"

struct checksums;
struct slot_map;

/* What the ports of all workers count: relaxed, each a sum of its own. */
struct page_counters {
        _Atomic uint64_t ios;
        _Atomic uint64_t pages; /* of the I/Os that succeeded */
        _Atomic uint64_t errors;
};

struct page_store {
        struct store base;
        uint64_t n;             /* locations */
        uint32_t per_page;      /* units of a page as it is */
        struct place *place;    /* of each location; written by who allocated it, before anybody else knows it */
        struct checksums *sums; /* of what each location's page was */

        pthread_mutex_t lock; /* of what follows; nothing else is locked while it is held */
        struct slot_map *map; /* which locations are free, and how many references the others have */
        struct spread spread; /* the same of units */
        uint64_t promised;    /* units for locations that are allocated, and not written yet */

        struct page_counters reads, writes;
        _Atomic uint64_t mismatches; /* pages read that were not what was written */
        _Atomic unsigned ports;      /* open ones */
};

static inline struct page_store *page_store_of(struct store *store)
{
        return (struct page_store *)store;
}

/*
 * For a port: room for up to `pages` adjacent pages as they are, out of what was promised. Returns for how many, 0
 * where none is left in one piece; *at is the first unit.
 */
uint32_t page_store_take(struct page_store *s, uint32_t pages, uint64_t now, unsigned *medium, uint64_t *at);

/* Gives back what page_store_take() gave: a write of it has failed at `now` (ns). */
void page_store_give_back(struct page_store *s, uint32_t pages, uint64_t now, unsigned medium, uint64_t at);

/* The port half of struct store_ops. */
int page_port_open(struct store *store, struct loop *loop, struct store_port **out);
void page_port_close(struct store_port *port);
void page_port_submit(struct store_port *port, struct store_io *io);

#endif
