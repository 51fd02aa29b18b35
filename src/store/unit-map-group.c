// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The groups of a unit map: what is known of each, so that none has to be looked through for nothing.
 *
 * A closed group is in no list and no index: nothing of it is given out, and what comes back to it is a bit in the
 * bitmap and one more in `free`. Its runs are counted when it is opened again.
 */
#include "store/unit-map-internal.h"

#include <assert.h>

/* --- classes of lengths, lists of groups ------------------------------------------------------- */

unsigned unit_map_class(uint32_t length)
{
        unsigned power;

        if (length > UNIT_MAP_RUN_MOST)
                length = UNIT_MAP_RUN_MOST;
        if (length < 8)
                return length;
        power = 31 - (unsigned)__builtin_clz(length);
        return 8 + (power - 3) * 4 + (length >> (power - 2) & 3);
}

uint32_t unit_map_class_low(unsigned class)
{
        return class < 8 ? class : (4 + (class & 3)) << (class / 4 - 1);
}

static void list_add(struct unit_map *map, uint32_t group, unsigned class)
{
        struct group *g = &map->groups[group];

        if (!class)
                return;
        g->prev = NONE;
        g->next = map->lists[class];
        if (g->next != NONE)
                map->groups[g->next].prev = group;
        map->lists[class] = group;
        map->not_empty |= UINT64_C(1) << class;
}

static void list_remove(struct unit_map *map, uint32_t group, unsigned class)
{
        struct group *g = &map->groups[group];

        if (!class)
                return;
        if (g->next != NONE)
                map->groups[g->next].prev = g->prev;
        if (g->prev != NONE)
                map->groups[g->prev].next = g->next;
        else
                map->lists[class] = g->next;
        if (map->lists[class] == NONE)
                map->not_empty &= ~(UINT64_C(1) << class);
}

void unit_map_set_longest(struct unit_map *map, uint32_t group, uint32_t longest)
{
        unsigned before = unit_map_class(map->groups[group].longest), after = unit_map_class(longest);

        map->groups[group].longest = (uint16_t)longest;
        if (before == after)
                return;
        list_remove(map, group, before);
        list_add(map, group, after);
}

/* --- runs --------------------------------------------------------------------------------------- */

void unit_map_count(struct unit_map *map, uint32_t group, uint32_t length, bool is)
{
        if (!length)
                return;
        if (length <= SMALL) {
                uint16_t *n = &map->groups[group].small[length];
                uint64_t bit = UINT64_C(1) << group % WORD, *word = &map->has[length][group / WORD];

                *n = (uint16_t)(is ? *n + 1 : *n - 1);
                *word = *n ? *word | bit : *word & ~bit;
        }
        map->stats.runs += is ? 1 : UINT64_MAX;
        if (length >= map->least_long)
                map->stats.long_units += is ? length : -(uint64_t)length;
}

struct walk unit_map_walk(const struct unit_map *map, uint32_t group)
{
        uint64_t word = (uint64_t)group * GROUP_WORDS;

        return (struct walk){ map->free, word, word + GROUP_WORDS, map->free[word] };
}

struct run unit_map_next(struct walk *w)
{
        struct run run = { 0, 0 };
        unsigned at, n;

        while (!w->bits) {
                if (++w->word >= w->end)
                        return run;
                w->bits = w->free[w->word];
        }
        at = (unsigned)__builtin_ctzll(w->bits);
        run.first = w->word * WORD + at;
        w->bits |= (UINT64_C(1) << at) - 1; /* so that what is not set first is the end of the run */
        while (w->bits == FULL) {
                run.length += WORD;
                w->bits = ++w->word < w->end ? w->free[w->word] : 0;
        }
        n = (unsigned)__builtin_ctzll(~w->bits);
        run.length += n - at;
        w->bits &= FULL << n;
        return run;
}

/* --- closed groups ----------------------------------------------------------------------------- */

/* Counts all runs of a group, or none of them any more. Returns the longest. */
static uint32_t count_all(struct unit_map *map, uint32_t group, bool are)
{
        struct walk w = unit_map_walk(map, group);
        uint32_t longest = 0;

        for (struct run run = unit_map_next(&w); run.length; run = unit_map_next(&w)) {
                unit_map_count(map, group, run.length, are);
                if (run.length > longest)
                        longest = run.length;
        }
        return longest;
}

void unit_map_close(struct unit_map *map, uint32_t group)
{
        struct group *g = &map->groups[group];

        assert(group < map->n_groups && !g->closed);
        count_all(map, group, false);
        unit_map_set_longest(map, group, 0);
        map->stats.available -= g->free;
        map->stats.closed += g->free;
        g->closed = true;
        unit_map_no_idle(map, group);
}

void unit_map_open(struct unit_map *map, uint32_t group)
{
        struct group *g = &map->groups[group];

        assert(group < map->n_groups && g->closed);
        g->closed = false;
        map->stats.available += g->free;
        map->stats.closed -= g->free;
        unit_map_set_longest(map, group, count_all(map, group, true));
        unit_map_regained(map, group);
}

bool unit_map_is_closed(const struct unit_map *map, uint64_t unit)
{
        return map->groups[unit / GROUP].closed;
}

struct unit_map_group unit_map_look(const struct unit_map *map, uint32_t group)
{
        const struct group *g = &map->groups[group];

        return (struct unit_map_group){ .free = g->free, .longest = g->longest, .closed = g->closed };
}

uint32_t unit_map_least_long(const struct unit_map *map)
{
        return map->least_long;
}

uint32_t unit_map_groups(const struct unit_map *map)
{
        return map->n_groups;
}
