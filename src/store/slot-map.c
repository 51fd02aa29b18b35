// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which slots of a store are free, and how many references the others have.
 *
 * What is written together should lie together, since it is read back together: so the map looks for runs. It is a
 * bitmap of free slots in words of 64, and two summaries with one bit a word: "has a free slot" and "is wholly
 * free". Each summary has a bitmap over its own words, so that the next bit set is found at once also in a map
 * that is all but full. With the reference counts that makes 2.13 bytes a slot.
 *
 *     free      0110 1111 0000 1111      1: free          (4 bits a word in this picture)
 *     any         1    1    0    1
 *     whole       0    1    0    1
 *
 * Allocation is next-fit: it starts where the last one ended, which lays out successive batches one behind another and
 * gives the holes behind it time to grow together. It takes the first run of the length wanted among
 * SEARCH_WORDS words that have free slots; failing that, it tries SEARCH_WHOLE places that begin with a wholly
 * free word, wherever they are; failing that too, it takes the longest run that it met on the way.
 *
 * No locks, no system calls: the caller serialises.
 */
#include "store/slot-map.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORD         64u
#define FULL         (~UINT64_C(0))
#define NONE         UINT64_MAX
#define SEARCH_WORDS 64
#define SEARCH_WHOLE 8

/* A bitmap, and over it one with a bit for each of its words that is not 0. */
struct summary {
        uint64_t *bits;
        uint64_t *top;
        uint64_t tops; /* words in top */
};

struct slot_map {
        uint64_t slots;
        uint64_t words;
        uint64_t available;
        uint64_t cursor; /* where the next search begins; < slots */
        uint64_t *free;  /* bit set: free; those beyond the last slot are clear */
        struct summary any;
        struct summary whole;
        uint16_t *refs; /* 0: free */
        size_t bytes;
};

struct run {
        uint64_t first;
        uint32_t length;
};

static uint64_t words_for(uint64_t bits)
{
        return (bits + WORD - 1) / WORD;
}

/* Memory for `bits` clear bits; what it takes is added to *bytes. */
static uint64_t *bits_new(uint64_t bits, size_t *bytes)
{
        *bytes += words_for(bits) * sizeof(uint64_t);
        return calloc(words_for(bits), sizeof(uint64_t));
}

static int summary_init(struct summary *s, uint64_t bits, size_t *bytes)
{
        s->tops = words_for(words_for(bits));
        s->bits = bits_new(bits, bytes);
        s->top = bits_new(words_for(bits), bytes);
        return s->bits && s->top ? 0 : -ENOMEM;
}

static void summary_clear(struct summary *s)
{
        free(s->bits);
        free(s->top);
}

static void summary_assign(struct summary *s, uint64_t index, bool on)
{
        uint64_t w = index / WORD, bit = UINT64_C(1) << index % WORD;

        if (on)
                s->bits[w] |= bit;
        else
                s->bits[w] &= ~bit;

        bit = UINT64_C(1) << w % WORD;
        if (s->bits[w])
                s->top[w / WORD] |= bit;
        else
                s->top[w / WORD] &= ~bit;
}

/* The bits of `word` from bit `from` (0 .. 64) on. */
static uint64_t bits_from(uint64_t word, unsigned from)
{
        return from < WORD ? word & FULL << from : 0;
}

/* The first bit set at or after `from`, or NONE. */
static uint64_t summary_next(const struct summary *s, uint64_t from)
{
        uint64_t w = from / WORD, t = w / WORD, found;

        if (t >= s->tops)
                return NONE;
        if (s->top[t] >> w % WORD & 1) {
                found = bits_from(s->bits[w], from % WORD);
                if (found)
                        return w * WORD + (unsigned)__builtin_ctzll(found);
        }

        found = bits_from(s->top[t], w % WORD + 1);
        while (!found) {
                if (++t == s->tops)
                        return NONE;
                found = s->top[t];
        }
        w = t * WORD + (unsigned)__builtin_ctzll(found);
        return w * WORD + (unsigned)__builtin_ctzll(s->bits[w]);
}

