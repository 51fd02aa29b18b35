/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_RAM_PACK_H
#define STORE_RAM_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/ram-slab.h"
#include "store/store.h"

#define PACK_STEP    32u /* from one class to the next, in bytes */
#define PACK_HEADER  8u  /* of each record, for the tag */
#define PACK_CLASSES ((STORE_PAGE + PACK_HEADER + PACK_STEP - 1) / PACK_STEP)

/* The records of one class, one behind another over its slabs. */
struct pack_class {
        char **slabs;
        uint32_t n_slabs, room; /* slabs; entries that there is room for */
        uint32_t count;         /* records */
};

/* Records of 1 to STORE_PAGE bytes. All zeros: empty. No locks. */
struct pack {
        struct slabs slabs;
        struct pack_class classes[PACK_CLASSES];
};

/* What a record of so many bytes takes. */
uint32_t pack_cost(uint32_t bytes);

/*
 * Adds a record. *index is its place among those of its class: it changes when pack_remove() says so, to the `tag`
 * that was given here. 0 or -ENOMEM.
 */
int pack_put(struct pack *p, uint32_t bytes, const void *data, void *tag, uint32_t *index);

/* Copies a record out; it has to be there. */
void pack_get(const struct pack *p, uint32_t bytes, uint32_t index, void *out);

/*
 * Removes a record. The last one of its class takes its place; its tag is returned, and its index is now this one.
 * NULL: that was the last one itself.
 */
void *pack_remove(struct pack *p, uint32_t bytes, uint32_t index);

/* The system's memory that it has, at most. */
size_t pack_resident(const struct pack *p);

/* Gives all memory back. */
void pack_clear(struct pack *p);

#endif
