/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_DRAIN_H
#define STORE_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "store/unit-map.h"

#define DRAIN_MOST   256u /* groups at once */
#define DRAIN_WRITES 2u   /* for so many units that are written one may be moved */

/* Groups of a unit map that are being emptied. All zero: none. */
struct drain {
        struct unit_map *map;
        uint32_t group[DRAIN_MOST];
        unsigned n;
        uint32_t next; /* group at which the next look begins */
};

/* Whether so little of what is free lies in long runs that moving pages is worth it. Reads a few counters. */
bool drain_is_wanted(const struct unit_map *map);

/*
 * Chooses groups and closes them: what is in them has to be moved elsewhere. `room`: how many units may be missing from
 * what can be had, at most, while they are closed. Looks at 16384 groups at most (32 GiB of sectors), not into them,
 * and goes on behind them the next time. Returns how many it has closed; 0: none of them is worth it.
 */
unsigned drain_begin(struct drain *d, struct unit_map *map, uint64_t room);

/* Opens them, emptied or not. */
void drain_end(struct drain *d);

#endif
