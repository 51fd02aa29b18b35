/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A leaf lives as long as its chunk has an entry other than NATIVE; `used` counts them. ptable_reserve() may leave a
 * leaf with none, which the next ptable_set() of that chunk takes over or the last one gives back.
 */
#include "model/ptable.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#define SPAN_BLOCKS (PTABLE_CHUNKS * (uint32_t)sizeof(struct chunk) / ARENA_BLOCK)
#define ROOT_BLOCKS (PTABLE_SPANS * (uint32_t)sizeof(uint32_t) / ARENA_BLOCK)

_Static_assert(sizeof(struct chunk) == 16, "a chunk costs 16 bytes");

int ptable_init(struct ptable *t, void *memory, uint64_t bytes)
{
        uint32_t root;

        arena_init(&t->arena, memory, bytes);
        root = arena_alloc_many(&t->arena, ROOT_BLOCKS);
        if (root == ARENA_NONE)
                return -ENOMEM;
        t->root = arena_at(&t->arena, root);
        for (unsigned i = 0; i < PAGE_N_STATES; i++)
                t->count[i] = 0;
        t->bare = 0;
        return 0;
}

struct chunk *ptable_chunk(const struct ptable *t, uint64_t addr)
{
        uint32_t span;
        struct chunk *chunks;

        if (addr >= PTABLE_END)
                return NULL;
        span = t->root[addr >> PTABLE_SPAN_SHIFT];
        if (span == ARENA_NONE)
                return NULL;
        chunks = arena_at(&t->arena, span);
        return &chunks[(addr >> PTABLE_CHUNK_SHIFT) % PTABLE_CHUNKS];
}

static page_entry *leaf_entry(const struct ptable *t, const struct chunk *c, uint64_t addr)
{
        page_entry *leaf = arena_at(&t->arena, c->leaf);

        return &leaf[(addr >> PAGE_SHIFT_) % PTABLE_LEAF];
}

page_entry ptable_get(const struct ptable *t, uint64_t addr)
{
        const struct chunk *c = ptable_chunk(t, addr);

        if (!c || c->leaf == ARENA_NONE)
                return page_make(PAGE_NATIVE, 0, 0);
        return *leaf_entry(t, c, addr);
}

struct chunk *ptable_reserve(struct ptable *t, uint64_t addr)
{
        uint32_t *span;
        struct chunk *c;

        if (addr >= PTABLE_END)
                return NULL;
        span = &t->root[addr >> PTABLE_SPAN_SHIFT];
        if (*span == ARENA_NONE)
                *span = arena_alloc_many(&t->arena, SPAN_BLOCKS);
        if (*span == ARENA_NONE)
                return NULL;
        c = ptable_chunk(t, addr);
        if (c->leaf == ARENA_NONE)
                c->leaf = arena_alloc(&t->arena);
        return c->leaf == ARENA_NONE ? NULL : c;
}

int ptable_set(struct ptable *t, uint64_t addr, page_entry e)
{
        struct chunk *c = ptable_chunk(t, addr);
        page_entry *p;
        enum page_state from, to = page_state(e);

        if (!c || c->leaf == ARENA_NONE) {
                if (to == PAGE_NATIVE)
                        return 0;
                c = ptable_reserve(t, addr);
                if (!c)
                        return -ENOMEM;
        }
        p = leaf_entry(t, c, addr);
        from = page_state(*p);
        assert(page_may_become(from, to));
        if (from != PAGE_NATIVE) {
                t->count[from]--;
                c->used--;
        }
        if (to != PAGE_NATIVE) {
                t->count[to]++;
                c->used++;
        }
        if (*p & PAGE_BARE) {
                t->bare--;
                c->bare--;
        }
        if (e & PAGE_BARE) {
                t->bare++;
                c->bare++;
        }
        *p = e;
        if (c->used == 0) {
                arena_release(&t->arena, c->leaf);
                c->leaf = ARENA_NONE;
        }
        return 0;
}

/* The first address at or after addr, below end, whose chunk has a leaf. */
static uint64_t next_leaf(const struct ptable *t, uint64_t addr, uint64_t end)
{
        while (addr < end) {
                if (t->root[addr >> PTABLE_SPAN_SHIFT] == ARENA_NONE) {
                        addr = ((addr >> PTABLE_SPAN_SHIFT) + 1) << PTABLE_SPAN_SHIFT;
                        continue;
                }
                if (ptable_chunk(t, addr)->leaf != ARENA_NONE)
                        return addr;
                addr = (addr | (PTABLE_CHUNK_SIZE - 1)) + 1;
        }
        return end;
}

uint64_t ptable_next(const struct ptable *t, uint64_t addr, uint64_t end)
{
        if (end > PTABLE_END)
                end = PTABLE_END;
        while ((addr = next_leaf(t, addr, end)) < end) {
                const struct chunk *c = ptable_chunk(t, addr);
                uint64_t stop = (addr | (PTABLE_CHUNK_SIZE - 1)) + 1;

                for (; addr < stop && addr < end; addr += PAGE_SIZE_)
                        if (page_state(*leaf_entry(t, c, addr)) != PAGE_NATIVE)
                                return addr;
        }
        return end;
}

uint64_t ptable_next_held(const struct ptable *t, uint64_t addr, uint64_t end)
{
        while ((addr = ptable_next(t, addr, end)) < end && page_state(ptable_get(t, addr)) == PAGE_ZERO)
                addr += PAGE_SIZE_;
        return addr;
}

uint64_t ptable_next_bare(const struct ptable *t, uint64_t addr)
{
        while (t->bare && (addr = next_leaf(t, addr, PTABLE_END)) < PTABLE_END) {
                const struct chunk *c = ptable_chunk(t, addr);
                uint64_t stop = (addr | (PTABLE_CHUNK_SIZE - 1)) + 1;

                for (; c->bare && addr < stop; addr += PAGE_SIZE_)
                        if (*leaf_entry(t, c, addr) & PAGE_BARE)
                                return addr;
                addr = stop;
        }
        return PTABLE_END;
}
