/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place holds 27 bits of the page's number above those that say its set, and 36 bits of location, plus 1 so that an
 * empty one is 0. That fits since there are 2^8 sets at least and a page's number has 35 bits.
 *
 * What is noted goes to the front of its set, and pushes out what was noted longest ago.
 */
#include "model/clean.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/page.h"

#define MIN_SETS 256u
#define LOC_BITS 36

int clean_init(struct clean *c, uint64_t pages)
{
        uint64_t sets = MIN_SETS;

        while (sets * CLEAN_WAYS < pages)
                sets *= 2;
        *c = (struct clean){ .v = calloc(sets * CLEAN_WAYS, sizeof(c->v[0])), .sets = sets };
        return c->v ? 0 : -ENOMEM;
}

void clean_clear(struct clean *c)
{
        free(c->v);
        *c = (struct clean){ 0 };
}

static uint64_t *set_of(const struct clean *c, uint64_t addr)
{
        return &c->v[(addr >> PAGE_SHIFT_) % c->sets * CLEAN_WAYS];
}

static uint64_t pack(const struct clean *c, uint64_t addr, uint64_t loc)
{
        return ((addr >> PAGE_SHIFT_) / c->sets << LOC_BITS | loc) + 1;
}

static uint64_t loc_of(uint64_t place)
{
        return (place - 1) & PAGE_LOC_MAX;
}

/* The address that is noted at a place of a set. */
static uint64_t addr_of(const struct clean *c, uint64_t set, uint64_t place)
{
        return (((place - 1) >> LOC_BITS) * c->sets + set) << PAGE_SHIFT_;
}

/* The page's place in its set, CLEAN_WAYS: it has none. */
static unsigned way_of(const struct clean *c, uint64_t addr)
{
        const uint64_t *set = set_of(c, addr);
        unsigned way = 0;

        while (way < CLEAN_WAYS && (set[way] == 0 || (set[way] - 1) >> LOC_BITS != (addr >> PAGE_SHIFT_) / c->sets))
                way++;
        return way;
}

bool clean_note(struct clean *c, uint64_t addr, uint64_t loc, uint64_t *out)
{
        uint64_t *set = set_of(c, addr), gone;
        unsigned way = way_of(c, addr);

        /* Its own place, else an empty one, else the last. */
        for (unsigned i = 0; i < CLEAN_WAYS && way == CLEAN_WAYS; i++)
                if (set[i] == 0)
                        way = i;
        if (way == CLEAN_WAYS)
                way--;
        gone = set[way];
        memmove(&set[1], &set[0], way * sizeof(set[0]));
        set[0] = pack(c, addr, loc);
        c->n += gone == 0;
        if (gone)
                *out = loc_of(gone);
        return gone != 0;
}

bool clean_find(const struct clean *c, uint64_t addr, uint64_t *loc)
{
        unsigned way = c->n ? way_of(c, addr) : CLEAN_WAYS;

        if (way == CLEAN_WAYS)
                return false;
        *loc = loc_of(set_of(c, addr)[way]);
        return true;
}

bool clean_take(struct clean *c, uint64_t addr, uint64_t *loc)
{
        if (!clean_find(c, addr, loc))
                return false;
        set_of(c, addr)[way_of(c, addr)] = 0;
        c->n--;
        return true;
}

void clean_forget(struct clean *c, uint64_t start, uint64_t end, void (*fn)(void *arg, uint64_t loc), void *arg)
{
        uint64_t loc;

        if ((end - start) >> PAGE_SHIFT_ <= c->sets) {
                for (uint64_t a = start; a < end && c->n; a += PAGE_SIZE_)
                        if (clean_take(c, a, &loc))
                                fn(arg, loc);
                return;
        }
        for (uint64_t i = 0; i < c->sets * CLEAN_WAYS && c->n; i++) {
                uint64_t place = c->v[i], addr = place ? addr_of(c, i / CLEAN_WAYS, place) : 0;

                if (!place || addr < start || addr >= end)
                        continue;
                c->v[i] = 0;
                c->n--;
                fn(arg, loc_of(place));
        }
}
