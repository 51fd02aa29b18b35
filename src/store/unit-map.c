// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which units of a medium are free: a bitmap, cut into groups of GROUP units, and lists of the groups by the longest
 * free run in each. A run ends at the border of its group.
 *
 *     free     1110 0110 | 0000 0010 | 1111 1111       1: free          (8 units a group in this picture)
 *     longest  3         | 1         | 8
 *     lists    1: {1}   3: {0}   8: {2}                and a bit for each list that is not empty
 *
 * A list is of a class of lengths: exact up to 7, then four to each power of two. An allocation goes to the first list
 * whose groups are all certain to have a run that is long enough, which is a look at one word of bits, and in the
 * group at its head takes the shortest run that will do (best fit, once by group and once by run). So
 * small ones go where nothing else is to be had, long runs last until they are wanted, and where one group is begun it
 * is filled before the next: successive batches lie one behind another. Where no run is long enough, it takes the
 * longest, and so the batch that asks comes in few pieces.
 *
 * The longest run of a group is always exact: what is released knows what it grew together with, and who allocates
 * has seen the other runs of the group. Both look at one group of the bitmap at most, 512 bytes of any map.
 *
 * A page's worth of units and less has an index of its own: for each length up to SMALL a bit for each group that
 * has a run of just that length. A single page takes one that it fills, so that no slivers are left which nothing fits.
 */
#include "store/unit-map-internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define LOOK       8  /* groups of a list, where not all of it will do */
#define LOOK_SMALL 64 /* words of 64 groups each */

_Static_assert(GROUP >= UNIT_MAP_RUN_MOST, "an allocation fits a group");
_Static_assert(sizeof(struct group) == 32, "a bit a unit, and little more");

/* --- the bitmap -------------------------------------------------------------------------------- */

/* Sets or clears the free bits of a run, all of which have to be the other way. */
static void mark(struct unit_map *map, uint64_t first, uint32_t count, bool is_free)
{
        while (count) {
                uint64_t *word = &map->free[first / WORD];
                unsigned bit = first % WORD;
                unsigned n = count < WORD - bit ? count : WORD - bit;
                uint64_t mask = (n == WORD ? FULL : (UINT64_C(1) << n) - 1) << bit;

                assert((*word & mask) == (is_free ? 0 : mask));
                *word ^= mask;
                first += n;
                count -= n;
        }
}

/* How many units are free from `unit` on without a gap; none at or after `end`, which is the end of a word. */
static uint32_t free_after(const struct unit_map *map, uint64_t unit, uint64_t end)
{
        uint32_t length = 0;

        while (unit < end) {
                uint64_t taken = ~(map->free[unit / WORD] >> unit % WORD);
                unsigned left = WORD - unit % WORD, n = taken ? (unsigned)__builtin_ctzll(taken) : WORD;

                length += n < left ? n : left;
                if (n < left)
                        break;
                unit += left;
        }
        return length;
}

/* The same before `unit`; none before `begin`, which is the beginning of a word. */
static uint32_t free_before(const struct unit_map *map, uint64_t unit, uint64_t begin)
{
        uint32_t length = 0;

        while (unit > begin) {
                unsigned left = (unsigned)((unit - 1) % WORD + 1);
                uint64_t taken = ~(map->free[(unit - 1) / WORD] << (WORD - left));
                unsigned n = taken ? (unsigned)__builtin_clzll(taken) : WORD;

                length += n < left ? n : left;
                if (n < left)
                        break;
                unit -= left;
        }
        return length;
}

/* --- allocation -------------------------------------------------------------------------------- */

/* The shortest run of a group with at least `want` units, of which it has one; *others: the longest of its others. */
static struct run best_fit(const struct unit_map *map, uint32_t group, uint32_t want, uint32_t *others)
{
        struct walk w = unit_map_walk(map, group);
        uint32_t longest = map->groups[group].longest;
        struct run run, best = { 0, UINT32_MAX };

