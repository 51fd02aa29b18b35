// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of a disk store: what was written is what is read, alone and at depth, on a disk's filesystem and on a
 * tmpfs, from registered and other memory. The number of a loop test says which.
 */
#include "store/disk.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk-rig.h"

static void temp_dir_make_tmpfs(void)
{
        temp_dir_make_in("/dev/shm");
}

/* _i: whether the memory is registered */
START_TEST(test_round_trip)
{
        static const uint32_t sizes[] = { 1, 2, 17, 64, 256, 200 };
        struct rig rig = rig_new(8 * MIB, _i);
        struct store_stats stats;
        store_loc first[6];
        uint64_t total = 0, singles = 0;

        for (unsigned i = 0; i < 6; i++) {
                ck_assert_uint_eq(store_alloc(rig.store, sizes[i], &first[i]), sizes[i]);
                fill(rig.memory, first[i], sizes[i], i);
                ck_assert_int_eq(io_run(&rig, true, first[i], sizes[i], 0), 0);
                total += sizes[i];
        }
        for (unsigned i = 0; i < 6; i++) {
                memset(rig.memory, 0xee, 256 * STORE_PAGE);
                ck_assert_int_eq(io_run(&rig, false, first[i], sizes[i], 0), 0);
                ck_assert(holds(rig.memory, first[i], sizes[i], i));
                for (uint32_t k = 0; k < sizes[i]; k += 1 + k / 4, singles++) {
                        ck_assert_int_eq(io_run(&rig, false, first[i] + k, 1, 300 + k), 0);
                        ck_assert(holds(rig_page(&rig, 300 + k), first[i] + k, 1, i));
                }
        }

        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_capacity_bytes, 8 * MIB);
        ck_assert_uint_eq(stats.disk_bytes, total * STORE_PAGE);
        ck_assert_uint_eq(stats.ram_bytes, 0);
        ck_assert_uint_eq(stats.writes, 6);
        ck_assert_uint_eq(stats.written_pages, total);
        ck_assert_uint_eq(stats.reads, 6 + singles);
        ck_assert_uint_eq(stats.read_pages, total + singles);
        ck_assert_uint_eq(stats.read_errors + stats.write_errors, 0);

        for (unsigned i = 0; i < 6; i++)
                store_unref(rig.store, first[i], sizes[i]);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/*
 * 64 I/Os at a time at random places, none of which overlap, against the generation that each slot must hold.
 * _i & 1: registered memory; _i & 2: every transfer is cut short.
 */
#define DEPTH  64
#define SLOTS  2048u
#define LENGTH 32u

struct shadow {
        uint32_t generation[SLOTS]; /* 0: not written yet */
        bool busy[SLOTS];
        struct io io[DEPTH];
        unsigned ended, started;
        uint32_t seed, last;
};

static uint32_t draw(struct shadow *s, uint32_t below)
{
        s->seed = s->seed * 1664525u + 1013904223u;
        return (s->seed >> 8) % below;
}

static bool all_of(const struct shadow *s, store_loc loc, uint32_t pages, bool write)
{
        for (store_loc l = loc; l < loc + pages; l++)
                if (s->busy[l] || (!write && !s->generation[l]))
                        return false;
        return true;
}

static bool shadow_start(struct rig *rig, struct shadow *s, unsigned lane)
{
        uint32_t pages = draw(s, 2) ? 1 : 1 + draw(s, LENGTH);
        store_loc loc = draw(s, SLOTS - pages + 1);
        bool write = draw(s, 3) == 0;

        if (!all_of(s, loc, pages, write))
                return false;
        for (uint32_t k = 0; k < pages; k++) {
                s->busy[loc + k] = true;
                if (write)
                        s->generation[loc + k] = ++s->last;
        }
        for (uint32_t k = 0; k < pages; k++)
                if (write)
                        fill(rig_page(rig, lane * LENGTH + k), loc + k, 1, s->generation[loc + k]);
        io_start(rig, &s->io[lane], write, loc, pages, lane * LENGTH);
        s->started++;
        return true;
}

