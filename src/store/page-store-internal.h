/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What page-store.c and page-port.c share; nobody else includes it. */
#ifndef STORE_PAGE_STORE_INTERNAL_H
#define STORE_PAGE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/codec.h"
#include "store/page-discard.h"
#include "store/page-drain.h"
#include "store/place.h"
#include "store/spread.h"
#include "store/store.h"

struct checksums;
struct seal;
struct seal_keys;
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
        uint32_t unit;          /* bytes */
        uint32_t per_page;      /* units of a page as it is */
        bool packs;             /* owners may have codecs, or seals */
        struct checksums *sums; /* of what each location's page was */
        struct seal_keys *keys; /* NULL: nothing is encrypted */
        struct seal *seals;     /* of each location whose place says so; NULL: nothing is encrypted */
        struct ram *ram;        /* NULL: there is no tier in memory */

        pthread_mutex_t lock; /* of what follows; locked while it is held: the keys and ram.c */
        struct place *place;  /* of each location */
        struct slot_map *map; /* which locations are free, and how many references the others have */
        struct spread spread; /* which units of the media are free */
        uint64_t promised;    /* units for locations that are allocated, and not written yet */
        store_loc beyond;     /* no location from this one on was ever allocated */
        struct page_drain drain;
        struct page_discard discard;

        struct page_counters reads, writes;
        _Atomic uint64_t mismatches; /* pages read that were not what was written */
        _Atomic unsigned ports;      /* open ones */
};

/* Whose pages are written, and how. */
struct store_owner {
        struct codec_choice codec;
        bool sealed;
        uint32_t key;          /* where sealed */
        struct ram_owner *ram; /* NULL: nothing stays in memory */
        uint64_t ram_limit;    /* bytes */
        unsigned back;         /* how many times some of it is being written back */
};

/* Units of a medium that a place takes. */
static inline uint32_t place_units(const struct page_store *s, const struct place *p)
{
        return (p->bytes + s->unit - 1) / s->unit;
}

static inline struct page_store *page_store_of(struct store *store)
{
        return (struct page_store *)store;
}

/*
 * For a port: adjacent units for up to n pages, units[i] for page i (NULL: as many as a page has): out of what was
 * promised to their locations, or of what is free beyond all promises. Returns for how many pages, from the first on;
 * 0: not even for one, and *medium is as spread_take() has it.
 */
uint32_t page_store_take(struct page_store *s, const uint8_t *units, uint32_t n, bool promised, uint64_t now,
                         const struct spread_view *view, unsigned *medium, uint64_t *at);

/*
 * Gives back what page_store_take() gave for n pages (0 if they were not promised), `units` in all: a write of it has
 * failed at `now` (ns).
 */
void page_store_give_back(struct page_store *s, uint32_t n, uint64_t now, unsigned medium, uint64_t at, uint32_t units);

/*
 * The page of a location that is allocated was written, to units that were taken for it, or needs none: where it is.
 * Where the place is sealed, the seal is kept, and its key gets one more reference.
 */
void page_store_settle(struct page_store *s, store_loc loc, const struct place *place, const struct seal *seal);

/*
 * The page of a location that is in memory was written back, to units that were taken for it. False: it was freed
 * meanwhile, or the location is another page's; then the units are given back.
 */
bool page_store_move(struct page_store *s, store_loc loc, const void *object, const struct place *place,
                     const struct seal *seal);

/* Copies the places of n adjacent locations. */
void page_store_look(struct page_store *s, store_loc first, uint32_t n, struct place *out);

/* The owners' part of struct store_ops. */
int page_owner_new(struct store *store, const struct store_owner_config *config, struct store_owner **out);
void page_owner_free(struct store *store, struct store_owner *owner);
void page_owner_limit(struct store *store, struct store_owner *owner, uint64_t bytes);
uint64_t page_owner_ram(struct store *store, struct store_owner *owner);
bool page_owner_busy(struct store *store, struct store_owner *owner);

/* The ports' part of struct store_ops. */
int page_port_open(struct store *store, struct loop *loop, struct store_port **out);
void page_port_close(struct store_port *port);
void page_port_submit(struct store_port *port, struct store_io *io);
void page_port_tidy(struct store_port *port);

#endif