        *others = 0;
        for (run = unit_map_next(&w); run.length; run = unit_map_next(&w)) {
                uint32_t other = run.length;

                if (run.length >= want && run.length < best.length) {
                        other = best.length == UINT32_MAX ? 0 : best.length;
                        best = run;
                }
                if (other > *others)
                        *others = other;
                if (best.length == want && (*others == longest || want < longest)) {
                        *others = longest;
                        break;
                }
        }
        return best;
}

/* A group with a run of `want` units, or with one of the longest. There is something free. */
static uint32_t choose_group(const struct unit_map *map, uint32_t want)
{
        unsigned class = unit_map_class(want);
        uint64_t longer = map->not_empty >> (unit_map_class_low(class) < want ? class + 1 : class);
        uint32_t group, best;

        if (longer)
                return map->lists[(unit_map_class_low(class) < want ? class + 1 : class) +
                                  (unsigned)__builtin_ctzll(longer)];

        best = group = map->lists[63 - (unsigned)__builtin_clzll(map->not_empty)];
        for (int i = 0; i < LOOK && group != NONE && map->groups[best].longest < want; i++) {
                if (map->groups[group].longest > map->groups[best].longest)
                        best = group;
                group = map->groups[group].next;
        }
        return best;
}

/* A group with a run of exactly `want` (up to SMALL) units, or NONE. */
static uint32_t choose_exact(struct unit_map *map, uint32_t want)
{
        uint64_t word = map->cursor[want];

        for (int i = 0; i < LOOK_SMALL; i++) {
                uint64_t bits = map->has[want][word];

                if (bits) {
                        map->cursor[want] = word;
                        return (uint32_t)(word * WORD + (unsigned)__builtin_ctzll(bits));
                }
                word = word + 1 < map->has_words ? word + 1 : 0;
        }
        return NONE;
}

/* The first run of exactly `want` units in a group that has one. */
static uint64_t exact_fit(const struct unit_map *map, uint32_t group, uint32_t want)
{
        const uint64_t *free = &map->free[(uint64_t)group * GROUP_WORDS];
        uint64_t before = 0;

        for (unsigned w = 0; w < GROUP_WORDS; w++) {
                uint64_t after = w + 1 < GROUP_WORDS ? free[w + 1] : 0, found;
                uint64_t ends = free[w] >> want | after << (WORD - want); /* a bit whose run does not end behind it */

                found = free[w] & ~(free[w] << 1 | before) & ~ends;
                for (unsigned n = 1; found && n < want; n++)
                        found &= free[w] >> n | after << (WORD - n);
                if (found)
                        return (uint64_t)group * GROUP + w * WORD + (unsigned)__builtin_ctzll(found);
                before = free[w] >> (WORD - 1);
        }
        abort(); /* small[] and the bitmap differ */
}

/* Takes the first `want` units of a run. */
static void take(struct unit_map *map, uint32_t group, struct run run, uint32_t want)
{
        mark(map, run.first, want, false);
        unit_map_count(map, group, run.length, false);
        unit_map_count(map, group, run.length - want, true);
        map->groups[group].free = (uint16_t)(map->groups[group].free - want);
        map->stats.available -= want;
        unit_map_used(map, group);
}

uint32_t unit_map_alloc(struct unit_map *map, uint32_t want, uint64_t *first)
{
        uint32_t group, others;
        struct run run;

        if (want > UNIT_MAP_RUN_MOST)
                want = UNIT_MAP_RUN_MOST;
        if (!want || !map->stats.available)
                return 0;

        group = want <= SMALL ? choose_exact(map, want) : NONE;
        if (group != NONE && want < map->groups[group].longest) {
                *first = exact_fit(map, group, want);
                take(map, group, (struct run){ *first, want }, want);
                return want;
        }
        group = choose_group(map, want);
        if (want > map->groups[group].longest)
                want = map->groups[group].longest;
        run = best_fit(map, group, want, &others);
        take(map, group, run, want);
        unit_map_set_longest(map, group, others > run.length - want ? others : run.length - want);
        *first = run.first;
        return want;
}