static void shadow_check(struct rig *rig, struct shadow *s, unsigned lane)
{
        struct io *io = &s->io[lane];

        if (io->result)
                ck_abort_msg("%s of %u: %d", io->io.write ? "write" : "read", io->io.pages, io->result);
        for (uint32_t k = 0; k < io->io.pages; k++) {
                store_loc loc = io->io.loc + k;

                if (!holds(rig_page(rig, lane * LENGTH + k), loc, 1, s->generation[loc]))
                        ck_abort_msg("slot %" PRIu64 " does not hold generation %u", loc, s->generation[loc]);
                s->busy[loc] = false;
        }
        io->done = false;
        s->ended++;
}

START_TEST(test_random_depth)
{
        struct rig rig = rig_new(SLOTS * STORE_PAGE, _i & 1);
        struct shadow *s = calloc(1, sizeof(*s));
        const char *seed = getenv("TEST_SEED");

        ck_assert_ptr_nonnull(s);
        s->seed = seed ? (uint32_t)strtoul(seed, NULL, 0) : (uint32_t)time(NULL);
        printf("random_depth: TEST_SEED=%#x\n", s->seed);
        if (_i & 2)
                set_fault("store-read=short:8192,store-write=short:12288");
        while (s->ended < 6000) {
                for (unsigned lane = 0; lane < DEPTH; lane++)
                        if (!s->io[lane].rig)
                                for (int tries = 0; tries < 20 && !shadow_start(&rig, s, lane); tries++)
                                        ;
                ck_assert_uint_gt(rig.pending, 0);
                ck_assert_int_eq(loop_turn(rig.loop), 0);
                for (unsigned lane = 0; lane < DEPTH; lane++)
                        if (s->io[lane].done) {
                                shadow_check(&rig, s, lane);
                                s->io[lane].rig = NULL;
                        }
        }
        rig_wait(&rig);
        for (unsigned lane = 0; lane < DEPTH; lane++)
                if (s->io[lane].done)
                        shadow_check(&rig, s, lane);
        ck_assert_uint_eq(s->started, s->ended);
        free(s);
        rig_end(&rig);
}
END_TEST

static void *churn(void *arg)
{
        struct store *store = arg;
        store_loc first = 0;

        for (unsigned i = 0; i < 20000; i++) {
                uint32_t got = store_alloc(store, 1 + i % 40, &first);

                if (!got)
                        continue;
                if (store_ref(store, first) < 0)
                        return arg;
                store_unref(store, first, got);
                store_unref(store, first, 1);
        }
        return NULL;
}

START_TEST(test_threads)
{
        struct disk_config config = { .name = "t", .path = temp_path("shared"), .size = MIB, .unlink_on_close = true };
        struct store *store = open_store(&config);
        struct store_stats stats;
        pthread_t threads[4];
        store_loc first = 0;
        uint32_t total = 0, got;
        void *failed;

        for (unsigned i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, store), 0);
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
                ck_assert_ptr_null(failed);
        }
        store_stats(store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, 0);
        while ((got = store_alloc(store, 100, &first)) > 0)
                total += got;
        ck_assert_uint_eq(total, MIB / STORE_PAGE);
        while (store_ref(store, 7) == 0)
                total++;
        ck_assert_int_eq(store_ref(store, 7), -EOVERFLOW);
        ck_assert_uint_eq(total, MIB / STORE_PAGE + 65533);
        store_destroy(store);
}
END_TEST

static void add_io(Suite *suite, const char *name, void (*setup)(void))
{
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, setup, temp_dir_remove);
        tcase_add_loop_test(tc, test_round_trip, 0, 2);
        tcase_add_loop_test(tc, test_random_depth, 0, 4);
        tcase_add_test(tc, test_threads);
        suite_add_tcase(suite, tc);
}

int main(void)
{
        Suite *suite = suite_create("disk");
        SRunner *runner;
        int failed;

        add_io(suite, "file", temp_dir_make);
        add_io(suite, "tmpfs", temp_dir_make_tmpfs);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
