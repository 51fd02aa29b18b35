// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slot map against a naive model: an array of reference counts. Whatever the map hands out must be free in
 * the model, and what the model says is free must be had in the end. The random runs print their seed; set
 * TEST_SEED to repeat one.
 */
#include "store/slot-map.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed_of(const char *test)
{
        const char *text = getenv("TEST_SEED");
        uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

        printf("%s: TEST_SEED=%#llx\n", test, (unsigned long long)seed);
        return seed | 1;
}

/* xorshift64 */
static uint32_t draw(uint64_t *state, uint32_t below)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return (uint32_t)(*state >> 32) % below;
}

struct model {
        uint32_t slots;
        uint32_t available;
        uint16_t *refs;
};

static struct model model_new(uint32_t slots)
{
        struct model m = { slots, slots, calloc(slots, sizeof(*m.refs)) };

        if (!m.refs)
                ck_abort_msg("out of memory");
        return m;
}

static uint32_t model_longest(const struct model *m)
{
        uint32_t best = 0, run = 0;

        for (uint32_t i = 0; i < m->slots; i++) {
                run = m->refs[i] ? 0 : run + 1;
                if (run > best)
                        best = run;
        }
        return best;
}

/* check writes to a file at each of its asserts: in the inner loops only where something is wrong. */
#define expect(condition)                              \
        do {                                           \
                if (!(condition))                      \
                        ck_abort_msg("%s", #condition); \
        } while (0)

static void model_compare(const struct model *m, const struct slot_map *map)
{
        expect(slot_map_available(map) == m->available);
        for (uint32_t i = 0; i < m->slots; i++)
                expect(slot_map_refs(map, i) == m->refs[i]);
}

/* Allocates in both; returns how many. */
static uint32_t both_alloc(struct model *m, struct slot_map *map, uint32_t want, uint64_t *first)
{
        uint32_t got = slot_map_alloc(map, want, first);

        expect(got <= want);
        expect(got <= SLOT_MAP_RUN_MOST);
        expect((got == 0) == (want == 0 || m->available == 0));
        for (uint32_t i = 0; i < got; i++) {
                expect(*first + i < m->slots);
                expect(m->refs[*first + i] == 0);
                m->refs[*first + i] = 1;
        }
        m->available -= got;
        return got;
}

static void both_unref(struct model *m, struct slot_map *map, uint64_t first, uint32_t count)
{
        uint32_t freed = 0;

        for (uint64_t i = first; i < first + count; i++)
                freed += --m->refs[i] == 0;
        m->available += freed;
        expect(slot_map_unref(map, first, count) == freed);
}

/* One random operation on both. */
static void step(struct model *m, struct slot_map *map, uint64_t *rng, uint32_t lean)
{
        uint32_t slot = draw(rng, m->slots), n = 1 + draw(rng, draw(rng, 4) ? 8 : 300), count = 0;
        uint64_t first = 0;

        switch (draw(rng, 10)) {
        case 0:
                if (m->refs[slot]) {
                        expect(slot_map_ref(map, slot) == 0);
                        m->refs[slot]++;
                }
                break;
        case 1 ... 9:
                if (draw(rng, 100) < lean) {
                        /* a map of this size is seen whole by the search: the longest run there is must be found */
                        uint32_t longest = model_longest(m);
                        uint32_t got = both_alloc(m, map, n, &first);

                        if (m->slots <= 4096)
                                expect(got == (longest < n ? longest : n));
                } else {
                        while (slot + count < m->slots && count < n && m->refs[slot + count])
                                count++;
                        both_unref(m, map, slot, count);
                }
                break;
        }
}

static void random_run(uint32_t slots, int steps, uint64_t *rng)
{
        struct model m = model_new(slots);
        struct slot_map *map = NULL;
        uint32_t lean = 50;

        ck_assert_int_eq(slot_map_new(slots, &map), 0);
        for (int i = 0; i < steps; i++) {
                if (i % 200 == 0)
                        lean = 20 + draw(rng, 70); /* fills for a while, empties for a while */
                step(&m, map, rng, lean);
                expect(slot_map_available(map) == m.available);
                if (i % 64 == 0)
                        model_compare(&m, map);
        }
        model_compare(&m, map);
        slot_map_free(map);
        free(m.refs);
}

START_TEST(test_random_small)
{
        uint64_t rng = seed_of("random_small");

        for (uint32_t slots = 1; slots <= 200; slots++)
                random_run(slots, 600, &rng);
}
END_TEST

START_TEST(test_random_words)
{
        static const uint32_t sizes[] = { 256, 257, 1000, 2048, 4095, 4096, 4097, 10000 };
        uint64_t rng = seed_of("random_words");

        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
                random_run(sizes[i], 4000, &rng);
}
END_TEST

/* One set of free slots, one length. */
static void exhaustive_case(uint32_t slots, uint32_t set, uint32_t want)
{
        struct model m = model_new(slots);
        struct slot_map *map = NULL;
        uint64_t first = 0;
        uint32_t longest;

        expect(slot_map_new(slots, &map) == 0);
        expect(both_alloc(&m, map, slots, &first) == slots);
        for (uint32_t i = 0; i < slots; i++)
                if (set >> i & 1)
                        both_unref(&m, map, i, 1);

        longest = model_longest(&m);
        expect(both_alloc(&m, map, want, &first) == (longest < want ? longest : want));
        model_compare(&m, map);
        slot_map_free(map);
        free(m.refs);
}

/* Every set of free slots of a map of 14, every length: the result is the longest run, or one of those wanted. */
START_TEST(test_exhaustive)
{
        enum { SLOTS = 14 };

        for (uint32_t set = 0; set < 1u << SLOTS; set++)
                for (uint32_t want = 1; want <= SLOTS; want++)
                        exhaustive_case(SLOTS, set, want);
}
END_TEST

/* From empty to full: what was asked for lies one behind another, nothing is left over, then nothing is had. */
START_TEST(test_fill)
{
        static const uint32_t sizes[] = { 1, 63, 64, 65, 4096, 4097, 262144 + 17 };

        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                struct model m = model_new(sizes[i]);
                struct slot_map *map = NULL;
                uint64_t first = 77, end = 0, sum = 0;
                uint32_t got;

                ck_assert_int_eq(slot_map_new(sizes[i], &map), 0);
                while ((got = both_alloc(&m, map, 64, &first)) > 0) {
                        expect(first == end || got < 64);
                        end = first + got;
                        sum += got;
                }
                ck_assert_uint_eq(sum, sizes[i]);
                first = 77;
                ck_assert_uint_eq(slot_map_alloc(map, 1, &first), 0);
                ck_assert_uint_eq(first, 77);

                both_unref(&m, map, 0, sizes[i]);
                ck_assert_uint_eq(slot_map_available(map), sizes[i]);
                ck_assert_uint_eq(both_alloc(&m, map, 300, &first), sizes[i] < 300 ? sizes[i] : 300);
                slot_map_free(map);
                free(m.refs);
        }
}
END_TEST