/* --- release ----------------------------------------------------------------------------------- */

/* The part of a run that lies in one group. */
static void release_in_group(struct unit_map *map, uint32_t group, uint64_t first, uint32_t count)
{
        uint64_t begin = (uint64_t)group * GROUP;
        uint32_t before = free_before(map, first, begin), after = free_after(map, first + count, begin + GROUP);

        mark(map, first, count, true);
        map->groups[group].free = (uint16_t)(map->groups[group].free + count);
        if (map->groups[group].closed) {
                map->stats.closed += count;
                return;
        }
        unit_map_count(map, group, before, false);
        unit_map_count(map, group, after, false);
        unit_map_count(map, group, before + count + after, true);
        map->stats.available += count;
        if (before + count + after > map->groups[group].longest)
                unit_map_set_longest(map, group, before + count + after);
        unit_map_regained(map, group);
}

void unit_map_release(struct unit_map *map, uint64_t first, uint64_t count)
{
        assert(first <= map->stats.units && count <= map->stats.units - first);
        while (count) {
                uint64_t left = GROUP - first % GROUP;
                uint32_t n = (uint32_t)(count < left ? count : left);

                release_in_group(map, (uint32_t)(first / GROUP), first, n);
                first += n;
                count -= n;
        }
}

/* --- the rest ---------------------------------------------------------------------------------- */

void unit_map_stats(const struct unit_map *map, struct unit_map_stats *out)
{
        *out = map->stats;
        out->longest = map->not_empty ? unit_map_class_low(63 - (unsigned)__builtin_clzll(map->not_empty)) : 0;
}

uint64_t unit_map_available(const struct unit_map *map)
{
        return map->stats.available;
}

size_t unit_map_bytes(const struct unit_map *map)
{
        return map->bytes;
}

int unit_map_new_long(uint64_t units, uint32_t least_long, struct unit_map **out)
{
        uint64_t groups = units / GROUP + (units % GROUP != 0);
        struct unit_map *map;

        if (!units)
                return -EINVAL;
        if (units > UNIT_MAP_MOST)
                return -EFBIG;
        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        map->free = calloc(groups * GROUP_WORDS, sizeof(*map->free));
        map->groups = calloc(groups, sizeof(*map->groups));
        if (!map->free || !map->groups) {
                unit_map_free(map);
                return -ENOMEM;
        }

        map->n_groups = (uint32_t)groups;
        map->has_words = groups / WORD + (groups % WORD != 0);
        for (unsigned i = 1; i <= SMALL; i++) {
                map->has[i] = calloc(map->has_words, sizeof(*map->has[i]));
                if (!map->has[i]) {
                        unit_map_free(map);
                        return -ENOMEM;
                }
        }
        map->idle = calloc(map->has_words, sizeof(*map->idle));
        map->settled = calloc(map->has_words, sizeof(*map->settled));
        if (!map->idle || !map->settled) {
                unit_map_free(map);
                return -ENOMEM;
        }
        map->bytes = sizeof(*map) + groups * (GROUP_WORDS * sizeof(*map->free) + sizeof(*map->groups)) +
                     (SMALL + 2) * map->has_words * sizeof(*map->has[1]);
        map->stats.units = units;
        map->least_long = least_long;
        for (unsigned i = 0; i < CLASSES; i++)
                map->lists[i] = NONE;
        for (uint64_t group = groups; group-- > 0;) { /* so that the first is at the head of its list */
                uint64_t left = units - group * GROUP;

                release_in_group(map, (uint32_t)group, group * GROUP, left < GROUP ? (uint32_t)left : GROUP);
        }
        *out = map;
        return 0;
}

void unit_map_free(struct unit_map *map)
{
        if (!map)
                return;
        free(map->free);
        free(map->groups);
        for (unsigned i = 1; i <= SMALL; i++)
                free(map->has[i]);
        free(map->idle);
        free(map->settled);
        free(map);
}
