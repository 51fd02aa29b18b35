/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_PAGE_STORE_H
#define STORE_PAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct medium;
struct store;

#define PAGE_STORE_MOST (UINT64_C(1) << 36) /* locations of one store */

/* One of the media that a store has. */
struct page_store_medium {
        struct medium *medium;
        unsigned weight; /* its share of what is written, against the other media's: 1 to SPREAD_WEIGHT */
};

/* What owners may ask for (store_owner_config). Neither costs anything where nobody does. */
struct page_store_config {
        bool packs; /* codecs */
        bool seals; /* encryption */
        bool ram;   /* a tier in memory; wants `packs` */
};

/*
 * A store of pages on `n` media (1 to SPREAD_MOST), in units of what the coarsest of them has. On success it owns
 * them; on failure they stay the caller's. Returns 0, or a negative errno with a text in e.
 */
int page_store_new(const struct page_store_config *config, const struct page_store_medium *media, unsigned n,
                   struct store **out, struct error *e);

#endif