/* A few long holes in a large map full of single ones: the long ones are found, wherever the cursor is. */
START_TEST(test_fragmented)
{
        enum { SLOTS = 1 << 20 };
        struct model m = model_new(SLOTS);
        struct slot_map *map = NULL;
        uint64_t first = 0;

        ck_assert_int_eq(slot_map_new(SLOTS, &map), 0);
        while (both_alloc(&m, map, 256, &first))
                ;
        for (uint32_t i = 0; i < SLOTS; i += 2)
                both_unref(&m, map, i, 1);
        both_unref(&m, map, 700001, 1); /* 3 in a row: too far away, and no whole word */
        for (uint32_t at = 300001; at < 300001 + 398; at += 2) /* 399 in a row, begins amid a word */
                both_unref(&m, map, at, 1);

        ck_assert_uint_eq(both_alloc(&m, map, 256, &first), 256);
        ck_assert_uint_ge(first, 300000);
        ck_assert_uint_le(first, 300000 + 399 - 256);
        both_unref(&m, map, first, 256);
        ck_assert_uint_eq(both_alloc(&m, map, 64, &first), 64);
        ck_assert_uint_ge(first, 300000);
        ck_assert_uint_lt(first, 300400);
        while (both_alloc(&m, map, 8, &first)) /* down to the last */
                ;
        ck_assert_uint_eq(slot_map_available(map), 0);
        model_compare(&m, map);
        slot_map_free(map);
        free(m.refs);
}
END_TEST

