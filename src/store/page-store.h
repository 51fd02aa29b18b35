/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_PAGE_STORE_H
#define STORE_PAGE_STORE_H

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

/*
 * A store of pages on `n` media (1 to SPREAD_MOST) of the same unit. On success it owns them; on failure they stay the
 * caller's. Returns 0, or a negative errno with a text in e.
 */
int page_store_new(const struct page_store_medium *media, unsigned n, struct store **out, struct error *e);

#endif
