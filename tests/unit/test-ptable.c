// SPDX-License-Identifier: GPL-2.0-or-later
/* The page table against a plain array: random entries in a few chunks at the edges of spans, then its small print. */
#include "model/ptable.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "unit-run.h"

#define MIB    (UINT64_C(1) << 20)
#define CHUNKS 6u
#define PAGES  (CHUNKS * PTABLE_LEAF)

#define ROOT_BLOCKS 8u  /* of 4096 bytes: 8192 numbers of 4 bytes */
#define SPAN_BLOCKS 32u /* 8192 chunks of 16 bytes */

/* In address order: neighbours, the end of one span and the start of the next, the last chunk of all. */
static const uint64_t base[CHUNKS] = {
        0,
        PTABLE_CHUNK_SIZE,
        (UINT64_C(1) << PTABLE_SPAN_SHIFT) - PTABLE_CHUNK_SIZE,
        UINT64_C(1) << PTABLE_SPAN_SHIFT,
        UINT64_C(0x7f12a0000000),
        PTABLE_END - PTABLE_CHUNK_SIZE,
};

struct model {
        page_entry entry[PAGES];
        bool leaf[CHUNKS];
};

static void *memory_new(uint64_t bytes)
{
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(memory, MAP_FAILED);
        return memory;
}

static uint64_t address(unsigned page)
{
        return base[page / PTABLE_LEAF] + page % PTABLE_LEAF * PAGE_SIZE_;
}

static unsigned used_in(const struct model *m, unsigned chunk)
{
        unsigned used = 0;

        for (unsigned i = 0; i < PTABLE_LEAF; i++)
                used += page_state(m->entry[chunk * PTABLE_LEAF + i]) != PAGE_NATIVE;
        return used;
}

static void check_all(const struct ptable *t, const struct model *m)
{
        uint64_t count[PAGE_N_STATES] = { 0 }, spans = 0, leaves = 0, last_span = UINT64_MAX;

        for (unsigned i = 0; i < PAGES; i++) {
                if (ptable_get(t, address(i)) != m->entry[i] || ptable_get(t, address(i) + 123) != m->entry[i])
                        ck_abort_msg("page %u", i);
                count[page_state(m->entry[i])]++;
        }
        for (unsigned state = 1; state < PAGE_N_STATES; state++)
                ck_assert_msg(t->count[state] == count[state], "count of %s", page_state_name(state));
        for (unsigned c = 0; c < CHUNKS; c++) {
                const struct chunk *chunk = ptable_chunk(t, base[c]);

                leaves += m->leaf[c];
                if (!chunk) {
                        ck_assert(!m->leaf[c]);
                        continue;
                }
                ck_assert_uint_eq(chunk->used, used_in(m, c));
                ck_assert((chunk->leaf != ARENA_NONE) == m->leaf[c]);
                spans += base[c] >> PTABLE_SPAN_SHIFT != last_span;
                last_span = base[c] >> PTABLE_SPAN_SHIFT;
        }
        ck_assert_uint_eq(arena_bytes(&t->arena), (1 + ROOT_BLOCKS + spans * SPAN_BLOCKS + leaves) * ARENA_BLOCK);
}

static uint64_t next_of(const struct model *m, uint64_t addr, uint64_t end)
{
        if (end > PTABLE_END)
                end = PTABLE_END;
        for (unsigned i = 0; i < PAGES; i++)
                if (address(i) >= addr && address(i) < end && page_state(m->entry[i]) != PAGE_NATIVE)
                        return address(i);
        return end;
}

static page_entry random_entry(page_entry from)
{
        enum page_state to;

        do
                to = unit_random(4) ? PAGE_NATIVE + unit_random(PAGE_N_STATES) : PAGE_NATIVE;
        while (!page_may_become(page_state(from), to));
        if (to == PAGE_NATIVE)
                return page_make(to, 0, 0);
        return page_make(to, (uint32_t)unit_random(PAGE_INDEX_MAX + 1), unit_random(PAGE_LOC_MAX + 1));
}

/* Few pages are in use at a time in odd thousands of steps, so that leaves come and go. */
START_TEST(test_random)
{
        static struct model m;
        struct ptable t;

        unit_random_start();
        ck_assert_int_eq(ptable_init(&t, memory_new(2 * MIB), 2 * MIB), 0);
        for (unsigned step = 0; step < 60000; step++) {
                bool few = step / 1000 % 2;
                unsigned chunk = (unsigned)unit_random(CHUNKS);
                unsigned page = chunk * PTABLE_LEAF + (unsigned)unit_random(few ? 4 : PTABLE_LEAF) * (few ? 127 : 1);
                page_entry e = random_entry(m.entry[page]);

                if (unit_random(50) == 0) {
                        ck_assert_ptr_eq(ptable_reserve(&t, address(page)), ptable_chunk(&t, address(page)));
                        m.leaf[chunk] = true;
                }
                ck_assert_int_eq(ptable_set(&t, address(page) + unit_random(PAGE_SIZE_), e), 0);
                m.entry[page] = e;
                m.leaf[chunk] = used_in(&m, chunk) != 0;
                if (step % 1000 == 0 && few)
                        for (unsigned i = 0; i < PAGES; i++) {
                                ck_assert_int_eq(ptable_set(&t, address(i), 0), 0);
                                m.entry[i] = 0;
                                m.leaf[i / PTABLE_LEAF] = false;
                        }
                if (step % 100 == 0) {
                        uint64_t from = address((unsigned)unit_random(PAGES)),
                                 to = address((unsigned)unit_random(PAGES));

                        check_all(&t, &m);
                        if (from <= to)
                                ck_assert_uint_eq(ptable_next(&t, from, to), next_of(&m, from, to));
                        ck_assert_uint_eq(ptable_next(&t, from, UINT64_MAX), next_of(&m, from, UINT64_MAX));
                }
        }
}
END_TEST

