/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page table of one client: address -> page_entry, in three steps.
 *
 *     root   8192 spans of 16 GiB (47 bits of address)
 *     span   8192 chunks of 2 MiB, 16 bytes each
 *     leaf   512 entries of 8 bytes; only for chunks that have an entry other than NATIVE
 *
 * All of it lies in an arena and refers to blocks by number. One thread at a time.
 */
#ifndef MODEL_PTABLE_H
#define MODEL_PTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/arena.h"
#include "model/page.h"

#define PTABLE_SPANS       8192u
#define PTABLE_SPAN_SHIFT  34
#define PTABLE_CHUNKS      8192u
#define PTABLE_CHUNK_SHIFT 21
#define PTABLE_CHUNK_SIZE  (1ull << PTABLE_CHUNK_SHIFT)
#define PTABLE_LEAF        512u
#define PTABLE_END         (1ull << 47) /* first address that the table does not cover */

/* What is kept of 2 MiB of address space. */
struct chunk {
        uint32_t leaf;  /* arena block, ARENA_NONE: all NATIVE */
        uint16_t used;  /* entries that are not NATIVE */
        uint16_t idle;  /* the idle tracker's own */
        uint16_t avoid; /* rounds for which eviction passes it by: its pages could not be detached */
        uint16_t bare;  /* entries that are PAGE_BARE */
        uint16_t reserved[2];
};

struct ptable {
        struct arena arena;
        uint32_t *root; /* PTABLE_SPANS block numbers, in the arena */
        uint64_t count[PAGE_N_STATES]; /* entries by state; NATIVE is not counted */
        uint64_t bare;                 /* entries that are PAGE_BARE */
};

/*
 * Sets a table up in an arena over zeroed memory. Returns 0 or -ENOMEM (arena too small).
 */
int ptable_init(struct ptable *t, void *memory, uint64_t bytes);

/* The entry of the page at addr. NATIVE for what was never set. */
page_entry ptable_get(const struct ptable *t, uint64_t addr);

/*
 * Makes sure that entries of addr's chunk can be set without allocation until its leaf is empty again. Returns the
 * chunk, or NULL when there is no memory or addr is beyond PTABLE_END.
 */
struct chunk *ptable_reserve(struct ptable *t, uint64_t addr);

/*
 * Sets an entry; the transition must be a legal one (asserted). Returns 0, or -ENOMEM where a leaf was needed and there
 * is none: never when setting to NATIVE, never when the page was not NATIVE.
 */
int ptable_set(struct ptable *t, uint64_t addr, page_entry e);

/* The chunk of an address, or NULL where nothing was ever noted of it. */
struct chunk *ptable_chunk(const struct ptable *t, uint64_t addr);

/* The address of the first page in [addr, end) that is not NATIVE, or end. */
uint64_t ptable_next(const struct ptable *t, uint64_t addr, uint64_t end);

/* The same, passing by pages that are ZERO as well. */
uint64_t ptable_next_held(const struct ptable *t, uint64_t addr, uint64_t end);

/* The address of the first page at or after addr that is PAGE_BARE, or PTABLE_END. */
uint64_t ptable_next_bare(const struct ptable *t, uint64_t addr);

#endif
