/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block 0 holds the counters, so that the whole state of an arena is inside its memory. Blocks given back are
 * linked through their first word and zeroed when they are handed out again.
 */
#include "model/arena.h"

#include <assert.h>
#include <string.h>

void arena_init(struct arena *a, void *base, uint64_t bytes)
{
        uint64_t blocks = bytes / ARENA_BLOCK;

        assert(blocks >= 1);
        a->base = base;
        a->n_blocks = blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
        a->top = (uint32_t *)a->base;
        a->free = a->top + 1;
        a->used = a->top + 2;
        if (*a->top == 0) {
                *a->top = 1;
                *a->used = 1;
        }
}

uint32_t arena_alloc_many(struct arena *a, uint32_t n)
{
        uint32_t block = *a->top;

        if (n > a->n_blocks - block)
                return ARENA_NONE;
        *a->top += n;
        *a->used += n;
        return block;
}

uint32_t arena_alloc(struct arena *a)
{
        uint32_t block = *a->free;

        if (block == ARENA_NONE)
                return arena_alloc_many(a, 1);
        memcpy(a->free, arena_at(a, block), sizeof(uint32_t));
        memset(arena_at(a, block), 0, ARENA_BLOCK);
        ++*a->used;
        return block;
}

void arena_release(struct arena *a, uint32_t block)
{
        assert(block != ARENA_NONE && block < *a->top);
        memcpy(arena_at(a, block), a->free, sizeof(uint32_t));
        *a->free = block;
        --*a->used;
}

uint64_t arena_bytes(const struct arena *a)
{
        return (uint64_t)*a->used * ARENA_BLOCK;
}
