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
#include "store/unit-map.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WORD        64u
#define FULL        (~UINT64_C(0))
#define GROUP       UNIT_MAP_GROUP
#define GROUP_WORDS (GROUP / WORD)
#define NONE        UINT32_MAX
#define CLASSES     41u /* 0: nothing free; the last one: UNIT_MAP_RUN_MOST and more */
#define LOOK        8   /* groups of a list, where not all of it will do */
#define SMALL       8u  /* units in a run that is indexed by its exact length */
#define LOOK_SMALL  64  /* words of 64 groups each */

struct group {
        uint32_t longest;          /* run of free units */
        uint32_t prev, next;       /* in its list */
        uint16_t small[SMALL + 1]; /* runs of exactly so many units */
};

struct unit_map {
        uint64_t *free; /* bit set: free; those beyond the last unit are clear */
        struct group *groups;
        uint64_t not_empty; /* a bit for each of lists */
        uint32_t lists[CLASSES];
        uint64_t *has[SMALL + 1];   /* a bit for each group that has runs of exactly so many units */
        uint64_t cursor[SMALL + 1]; /* the word of the last one found */
        uint64_t has_words;
        uint32_t least_long; /* units of a run that is counted as a long one */
        struct unit_map_stats stats;
        size_t bytes;
};

_Static_assert(GROUP >= UNIT_MAP_RUN_MOST, "an allocation fits a group");

/* --- classes of lengths, lists of groups ------------------------------------------------------- */

static unsigned class_of(uint32_t length)
{
        unsigned power;

        if (length > UNIT_MAP_RUN_MOST)
                length = UNIT_MAP_RUN_MOST;
        if (length < 8)
                return length;
        power = 31 - (unsigned)__builtin_clz(length);
        return 8 + (power - 3) * 4 + (length >> (power - 2) & 3);
}

/* The least length of a class. */
static uint32_t class_low(unsigned class)
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

static void set_longest(struct unit_map *map, uint32_t group, uint32_t longest)
{
        unsigned before = class_of(map->groups[group].longest), after = class_of(longest);

        map->groups[group].longest = longest;
        if (before == after)
                return;
        list_remove(map, group, before);
        list_add(map, group, after);
}

/* --- the bitmap -------------------------------------------------------------------------------- */

/* A run of a group came to be, or is no more. */
static void count_run(struct unit_map *map, uint32_t group, uint32_t length, bool is)
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

/* The next run; its length is 0 at the end. */
static struct run walk_next(struct walk *w)
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

/* The shortest run of a group with at least `want` units, of which it has one; *others: the longest of its others. */
static struct run best_fit(const struct unit_map *map, uint32_t group, uint32_t want, uint32_t *others)
{
        uint64_t word = (uint64_t)group * GROUP_WORDS;
        struct walk w = { map->free, word, word + GROUP_WORDS, map->free[word] };
        uint32_t longest = map->groups[group].longest;
        struct run run, best = { 0, UINT32_MAX };

        *others = 0;
        for (run = walk_next(&w); run.length; run = walk_next(&w)) {
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
        unsigned class = class_of(want);
        uint64_t longer = map->not_empty >> (class_low(class) < want ? class + 1 : class);
        uint32_t group, best;

        if (longer)
                return map->lists[(class_low(class) < want ? class + 1 : class) + (unsigned)__builtin_ctzll(longer)];

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
        count_run(map, group, run.length, false);
        count_run(map, group, run.length - want, true);
        map->stats.available -= want;
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
        set_longest(map, group, others > run.length - want ? others : run.length - want);
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
        count_run(map, group, before, false);
        count_run(map, group, after, false);
        count_run(map, group, before + count + after, true);
        map->stats.available += count;
        if (before + count + after > map->groups[group].longest)
                set_longest(map, group, before + count + after);
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
        out->longest = map->not_empty ? class_low(63 - (unsigned)__builtin_clzll(map->not_empty)) : 0;
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

        map->has_words = groups / WORD + (groups % WORD != 0);
        for (unsigned i = 1; i <= SMALL; i++) {
                map->has[i] = calloc(map->has_words, sizeof(*map->has[i]));
                if (!map->has[i]) {
                        unit_map_free(map);
                        return -ENOMEM;
                }
        }
        map->bytes = sizeof(*map) + groups * (GROUP_WORDS * sizeof(*map->free) + sizeof(*map->groups)) +
                     SMALL * map->has_words * sizeof(*map->has[1]);
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
        free(map);
}