START_TEST(test_next)
{
        uint64_t far = UINT64_C(0x7f12a0000000), end = far + 3 * PTABLE_CHUNK_SIZE;
        struct ptable t;

        ck_assert_int_eq(ptable_init(&t, memory_new(2 * MIB), 2 * MIB), 0);
        ck_assert_uint_eq(ptable_next(&t, 0, PTABLE_END), PTABLE_END);
        ck_assert_uint_eq(ptable_next(&t, 0, UINT64_MAX), PTABLE_END);
        ck_assert_uint_eq(ptable_next(&t, 0x5000, 0x5000), 0x5000);
        ck_assert_int_eq(ptable_set(&t, far + PTABLE_CHUNK_SIZE, page_make(PAGE_STORED, 0, 7)), 0);
        ck_assert_uint_eq(ptable_next(&t, 0, PTABLE_END), far + PTABLE_CHUNK_SIZE);
        ck_assert_uint_eq(ptable_next(&t, far + PTABLE_CHUNK_SIZE, end), far + PTABLE_CHUNK_SIZE);
        ck_assert_uint_eq(ptable_next(&t, far + PTABLE_CHUNK_SIZE + PAGE_SIZE_, end), end);
        ck_assert_uint_eq(ptable_next(&t, far, far + PTABLE_CHUNK_SIZE), far + PTABLE_CHUNK_SIZE);
        ck_assert_uint_eq(ptable_next(&t, far, far + 5 * PAGE_SIZE_), far + 5 * PAGE_SIZE_);
}
END_TEST

START_TEST(test_end)
{
        struct ptable t;

        ck_assert_int_eq(ptable_init(&t, memory_new(2 * MIB), 2 * MIB), 0);
        ck_assert_int_eq(ptable_set(&t, PTABLE_END - PAGE_SIZE_, page_make(PAGE_STORED, 0, 1)), 0);
        ck_assert_int_eq(ptable_set(&t, PTABLE_END, page_make(PAGE_STORED, 0, 1)), -ENOMEM);
        ck_assert_int_eq(ptable_set(&t, UINT64_MAX - 4095, page_make(PAGE_STORED, 0, 1)), -ENOMEM);
        ck_assert_int_eq(ptable_set(&t, PTABLE_END, 0), 0);
        ck_assert_uint_eq(ptable_get(&t, PTABLE_END), 0);
        ck_assert_uint_eq(ptable_get(&t, UINT64_MAX), 0);
        ck_assert_ptr_null(ptable_chunk(&t, PTABLE_END));
        ck_assert_ptr_null(ptable_reserve(&t, PTABLE_END));
        ck_assert_uint_eq(t.count[PAGE_STORED], 1);
        ck_assert_uint_eq(ptable_next(&t, 0, UINT64_MAX), PTABLE_END - PAGE_SIZE_);
}
END_TEST

START_TEST(test_no_memory)
{
        const uint64_t bare = (1 + ROOT_BLOCKS) * ARENA_BLOCK, with_span = bare + SPAN_BLOCKS * ARENA_BLOCK;
        page_entry stored = page_make(PAGE_STORED, 0, 9);
        struct ptable t;

        ck_assert_int_eq(ptable_init(&t, memory_new(bare), bare - ARENA_BLOCK), -ENOMEM);

        ck_assert_int_eq(ptable_init(&t, memory_new(bare), bare), 0);
        ck_assert_int_eq(ptable_set(&t, 0x1000, stored), -ENOMEM);
        ck_assert_int_eq(ptable_set(&t, 0x1000, 0), 0);
        ck_assert_ptr_null(ptable_chunk(&t, 0x1000));

        ck_assert_int_eq(ptable_init(&t, memory_new(with_span), with_span), 0);
        ck_assert_int_eq(ptable_set(&t, 0x1000, stored), -ENOMEM);
        ck_assert_ptr_null(ptable_reserve(&t, 0x1000));
        ck_assert_uint_eq(ptable_get(&t, 0x1000), 0);
        ck_assert_uint_eq(t.count[PAGE_STORED], 0);

        /* One leaf: the second chunk has to wait for the first to let go of it. */
        ck_assert_int_eq(ptable_init(&t, memory_new(with_span + ARENA_BLOCK), with_span + ARENA_BLOCK), 0);
        ck_assert_int_eq(ptable_set(&t, 0x1000, stored), 0);
        ck_assert_int_eq(ptable_set(&t, 0x2000, stored), 0);
        ck_assert_int_eq(ptable_set(&t, PTABLE_CHUNK_SIZE, stored), -ENOMEM);
        ck_assert_int_eq(ptable_set(&t, 0x1000, 0), 0);
        ck_assert_int_eq(ptable_set(&t, PTABLE_CHUNK_SIZE, stored), -ENOMEM);
        ck_assert_int_eq(ptable_set(&t, 0x2000, page_make(PAGE_CLEARED, 0, 0)), 0);
        ck_assert_int_eq(ptable_set(&t, 0x2000, 0), 0);
        ck_assert_int_eq(ptable_set(&t, PTABLE_CHUNK_SIZE, stored), 0);
        ck_assert_uint_eq(ptable_get(&t, 0x2000), 0);
        ck_assert_uint_eq(t.count[PAGE_STORED], 1);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("ptable");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_random);
        tcase_add_test(tc, test_next);
        tcase_add_test(tc, test_end);
        tcase_add_test(tc, test_no_memory);
        return unit_run("ptable", tc);
}