static void word_set(struct slot_map *map, uint64_t w, uint64_t value)
{
        uint64_t old = map->free[w];

        map->free[w] = value;
        if (!old != !value)
                summary_assign(&map->any, w, value);
        if ((old == FULL) != (value == FULL))
                summary_assign(&map->whole, w, value == FULL);
}

/* Sets or clears the free bits of a run. */
static void run_mark(struct slot_map *map, struct run run, bool is_free)
{
        while (run.length) {
                uint64_t w = run.first / WORD;
                unsigned bit = run.first % WORD;
                unsigned n = run.length < WORD - bit ? run.length : WORD - bit;
                uint64_t mask = (n == WORD ? FULL : (UINT64_C(1) << n) - 1) << bit;

                word_set(map, w, is_free ? map->free[w] | mask : map->free[w] & ~mask);
                run.first += n;
                run.length -= n;
        }
}

/* How many slots are free from `slot` on without a gap, `most` at most. */
static uint32_t run_length(const struct slot_map *map, uint64_t slot, uint32_t most)
{
        uint64_t w = slot / WORD;
        unsigned bit = slot % WORD;
        uint32_t length = 0;

        for (; w < map->words && length < most; w++, bit = 0) {
                uint64_t taken = ~map->free[w] >> bit;

                if (taken) {
                        length += (unsigned)__builtin_ctzll(taken);
                        break;
                }
                length += WORD - bit;
        }
        return length < most ? length : most;
}

/*
 * The bits of `word` at which a run of more than `length` may begin: those that have so many set bits from there on,
 * and the first of the set bits at the word's end, whose run may go on in the next one.
 */
static uint64_t bits_promising(uint64_t word, uint32_t length)
{
        unsigned end = ~word ? (unsigned)__builtin_clzll(~word) : WORD;
        uint64_t starts = length < WORD ? word : 0;

        for (unsigned n = length + 1; starts && n > 1; n -= n / 2)
                starts &= starts >> n / 2;
        return end ? starts | UINT64_C(1) << (WORD - end) : starts;
}

/* The longest run that begins in word w at bit `from` or later; `best` where there is no longer one. */
static struct run search_word(const struct slot_map *map, uint64_t w, unsigned from, uint32_t want, struct run best)
{
        uint64_t left = bits_from(map->free[w], from);

        while (best.length < want) {
                uint64_t starts = bits_promising(left, best.length);
                unsigned bit;
                uint32_t length;

                if (!starts)
                        break;
                bit = (unsigned)__builtin_ctzll(starts);
                length = run_length(map, w * WORD + bit, want);
                if (length > best.length)
                        best = (struct run){ w * WORD + bit, length };
                if (length >= WORD - bit)
                        break;
                left = bits_from(left, bit + length);
        }
        return best;
}

/* From the cursor on, once around at most. Finds something wherever a slot is free. */
static struct run search_near(const struct slot_map *map, uint32_t want)
{
        uint64_t start = map->cursor / WORD, w = start;
        struct run best = { 0, 0 };
        bool around = false;

        best = search_word(map, w, map->cursor % WORD, want, best);
        for (int i = 0; i < SEARCH_WORDS && best.length < want; i++) {
                w = summary_next(&map->any, w + 1);
                if (w == NONE && !around) {
                        around = true;
                        w = summary_next(&map->any, 0);
                }
                if (w == NONE || (around && w > start))
                        break;
                best = search_word(map, w, 0, want, best);
        }
        return best;
}

/* Runs with a wholly free word in them, from the cursor on, once around; `best` where none is longer. */
static struct run search_whole(const struct slot_map *map, uint32_t want, struct run best)
{
        uint64_t start = map->cursor / WORD, w = start;
        bool around = false;

