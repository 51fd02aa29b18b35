/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_SPREAD_H
#define STORE_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define SPREAD_MOST   STORE_PARTS_MOST /* media */
#define SPREAD_WEIGHT 1000u            /* the largest weight */

#define SPREAD_LONG_BYTES 65536u /* of a run of free units that is counted as a long one */

struct medium;
struct unit_map;

/* Units of a write that failed. */
struct spread_held {
        uint64_t at, until; /* ns, CLOCK_MONOTONIC: they are free again then */
        uint32_t units;
};

#define SPREAD_HELD 256u

/* One of the media: which of its units are free, and how it stands in turn. */
struct spread_part {
        struct medium *medium;
        struct unit_map *map;
        unsigned weight;         /* from 1 to SPREAD_WEIGHT */
        int64_t credit;          /* units, times the sum of all weights */
        uint64_t doubtful_until; /* ns, CLOCK_MONOTONIC: a write to it has failed of late; 0: none */
        uint64_t discarding;     /* units that are free, and cannot be had until their discard has ended */
        uint64_t retired;        /* units that were given back, and are in doubt: they stay taken */

        /* A ring, oldest first: so that who tries again gets others. */
        struct spread_held held[SPREAD_HELD];
        unsigned held_first, n_held;
        uint64_t held_units;
};

/* The units of several media. Not locked: the caller serialises. */
struct spread {
        struct spread_part part[SPREAD_MOST];
        unsigned n;
        unsigned weights; /* the sum of all */
};

/* Adds a medium, which stays the caller's. Returns 0, -ENOSPC (there are SPREAD_MOST) or -ENOMEM. */
int spread_add(struct spread *s, struct medium *medium, unsigned weight);

/* How the free units lie, in bytes, those of all media together. */
struct spread_stats {
        uint64_t capacity_bytes; /* in use and free */
        uint64_t used_bytes, retired_bytes;
        uint64_t long_bytes;    /* free, in runs of SPREAD_LONG_BYTES and more */
        uint64_t runs;          /* of free units: see struct unit_map_stats */
        uint64_t longest_bytes; /* of them; as exact as unit_map_stats has it */
        uint64_t written_bytes; /* to the media, since the start */
        uint64_t discarded_bytes, discarding_bytes, discard_errors;
};

/* Frees what spread_add() made. */
void spread_clear(struct spread *s);

/* What who asks for units knows of the media beyond that: bits, by number. */
struct spread_view {
        unsigned slow; /* they are as good as doubtful */
        unsigned held; /* he has as much under way there as he may: when it is their turn, he waits */
};

/*
 * Takes up to `units` adjacent free units of one medium, `least` of them at least. Media get their shares by weight;
 * one that is full, or away, or doubtful at the time `now` (ns), or slow, is used when no other has room. Returns how
 * many; 0: there is no room, and *part is SPREAD_MOST, or it is the turn of *part, which is held. view: NULL, none is.
 */
uint32_t spread_take(struct spread *s, uint32_t units, uint32_t least, uint64_t now, const struct spread_view *view,
                     unsigned *part, uint64_t *at);

/* The same, for who knows no more. */
static inline uint32_t spread_alloc(struct spread *s, uint32_t units, uint32_t least, uint64_t now, unsigned *part,
                                    uint64_t *at)
{
        return spread_take(s, units, least, now, NULL, part, at);
}

/* Gives units back. Those that are in doubt on their medium stay taken, for good. */
void spread_free(struct spread *s, unsigned part, uint64_t at, uint32_t units);

/*
 * A write to these units has failed at the time `now`: gives them back. For some time other media are preferred to this
 * one, and other units to these.
 */
void spread_failed(struct spread *s, unsigned part, uint64_t at, uint32_t units, uint64_t now);

/* Units that unit_map_take_idle() has taken of a medium are being discarded; they are not any more, and are free. */
void spread_discard(struct spread *s, unsigned part, uint32_t units);
void spread_discarded(struct spread *s, unsigned part, uint64_t at, uint32_t units);

/*
 * All units, and those that are free: those that are not preferred just now are, and so are those that are being
 * discarded.
 */
uint64_t spread_units(const struct spread *s);
uint64_t spread_available(const struct spread *s);
uint64_t spread_part_available(const struct spread_part *p);

/* Reads some counters of each medium, for all of them together and for one alone. */
void spread_stats(const struct spread *s, struct spread_stats *out);
void spread_part_stats(const struct spread_part *p, struct store_part_stats *out);

#endif
