/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What unit-map.c and unit-map-group.c share; nobody else includes it. */
#ifndef STORE_UNIT_MAP_INTERNAL_H
#define STORE_UNIT_MAP_INTERNAL_H

#include <stdbool.h>

#include "store/unit-map.h"

#define WORD        64u
#define FULL        (~UINT64_C(0))
#define GROUP       UNIT_MAP_GROUP
#define GROUP_WORDS (GROUP / WORD)
#define NONE        UINT32_MAX
#define CLASSES     41u /* of lengths; 0: nothing free; the last one: UNIT_MAP_RUN_MOST and more */
#define SMALL       8u  /* units in a run that is indexed by its exact length */

struct group {
        uint32_t prev, next;       /* in its list */
        uint16_t longest;          /* run of free units; means nothing while it is closed */
        uint16_t free;             /* units */
        uint16_t small[SMALL + 1]; /* runs of exactly so many units */
        bool closed;
        bool stale; /* of it was given out, and it was not taken as a whole since */
};

struct unit_map {
        uint64_t *free; /* bit set: free; those beyond the last unit are clear */
        struct group *groups;
        uint32_t n_groups;
        uint64_t not_empty; /* a bit for each of lists */
        uint32_t lists[CLASSES];
        uint64_t *has[SMALL + 1];   /* a bit for each group that has runs of exactly so many units */
        uint64_t cursor[SMALL + 1]; /* the word of the last one found */
        uint64_t has_words;
        uint64_t *idle;     /* a bit for each group that is stale, all free and not closed */
        uint64_t *settled;  /* of these: it was seen to be */
        uint32_t n_stale;
        uint32_t least_long; /* units of a run that is counted as a long one */
        struct unit_map_stats stats;
        size_t bytes;
};

struct run {
        uint64_t first;
        uint32_t length;
};

/* Gets the runs of a group one by one. */
struct walk {
        const uint64_t *free;
        uint64_t word, end; /* numbers of words */
        uint64_t bits;      /* of `word`, those that lie ahead */
};

/* The class of a length, and the least length of a class. */
unsigned unit_map_class(uint32_t length);
uint32_t unit_map_class_low(unsigned class);

/* The longest run of a group is another: it goes to the list for it. */
void unit_map_set_longest(struct unit_map *map, uint32_t group, uint32_t longest);

/* A run of a group came to be, or is no more. */
void unit_map_count(struct unit_map *map, uint32_t group, uint32_t length, bool is);

/* Of a group something was given out; it has got something back, or was opened; it was closed. */
void unit_map_used(struct unit_map *map, uint32_t group);
void unit_map_regained(struct unit_map *map, uint32_t group);
void unit_map_no_idle(struct unit_map *map, uint32_t group);

/* A walk through a group, and its next run; that one's length is 0 at the end. */
struct walk unit_map_walk(const struct unit_map *map, uint32_t group);
struct run unit_map_next(struct walk *w);

#endif
