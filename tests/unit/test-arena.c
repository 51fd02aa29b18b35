// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocks: zeroed, no two the same, given back and handed out again, all of it in the memory alone. */
#include "model/arena.h"

#include <stdbool.h>
#include <string.h>

#include "unit-run.h"

#define BLOCKS 64u

static struct arena arena_new(unsigned blocks)
{
        void *memory = aligned_alloc(ARENA_BLOCK, blocks * ARENA_BLOCK);
        struct arena a;

        ck_assert_ptr_nonnull(memory);
        memset(memory, 0, blocks * ARENA_BLOCK);
        arena_init(&a, memory, blocks * ARENA_BLOCK);
        return a;
}

static void fill(const struct arena *a, uint32_t block, unsigned char byte)
{
        memset(arena_at(a, block), byte, ARENA_BLOCK);
}

static void all_are(const struct arena *a, uint32_t block, unsigned char byte)
{
        unsigned char want[ARENA_BLOCK];

        memset(want, byte, sizeof(want));
        ck_assert_mem_eq(arena_at(a, block), want, sizeof(want));
}

START_TEST(test_exhaust)
{
        struct arena a = arena_new(BLOCKS);
        uint32_t block, many;

        ck_assert_uint_eq(arena_bytes(&a), ARENA_BLOCK);
        many = arena_alloc_many(&a, 10);
        ck_assert_uint_ne(many, ARENA_NONE);
        for (uint32_t i = 0; i < 10; i++) {
                all_are(&a, many + i, 0);
                fill(&a, many + i, 200);
        }
        for (unsigned i = 0; i < BLOCKS - 11; i++) {
                block = arena_alloc(&a);
                ck_assert_uint_ne(block, ARENA_NONE);
                ck_assert_uint_lt(block, BLOCKS);
                all_are(&a, block, 0);
                fill(&a, block, (unsigned char)block);
        }
        ck_assert_uint_eq(arena_alloc(&a), ARENA_NONE);
        ck_assert_uint_eq(arena_alloc_many(&a, 1), ARENA_NONE);
        ck_assert_uint_eq(arena_bytes(&a), BLOCKS * ARENA_BLOCK);
        for (uint32_t b = 1; b < BLOCKS; b++)
                all_are(&a, b, b >= many && b < many + 10 ? 200 : (unsigned char)b);
        free(a.base);
}
END_TEST

START_TEST(test_many_too_many)
{
        struct arena a = arena_new(BLOCKS);

        ck_assert_uint_eq(arena_alloc_many(&a, BLOCKS), ARENA_NONE);
        ck_assert_uint_eq(arena_alloc_many(&a, UINT32_MAX), ARENA_NONE);
        ck_assert_uint_eq(arena_bytes(&a), ARENA_BLOCK);
        ck_assert_uint_ne(arena_alloc_many(&a, BLOCKS - 1), ARENA_NONE);
        free(a.base);
}
END_TEST

/* Random use against a list of who has what; now and then all of it goes to other memory, as a next process sees it. */
START_TEST(test_random)
{
        struct arena a = arena_new(BLOCKS);
        bool used[BLOCKS] = { false };
        uint32_t n = 0;

        unit_random_start();
        for (unsigned step = 0; step < 20000; step++) {
                uint32_t block = 1 + (uint32_t)unit_random(BLOCKS - 1);

                if (used[block]) {
                        all_are(&a, block, (unsigned char)block);
                        arena_release(&a, block);
                        used[block] = false;
                        n--;
                } else {
                        block = arena_alloc(&a);
                        ck_assert_uint_ne(block, ARENA_NONE);
                        ck_assert(block < BLOCKS && !used[block]);
                        all_are(&a, block, 0);
                        fill(&a, block, (unsigned char)block);
                        used[block] = true;
                        n++;
                }
                ck_assert_uint_eq(arena_bytes(&a), (n + 1) * ARENA_BLOCK);
                if (step % 1000 == 999) {
                        struct arena moved = arena_new(BLOCKS);

                        memcpy(moved.base, a.base, BLOCKS * ARENA_BLOCK);
                        memset(a.base, 0xee, BLOCKS * ARENA_BLOCK);
                        free(a.base);
                        arena_init(&moved, moved.base, BLOCKS * ARENA_BLOCK);
                        a = moved;
                        ck_assert_uint_eq(arena_bytes(&a), (n + 1) * ARENA_BLOCK);
                }
        }
        free(a.base);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("arena");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_exhaust);
        tcase_add_test(tc, test_many_too_many);
        tcase_add_test(tc, test_random);
        return unit_run("arena", tc);
}
