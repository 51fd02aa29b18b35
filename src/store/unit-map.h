/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which units of a medium are free. A unit is what the owner makes it (a sector, a page); the map gives out runs of
 * them and takes runs back, in whatever pieces. It counts no references and has no locks: the caller does and has.
 */
#ifndef STORE_UNIT_MAP_H
#define STORE_UNIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_map;

#define UNIT_MAP_RUN_MOST 2048u /* units in one allocation: a batch of 256 pages in 8 units each */
#define UNIT_MAP_GROUP    4096u /* no run goes across a multiple of this */
#define UNIT_MAP_LONG     128u  /* units of a run that is counted as a long one where nothing else is said */
#define UNIT_MAP_MOST     (UINT64_C(1) << 39) /* units of one map: 2^36 pages in 8 units each */

struct unit_map_stats {
        uint64_t units;
        uint64_t available;  /* free units that can be had */
        uint64_t closed;     /* free units in closed groups; not in what follows either */
        uint64_t runs;       /* that they lie in, cut at the borders of groups */
        uint64_t long_units; /* those of them in long runs */
        uint32_t longest;    /* run, rounded down by a quarter at most; at most UNIT_MAP_RUN_MOST */
};

/*
 * A map of `units` units, all free, that counts runs of `least_long` units and more as long ones. *out is untouched on
 * failure. 0, -EINVAL (no units), -EFBIG or -ENOMEM.
 */
int unit_map_new_long(uint64_t units, uint32_t least_long, struct unit_map **out);

/* The same, for who does not ask. */
static inline int unit_map_new(uint64_t units, struct unit_map **out)
{
        return unit_map_new_long(units, UNIT_MAP_LONG, out);
}

void unit_map_free(struct unit_map *map); /* NULL: nothing */

/*
 * Takes a run of `want` adjacent free units (never more than UNIT_MAP_RUN_MOST); *first is the first. Returns its
 * length: 0 only where no unit is free or none was wanted, and less than was asked for where there is no such run: then
 * it is one of the longest there are, so that asking again for the rest comes to few pieces. The cost has a bound that
 * does not depend on the map's size.
 */
uint32_t unit_map_alloc(struct unit_map *map, uint32_t want, uint64_t *first);

/*
 * Gives `count` adjacent taken units back, which may be a part of what was allocated together, or all of several
 * allocations that lie side by side. A unit that is free already is an error of the program (assert).
 */
void unit_map_release(struct unit_map *map, uint64_t first, uint64_t count);

/*
 * A group (units from a multiple of UNIT_MAP_GROUP on) that is closed: nothing of it is given out, until it is opened
 * again, while what it has given out can be released as always. So what is in it can be moved elsewhere, and it is
 * one long run then. Each walks through the group once. It is an error of the program (assert) to close it twice.
 */
void unit_map_close(struct unit_map *map, uint32_t group);
void unit_map_open(struct unit_map *map, uint32_t group);
bool unit_map_is_closed(const struct unit_map *map, uint64_t unit); /* the group that has that unit */

/* What is known of a group. */
struct unit_map_group {
        uint32_t free;    /* units */
        uint32_t longest; /* run of them; means nothing of a closed one */
        bool closed;
};
struct unit_map_group unit_map_look(const struct unit_map *map, uint32_t group);
uint32_t unit_map_groups(const struct unit_map *map);     /* how many there are */
uint32_t unit_map_least_long(const struct unit_map *map); /* units of a run that is counted as a long one */

/*
 * A group is stale when anything of it was given out since it was last taken by unit_map_take_idle(), or since
 * unit_map_stale_all(): the medium may keep something there that nobody wants. Idle is one that is stale and all free.
 */
void unit_map_stale_all(struct unit_map *map);
uint32_t unit_map_stale(const struct unit_map *map); /* how many groups are */

/*
 * Takes adjacent groups that are all free: `most` at most, a multiple of `stride`, from a multiple of it on. In each
 * stride of them one at least is idle, and all that are were seen so the last time, too. Goes on at group *hand, for
 * some 16384 words of bits at most, in which it notes what it sees.
 *
 * Returns how many units it has taken, from *first on, which are to be given back by unit_map_release(). 0: none; then
 * all were looked at if *hand is 0.
 */
uint64_t unit_map_take_idle(struct unit_map *map, uint32_t stride, uint32_t most, uint32_t *hand, uint64_t *first);

/* How things are. Reads a few counters, and no more. */
void unit_map_stats(const struct unit_map *map, struct unit_map_stats *out);

uint64_t unit_map_available(const struct unit_map *map); /* free units that can be had */
size_t unit_map_bytes(const struct unit_map *map);       /* memory that the map takes: 1.0 to 1.1 bits a unit */

#endif
