/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that are to be moved, so that what is free lies together (drain.h): which they are, and who moves them. One
 * port at a time is the mover.
 */
#ifndef STORE_PAGE_DRAIN_H
#define STORE_PAGE_DRAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/checksum.h"
#include "store/drain.h"
#include "store/place.h"
#include "store/seal.h"
#include "store/store.h"

struct page_port;
struct page_store;

#define PAGE_MOVE_MOST 16u /* pages that are moved in one I/O */

/* In struct page_store; locked with it, but for what is atomic. */
struct page_drain {
        struct drain drain;             /* of one medium's map */
        unsigned medium;                /* its number */
        uint64_t epoch;                 /* how many drains have begun */
        store_loc at;                   /* locations before it were looked at */
        _Atomic(struct page_port *) by; /* the mover; NULL: nobody is */
        _Atomic int64_t allowance;      /* units that may be moved now */
        _Atomic uint64_t pages;         /* that were moved */
        uint64_t pages_before;          /* this drain */
};

/* A page on the move, and what is known of it outside of its medium. */
struct page_moved {
        store_loc loc;
        struct place from;
        struct checksum sum;
        struct seal seal; /* where the place is sealed */
};

/* Pages that lie one behind another, all of one medium. */
struct page_row {
        uint64_t epoch;
        uint32_t n;
        struct page_moved page[PAGE_MOVE_MOST];
};

/* Something was written, `units`: so many more may be moved. The store is locked. */
void page_drain_allow(struct page_store *s, uint32_t units);

/* A page has found no room, since what is free is too scattered: that is worth moves. The store is locked. */
void page_drain_urge(struct page_store *s);

/* Whether there may be something to do for a mover. Without the lock. */
bool page_drain_is_due(struct page_store *s);

/* Makes the port the mover, if there is none and there is something to move; and not any more. */
bool page_drain_claim(struct page_store *s, struct page_port *by);
void page_drain_disclaim(struct page_store *s);

/*
 * For the mover: the next pages. 1: they are in *row; 0: none yet, ask again, for only some locations are looked at
 * each time; -ENOENT: there is nothing to do any more, or nothing is allowed for now.
 */
int page_drain_next(struct page_store *s, struct page_row *row);

/*
 * For the mover: adjacent units of the medium for as many of the row's pages as fit, from number `from` on. Returns how
 * many; 0: there is no room for them, or the drain is over.
 */
uint32_t page_drain_take(struct page_store *s, const struct page_row *row, uint32_t from, uint64_t *at,
                         uint32_t *units);

/* Those units, given back, since they could not be written at `now` (ns). */
void page_drain_give_back(struct page_store *s, const struct page_row *row, uint64_t at, uint32_t units, uint64_t now);

/*
 * n pages of the row, from number `from` on, were written to units `at` and following: that is where they are from now
 * on, but for those that were freed meanwhile.
 */
void page_drain_moved(struct page_store *s, const struct page_row *row, uint32_t from, uint32_t n, uint64_t at);

/* Ends the drain: all that is free can be had. The store is locked. False: there was none. */
bool page_drain_end(struct page_store *s);

#endif
