/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_ARENA_H
#define MODEL_ARENA_H

#include <stdint.h>

/*
 * Memory for a page table, handed out in 4 KiB blocks that are named by number, not by address: what is built in
 * it can be mapped again elsewhere by another process. The memory is the caller's, all zeros at the start, and is
 * touched only as far as blocks were handed out.
 */
#define ARENA_BLOCK 4096u
#define ARENA_NONE  0u /* block 0 is the arena's own */

struct arena {
        char *base;
        uint32_t n_blocks;
        uint32_t *top;  /* in block 0: first block never handed out */
        uint32_t *free; /* in block 0: head of the list of blocks given back */
        uint32_t *used; /* in block 0: blocks in use */
};

/* Takes bytes of zeroed memory at base (page-aligned) over. */
void arena_init(struct arena *a, void *base, uint64_t bytes);

/* One zeroed block, or ARENA_NONE when all are in use. */
uint32_t arena_alloc(struct arena *a);

/* n adjacent zeroed blocks; they cannot be given back. ARENA_NONE when there are none. */
uint32_t arena_alloc_many(struct arena *a, uint32_t n);

/* Gives a block back that arena_alloc() handed out. */
void arena_release(struct arena *a, uint32_t block);

static inline void *arena_at(const struct arena *a, uint32_t block)
{
        return a->base + (uint64_t)block * ARENA_BLOCK;
}

/* Bytes in use, its own block included. */
uint64_t arena_bytes(const struct arena *a);

#endif
