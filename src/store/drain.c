// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which groups of a unit map are worth emptying. After hours of pages of all sizes that come and go, what is free is
 * crumbs between pages that stay: then nothing is contiguous that is written or read. A file system that writes logs
 * cleans segments for this (Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File System",
 * 1992). Here the pages of a group go into holes of other groups that they fit, and the group is one run.
 *
 *     before   #.##.#.# | ###..### | ##.#.##.        . free
 *     after    ........ | ######## | ########
 *
 * It costs a read and a write of all that stays in the group, so those are taken that give most for it: much free, and
 * that in crumbs. What is to be had in the other groups has to hold what comes from these, and a quarter more, so that
 * it finds holes that fit.
 */
#include "store/drain.h"

/* A group with less than that in crumbs costs more than it gives. */
#define CRUMBS_LEAST (UNIT_MAP_GROUP / 16)

/* Of all groups one in so many is emptied at a time, for whoever is to be moved has to be looked for. */
#define SHARE 64u

/* Groups that are looked at with whatever lock the map has. */
#define LOOK 16384u

struct choice {
        uint32_t group;
        uint32_t free, crumbs;
};

/* Crumbs for what has to be moved. */
static bool is_better(const struct choice *a, const struct choice *b)
{
        return (uint64_t)a->crumbs * (UNIT_MAP_GROUP - b->free + 1) >
               (uint64_t)b->crumbs * (UNIT_MAP_GROUP - a->free + 1);
}

bool drain_is_wanted(const struct unit_map *map)
{
        struct unit_map_stats s;

        unit_map_stats(map, &s);
        return s.available >= UNIT_MAP_GROUP / 2 && s.long_units < s.available / 2;
}

/* The best `most` groups of those that come next, the best first. Returns how many. */
static unsigned choose(const struct unit_map *map, uint32_t *next, unsigned most, struct choice *best)
{
        uint32_t least_long = unit_map_least_long(map), groups = unit_map_groups(map);
        unsigned n = 0;

        for (uint32_t i = 0; i < groups && i < LOOK; i++) {
                uint32_t group = *next < groups ? *next : 0;
                struct unit_map_group g = unit_map_look(map, group);
                struct choice c = { group, g.free, g.free - (g.longest >= least_long ? g.longest : 0) };
                unsigned at;

                *next = group + 1;
                if (g.closed || c.crumbs < CRUMBS_LEAST || (n == most && !is_better(&c, &best[n - 1])))
                        continue;
                n += n < most;
                for (at = n - 1; at > 0 && is_better(&c, &best[at - 1]); at--)
                        best[at] = best[at - 1];
                best[at] = c;
        }
        return n;
}

unsigned drain_begin(struct drain *d, struct unit_map *map, uint64_t room)
{
        unsigned most = unit_map_groups(map) / SHARE + 1, n;
        struct choice best[DRAIN_MOST];
        uint64_t missing = 0;

        most = most < DRAIN_MOST ? most : DRAIN_MOST;
        n = choose(map, &d->next, most, best);
        d->map = map;
        d->n = 0;
        for (unsigned i = 0; i < n; i++) {
                missing += best[i].free + (UNIT_MAP_GROUP - best[i].free) / 4 * 5;
                if (missing > room)
                        break;
                unit_map_close(map, best[i].group);
                d->group[d->n++] = best[i].group;
        }
        return d->n;
}

void drain_end(struct drain *d)
{
        while (d->n)
                unit_map_open(d->map, d->group[--d->n]);
}