/* The only free slot of a large map is found from any side. */
START_TEST(test_last_slot)
{
        enum { SLOTS = 300000 };
        static const uint32_t at[] = { 0, 1, 63, 64, 4095, 4096, 150000, 262143, 262144, SLOTS - 1 };
        struct model m = model_new(SLOTS);
        struct slot_map *map = NULL;
        uint64_t first = 0;

        ck_assert_int_eq(slot_map_new(SLOTS, &map), 0);
        while (both_alloc(&m, map, 256, &first))
                ;
        for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++)
                for (unsigned k = 0; k < sizeof(at) / sizeof(*at); k++) {
                        both_unref(&m, map, at[i], 1);
                        ck_assert_uint_eq(both_alloc(&m, map, 9, &first), 1);
                        ck_assert_uint_eq(first, at[i]);
                        both_unref(&m, map, at[k], 1);
                        ck_assert_uint_eq(both_alloc(&m, map, 1, &first), 1);
                        ck_assert_uint_eq(first, at[k]);
                }
        slot_map_free(map);
        free(m.refs);
}
END_TEST

START_TEST(test_refs)
{
        struct slot_map *map = NULL;
        uint64_t first = 0;

        ck_assert_int_eq(slot_map_new(100, &map), 0);
        ck_assert_uint_eq(slot_map_alloc(map, 3, &first), 3);
        for (unsigned i = 1; i < SLOT_MAP_REFS_MOST; i++)
                ck_assert_int_eq(slot_map_ref(map, first + 1), 0);
        ck_assert_int_eq(slot_map_ref(map, first + 1), -EOVERFLOW);
        ck_assert_uint_eq(slot_map_refs(map, first + 1), SLOT_MAP_REFS_MOST);

        ck_assert_uint_eq(slot_map_unref(map, first, 3), 2);
        ck_assert_uint_eq(slot_map_available(map), 99);
        for (unsigned i = 2; i < SLOT_MAP_REFS_MOST; i++)
                ck_assert_uint_eq(slot_map_unref(map, first + 1, 1), 0);
        ck_assert_uint_eq(slot_map_unref(map, first + 1, 1), 1);
        ck_assert_uint_eq(slot_map_available(map), 100);
        slot_map_free(map);
}
END_TEST

START_TEST(test_sizes)
{
        struct slot_map *map = NULL;

        ck_assert_int_eq(slot_map_new(0, &map), -EINVAL);
        ck_assert_int_eq(slot_map_new(SLOT_MAP_MOST + 1, &map), -EFBIG);
        ck_assert_ptr_null(map);
        slot_map_free(NULL);

        for (uint64_t slots = 65536; slots <= 1 << 24; slots *= 4) {
                ck_assert_int_eq(slot_map_new(slots, &map), 0);
                ck_assert_uint_eq(slot_map_slots(map), slots);
                ck_assert_double_le((double)slot_map_bytes(map) / (double)slots, 2.2);
                slot_map_free(map);
        }
}
END_TEST

/* The rest abort: misuse by the program. */
static struct slot_map *map_with_one_taken(void)
{
        struct slot_map *map = NULL;
        uint64_t first = 0;

        ck_assert_int_eq(slot_map_new(64, &map), 0);
        ck_assert_uint_eq(slot_map_alloc(map, 1, &first), 1);
        ck_assert_uint_eq(first, 0);
        return map;
}

START_TEST(test_double_free)
{
        struct slot_map *map = map_with_one_taken();

        ck_assert_uint_eq(slot_map_unref(map, 0, 1), 1);
        slot_map_unref(map, 0, 1);
}
END_TEST

START_TEST(test_ref_of_free)
{
        slot_map_ref(map_with_one_taken(), 1);
}
END_TEST

START_TEST(test_unref_beyond)
{
        slot_map_unref(map_with_one_taken(), 63, 2);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("slot-map");
        TCase *tc = tcase_create("map");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, test_random_small);
        tcase_add_test(tc, test_random_words);
        tcase_add_test(tc, test_exhaustive);
        tcase_add_test(tc, test_fill);
        tcase_add_test(tc, test_fragmented);
        tcase_add_test(tc, test_last_slot);
        tcase_add_test(tc, test_refs);
        tcase_add_test(tc, test_sizes);
        tcase_add_test_raise_signal(tc, test_double_free, SIGABRT);
        tcase_add_test_raise_signal(tc, test_ref_of_free, SIGABRT);
        tcase_add_test_raise_signal(tc, test_unref_beyond, SIGABRT);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
