/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_RAM_SLAB_H
#define STORE_RAM_SLAB_H

#include <stddef.h>

#define SLAB_BYTES 16384u

struct slab_region;

/* Pieces of memory of SLAB_BYTES each, aligned to that. All zeros: empty. No locks. */
struct slabs {
        struct slab_region *regions; /* all memory there is; a DL list */
        void **warm, **cold;         /* free ones: with memory of the system behind them, and without */
        size_t n_warm, n_cold;
        size_t used, all;
};

/* A slab, with anything in it. NULL: no memory. */
void *slabs_get(struct slabs *s);

/* Takes it back. Its memory goes back to the system when many are free; until then, and after, it can be read. */
void slabs_put(struct slabs *s, void *slab);

/* Bytes of the system's memory that slabs in use and free ones have at most. */
size_t slabs_resident(const struct slabs *s);

/* Gives all memory back, of those in use too. */
void slabs_clear(struct slabs *s);

#endif
