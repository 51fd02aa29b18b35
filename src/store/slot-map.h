/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_SLOT_MAP_H
#define STORE_SLOT_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "store/unit-map.h"

struct slot_map;

#define SLOT_MAP_RUN_MOST  UNIT_MAP_RUN_MOST  /* slots in one allocation */
#define SLOT_MAP_REFS_MOST 65534u             /* references of one slot */
#define SLOT_MAP_MOST      (UINT64_C(1) << 36) /* slots of one map */

/* A map of `slots` slots, all free. *out is untouched on failure. 0, -EINVAL (no slots), -EFBIG or -ENOMEM. */
int slot_map_new(uint64_t slots, struct slot_map **out);
void slot_map_free(struct slot_map *map);

/*
 * Takes a run of up to `want` adjacent free slots (never more than SLOT_MAP_RUN_MOST), each with one reference;
 * *first is the first. Returns its length: 0 only where no slot is free, and less than was asked for where
 * there is no longer run.
 */
uint32_t slot_map_alloc(struct slot_map *map, uint32_t want, uint64_t *first);

/* One more reference to a taken slot. 0, or -EOVERFLOW where it has SLOT_MAP_REFS_MOST (and keeps them). */
int slot_map_ref(struct slot_map *map, uint64_t slot);

/*
 * One reference less for each of `count` adjacent taken slots; those at their last become free. Returns how many
 * became free. A slot that is free already is an error of the program (assert).
 */
uint32_t slot_map_unref(struct slot_map *map, uint64_t first, uint32_t count);

uint64_t slot_map_slots(const struct slot_map *map);     /* all of them */
uint64_t slot_map_available(const struct slot_map *map); /* the free ones */
unsigned slot_map_refs(const struct slot_map *map, uint64_t slot);
size_t slot_map_bytes(const struct slot_map *map);       /* memory that the map takes */

#endif
