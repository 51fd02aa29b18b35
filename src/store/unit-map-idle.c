// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which groups of a unit map are worth discarding: those that are all free, after something was there.
 *
 *     given out: stale --all free--> idle --a look--> settled --the next look--> taken, and not stale any more
 *                  ^                   |                 |
 *                  +--- given out -----+-----------------+
 *
 * Looks go round by a hand. Who looks has some time between two rounds, so that what is only just free, and about to be
 * written again, is not taken.
 */
#include "store/unit-map-internal.h"

#include <assert.h>
#include <string.h>

#define LOOK 16384u /* steps: words of bits without any, or groups */

static bool is_set(const uint64_t *bits, uint32_t group)
{
        return bits[group / WORD] >> group % WORD & 1;
}

static void set(uint64_t *bits, uint32_t group)
{
        bits[group / WORD] |= UINT64_C(1) << group % WORD;
}

static void clear(uint64_t *bits, uint32_t group)
{
        bits[group / WORD] &= ~(UINT64_C(1) << group % WORD);
}

/* The last group may have fewer than the others. */
static uint32_t units_of(const struct unit_map *map, uint32_t group)
{
        uint64_t left = map->stats.units - (uint64_t)group * GROUP;

        return left < GROUP ? (uint32_t)left : GROUP;
}

static bool is_whole(const struct unit_map *map, uint32_t group)
{
        return !map->groups[group].closed && map->groups[group].free == units_of(map, group);
}

void unit_map_no_idle(struct unit_map *map, uint32_t group)
{
        clear(map->idle, group);
        clear(map->settled, group);
}

void unit_map_used(struct unit_map *map, uint32_t group)
{
        struct group *g = &map->groups[group];

        map->n_stale += !g->stale;
        g->stale = true;
        unit_map_no_idle(map, group);
}

void unit_map_regained(struct unit_map *map, uint32_t group)
{
        if (map->groups[group].stale && is_whole(map, group))
                set(map->idle, group);
}

void unit_map_stale_all(struct unit_map *map)
{
        for (uint32_t group = 0; group < map->n_groups; group++) {
                map->groups[group].stale = true;
                unit_map_regained(map, group);
        }
        map->n_stale = map->n_groups;
}

uint32_t unit_map_stale(const struct unit_map *map)
{
        return map->n_stale;
}

static uint32_t end_of(const struct unit_map *map, uint32_t first, uint32_t stride)
{
        return map->n_groups - first < stride ? map->n_groups : first + stride;
}

/* Whether these groups can be taken. */
static bool are_settled(const struct unit_map *map, uint32_t first, uint32_t stride)
{
        bool any = false;

        for (uint32_t group = first; group < end_of(map, first, stride); group++) {
                if (!is_whole(map, group) || is_set(map->idle, group) != is_set(map->settled, group))
                        return false;
                any |= is_set(map->settled, group);
        }
        return any;
}

/* They were seen. */
static void settle(struct unit_map *map, uint32_t first, uint32_t stride)
{
        for (uint32_t group = first; group < end_of(map, first, stride); group++)
                if (is_set(map->idle, group))
                        set(map->settled, group);
}

static void take(struct unit_map *map, uint32_t group)
{
        struct group *g = &map->groups[group];

        unit_map_no_idle(map, group);
        map->n_stale -= g->stale;
        g->stale = false;
        unit_map_count(map, group, g->free, false);
        unit_map_set_longest(map, group, 0);
        map->stats.available -= g->free;
        g->free = 0;
        memset(&map->free[(uint64_t)group * GROUP_WORDS], 0, GROUP_WORDS * sizeof(*map->free));
}

/* The next group at or behind *hand that is idle; the number of groups: none. Takes steps of *left. */
static uint32_t next_idle(const struct unit_map *map, uint32_t hand, unsigned *left)
{
        while (hand < map->n_groups && *left) {
                uint64_t bits = map->idle[hand / WORD] >> hand % WORD;

                --*left;
                if (bits)
                        return hand + (unsigned)__builtin_ctzll(bits);
                hand = (hand / WORD + 1) * WORD;
        }
        return hand < map->n_groups ? hand : map->n_groups;
}

uint64_t unit_map_take_idle(struct unit_map *map, uint32_t stride, uint32_t most, uint32_t *hand, uint64_t *first)
{
        uint64_t units = 0;
        unsigned left = LOOK;
        uint32_t group = *hand;

        assert(stride && most >= stride);
        for (;;) {
                uint32_t n = 0;

                group = next_idle(map, group, &left);
                if (group >= map->n_groups || !left)
                        break;
                group -= group % stride;
                while (n + stride <= most && group + n < map->n_groups && are_settled(map, group + n, stride))
                        n += stride;
                if (n) {
                        uint32_t end = end_of(map, group, n);

                        *first = (uint64_t)group * GROUP;
                        for (; group < end; group++) {
                                units += map->groups[group].free;
                                take(map, group);
                        }
                        break;
                }
                settle(map, group, stride);
                group = end_of(map, group, stride);
        }
        *hand = group < map->n_groups ? group : 0;
        return units;
}
