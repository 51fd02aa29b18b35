/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page's entry: 8 bytes that say where its bytes are.
 *
 *     bits  0-3    state (enum page_state)
 *     bit   4      bare (STANDBY, STORED, FETCHING, ZERO): the page is out, and there is no mark that says so in the
 *                  client's page tables yet
 *     bits  5-7    reserved, 0
 *     bits  8-27   index: what is under way with it (by state, see below)
 *     bits 28-63   location in the store
 *
 *     state      index                              location   the bytes are
 *     NATIVE     -                                  -          the kernel's: present, or never touched
 *     CLEARED    -                                  -          as NATIVE, but a REMOVE event was read and the kernel
 *                                                              may not have zapped yet: not evictable
 *     EVICTING   batch * VMPAGER_BATCH_PAGES + i    -          on their way to the ring
 *     STANDBY    ring slot                          -          in the ring
 *     STORED     -                                  yes        in the store
 *     FETCHING   number of the fetch                yes        in the store, a read is under way
 *     CLEAN      -                                  yes        present, and in the store too
 *     POISONED   -                                  -          lost: the client gets SIGBUS
 *     ZERO       -                                  -          zeros, taken out; needs no bytes anywhere
 *
 * The whole of NATIVE is 0, so that a table that was never written says NATIVE.
 */
#ifndef MODEL_PAGE_H
#define MODEL_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT_ 12
#define PAGE_SIZE_  4096ull

typedef uint64_t page_entry;

enum page_state {
        PAGE_NATIVE = 0,
        PAGE_CLEARED = 1,
        PAGE_EVICTING = 2,
        PAGE_STANDBY = 3,
        PAGE_STORED = 4,
        PAGE_FETCHING = 5,
        PAGE_CLEAN = 6,
        PAGE_POISONED = 7,
        PAGE_ZERO = 8,
        PAGE_N_STATES
};

#define PAGE_INDEX_MAX ((1u << 20) - 1)
#define PAGE_BARE      (1ull << 4)
#define PAGE_LOC_MAX   ((1ull << 36) - 1)

static inline page_entry page_make(enum page_state state, uint32_t index, uint64_t loc)
{
        return (uint64_t)state | (uint64_t)index << 8 | loc << 28;
}

static inline enum page_state page_state(page_entry e)
{
        return (enum page_state)(e & 15);
}

static inline uint32_t page_index(page_entry e)
{
        return (uint32_t)(e >> 8) & PAGE_INDEX_MAX;
}

static inline uint64_t page_loc(page_entry e)
{
        return e >> 28;
}

/* The state's name in lower case, for messages and statistics. */
const char *page_state_name(enum page_state state);

/*
 * Whether the pager may take a page from one state to another (ARCHITECTURE.md has the picture). The table refuses
 * all others in debug builds and the simulation; a transition to itself is allowed.
 */
bool page_may_become(enum page_state from, enum page_state to);

static inline uint64_t page_floor(uint64_t addr)
{
        return addr & ~(PAGE_SIZE_ - 1);
}

#endif