        for (int i = 0; i < SEARCH_WHOLE && best.length < want; i++) {
                struct run run;

                w = summary_next(&map->whole, w);
                if (w == NONE && !around) {
                        around = true;
                        w = summary_next(&map->whole, 0);
                }
                if (w == NONE || (around && w >= start))
                        break;

                run.first = w * WORD;
                if (w && map->free[w - 1] != FULL) /* the free end of the word before belongs to the run */
                        run.first -= (unsigned)__builtin_clzll(~map->free[w - 1]);
                run.length = run_length(map, run.first, want);
                if (run.length > best.length)
                        best = run;
                w = (run.first + run.length) / WORD;
        }
        return best;
}

uint32_t slot_map_alloc(struct slot_map *map, uint32_t want, uint64_t *first)
{
        struct run run;

        if (want > SLOT_MAP_RUN_MOST)
                want = SLOT_MAP_RUN_MOST;
        if (want > map->available)
                want = (uint32_t)map->available;
        if (!want)
                return 0;

        run = search_near(map, want);
        if (run.length < want)
                run = search_whole(map, want, run);
        assert(run.length);

        run_mark(map, run, false);
        for (uint32_t i = 0; i < run.length; i++) {
                assert(!map->refs[run.first + i]);
                map->refs[run.first + i] = 1;
        }
        map->available -= run.length;
        map->cursor = (run.first + run.length) % map->slots;
        *first = run.first;
        return run.length;
}

int slot_map_ref(struct slot_map *map, uint64_t slot)
{
        assert(slot < map->slots && map->refs[slot]);
        if (map->refs[slot] == SLOT_MAP_REFS_MOST)
                return -EOVERFLOW;
        map->refs[slot]++;
        return 0;
}

uint32_t slot_map_unref(struct slot_map *map, uint64_t first, uint32_t count)
{
        struct run freed = { first, 0 }; /* what became free last, not yet marked */
        uint32_t total = 0;

        assert(first <= map->slots && count <= map->slots - first);
        for (uint64_t slot = first; slot < first + count; slot++) {
                assert(map->refs[slot]);
                if (--map->refs[slot])
                        continue;
                if (slot != freed.first + freed.length) {
                        run_mark(map, freed, true);
                        freed = (struct run){ slot, 0 };
                }
                freed.length++;
                total++;
        }
        run_mark(map, freed, true);
        map->available += total;
        return total;
}

uint64_t slot_map_slots(const struct slot_map *map)
{
        return map->slots;
}

uint64_t slot_map_available(const struct slot_map *map)
{
        return map->available;
}

unsigned slot_map_refs(const struct slot_map *map, uint64_t slot)
{
        assert(slot < map->slots);
        return map->refs[slot];
}

size_t slot_map_bytes(const struct slot_map *map)
{
        return map->bytes;
}

int slot_map_new(uint64_t slots, struct slot_map **out)
{
        struct slot_map *map;
        uint64_t words = words_for(slots);

        if (!slots)
                return -EINVAL;
        if (slots > SLOT_MAP_MOST)
                return -EFBIG;
        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;

        map->slots = slots;
        map->words = words;
        map->bytes = sizeof(*map) + slots * sizeof(*map->refs);
        map->refs = calloc(slots, sizeof(*map->refs));
        map->free = bits_new(slots, &map->bytes);
        if (summary_init(&map->any, words, &map->bytes) < 0 || summary_init(&map->whole, words, &map->bytes) < 0 ||
            !map->refs || !map->free) {
                slot_map_free(map);
                return -ENOMEM;
        }

        for (uint64_t w = 0; w < words; w++) {
                uint64_t left = slots - w * WORD;

                word_set(map, w, left < WORD ? (UINT64_C(1) << left) - 1 : FULL);
        }
        map->available = slots;
        *out = map;
        return 0;
}

void slot_map_free(struct slot_map *map)
{
        if (!map)
                return;
        free(map->refs);
        free(map->free);
        summary_clear(&map->any);
        summary_clear(&map->whole);
        free(map);
}
