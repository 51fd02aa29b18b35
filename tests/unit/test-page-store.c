// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store of pages: what was written is what is read, on one medium and on several, at depth and when media fail.
 * What is not what was written is found out.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "page-rig.h"
#include "unit-run.h"

/* Allocates and writes `pages` pages; they get that generation. Returns the first location. */
static store_loc put(struct rig *rig, uint32_t pages, uint32_t generation)
{
        store_loc first = 0;

        ck_assert_uint_eq(store_alloc(rig->store, pages, &first), pages);
        fill(rig->memory, first, pages, generation);
        ck_assert_int_eq(io_run(rig, true, first, pages, 0), 0);
        return first;
}

/* _i & 1: registered memory; _i / 2 + 1: media */
START_TEST(test_round_trip)
{
        static const uint32_t sizes[] = { 1, 2, 17, 64, 256, 200 };
        unsigned n = (unsigned)_i / 2 + 1;
        struct rig rig = rig_new(n, 8 * MIB, _i & 1);
        struct store_stats stats;
        store_loc first[6];
        uint64_t total = 0, singles = 0;

        for (unsigned i = 0; i < 6; i++) {
                first[i] = put(&rig, sizes[i], i);
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
        ck_assert_uint_eq(stats.disk_capacity_bytes, n * 8 * MIB);
        ck_assert_uint_eq(stats.disk_bytes, total * STORE_PAGE);
        ck_assert_uint_eq(stats.ram_bytes, 0);
        ck_assert_uint_eq(stats.writes, 6);
        ck_assert_uint_eq(stats.written_pages, total);
        ck_assert_uint_eq(stats.reads, 6 + singles);
        ck_assert_uint_eq(stats.read_pages, total + singles);
        ck_assert_uint_eq(stats.read_errors + stats.write_errors, 0);
        ck_assert_uint_eq(stats.put_bytes, total * STORE_PAGE);
        ck_assert_uint_eq(stats.disk_written_bytes, total * STORE_PAGE);
        ck_assert_uint_eq(stats.disk_free_long_bytes, stats.disk_capacity_bytes - stats.disk_bytes);
        ck_assert_uint_eq(stats.disk_free_runs, n);
        ck_assert_uint_gt(stats.disk_free_longest_bytes, 0);

        for (unsigned i = 0; i < 6; i++)
                store_unref(rig.store, first[i], sizes[i]);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/*
 * 64 I/Os at a time: runs are written, read as a whole and in parts, and freed, in any order, until the store has been
 * filled many times over. _i & 1: three media; _i & 2: every transfer is cut short.
 */
#define LANES  64u
#define RUNS   192u
#define LENGTH 32u

struct run {
        store_loc first;
        uint32_t pages; /* 0: there is none */
        uint32_t generation;
        bool busy;
};

struct shadow {
        struct run run[RUNS];
        struct io io[LANES];
        struct run *of[LANES]; /* NULL: the lane is free */
        unsigned ended, refused;
        uint32_t seed, last;
};

static uint32_t draw(struct shadow *s, uint32_t below)
{
        s->seed = s->seed * 1664525u + 1013904223u;
        return (s->seed >> 8) % below;
}

static void begin(struct rig *rig, struct shadow *s, unsigned lane)
{
        struct run *run = &s->run[draw(s, RUNS)];
        uint32_t skip;

        if (run->busy)
                return;
        if (!run->pages) {
                run->pages = store_alloc(rig->store, 1 + draw(s, LENGTH), &run->first);
                s->refused += !run->pages;
                if (!run->pages)
                        return;
                run->generation = ++s->last;
                fill(rig_page(rig, lane * LENGTH), run->first, run->pages, run->generation);
                io_start(rig, &s->io[lane], true, run->first, run->pages, lane * LENGTH);
        } else if (draw(s, 3) == 0) {
                store_unref(rig->store, run->first, run->pages);
                run->pages = 0;
                return;
        } else {
                skip = draw(s, run->pages);
                io_start(rig, &s->io[lane], false, run->first + skip, 1 + draw(s, run->pages - skip), lane * LENGTH);
        }
        run->busy = true;
        s->of[lane] = run;
}

static void finish(struct rig *rig, struct shadow *s, unsigned lane)
{
        const struct store_io *io = &s->io[lane].io;
        struct run *run = s->of[lane];

        ck_assert_int_eq(s->io[lane].result, 0);
        for (uint32_t k = 0; k < io->pages; k++)
                ck_assert(holds(rig_page(rig, lane * LENGTH + k), io->loc + k, 1, run->generation));
        run->busy = false;
        s->of[lane] = NULL;
        s->ended++;
}

START_TEST(test_random_depth)
{
        struct rig rig = rig_new(_i & 1 ? 3 : 1, _i & 1 ? 2 * MIB : 6 * MIB, true);
        struct shadow *s = calloc(1, sizeof(*s));
        const char *seed = getenv("TEST_SEED");
        struct store_stats stats;

        ck_assert_ptr_nonnull(s);
        s->seed = seed ? (uint32_t)strtoul(seed, NULL, 0) : (uint32_t)time(NULL);
        printf("random_depth: TEST_SEED=%#x\n", s->seed);
        if (_i & 2)
                set_fault("store-read=short:8192,store-write=short:12288");
        while (s->ended < 20000) {
                for (unsigned lane = 0; lane < LANES; lane++)
                        for (int tries = 0; !s->of[lane] && tries < 20; tries++)
                                begin(&rig, s, lane);
                if (rig.pending)
                        ck_assert_int_eq(loop_turn(rig.loop), 0);
                for (unsigned lane = 0; lane < LANES; lane++)
                        if (s->of[lane] && s->io[lane].done)
                                finish(&rig, s, lane);
        }
        rig_wait(&rig);
        for (unsigned lane = 0; lane < LANES; lane++)
                if (s->of[lane])
                        finish(&rig, s, lane);
        for (unsigned i = 0; i < RUNS; i++)
                if (s->run[i].pages)
                        store_unref(rig.store, s->run[i].first, s->run[i].pages);
        ck_assert_uint_gt(s->refused, 0); /* it was full */
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, 0);
        free(s);
        rig_end(&rig);
}
END_TEST

/* Pages of medium i's file that are not zeros. */
static unsigned pages_in(unsigned i)
{
        unsigned char page[STORE_PAGE];
        int fd = open(rig_path(i), O_RDONLY | O_CLOEXEC);
        unsigned pages = 0;
        struct stat st;

        ck_assert_int_eq(fstat(fd, &st), 0);
        for (off_t at = 0; at < st.st_size; at += STORE_PAGE) {
                ck_assert_int_eq(pread(fd, page, sizeof(page), at), sizeof(page));
                pages += page[0] || memcmp(page, page + 1, STORE_PAGE - 1) != 0;
        }
        close(fd);
        return pages;
}

/* Three media get their shares by weight. */
START_TEST(test_shares)
{
        struct rig rig = rig_new(3, 32 * MIB, true);
        struct store_stats stats;

        for (unsigned i = 0; i < 60; i++)
                put(&rig, 64, i);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, UINT64_C(60) * 64 * STORE_PAGE);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_uint_eq(pages_in(i), 640 * (i + 1));
        rig_end(&rig);
}
END_TEST

/* A write has failed: what the pager writes anew goes to the other medium, and the failed one's units are free. */
START_TEST(test_failing_medium)
{
        struct rig rig = rig_new(2, 8 * MIB, true);
        struct store_stats stats;
        store_loc first;

        ck_assert_uint_eq(store_alloc(rig.store, 8, &first), 8);
        fill(rig.memory, first, 8, 1);
        set_fault("store-write=errno:EIOx1");
        ck_assert_int_eq(io_run(&rig, true, first, 8, 0), -EIO);
        set_fault(NULL);
        store_unref(rig.store, first, 8);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.disk_bytes, 0);
        ck_assert_uint_eq(stats.write_errors, 1);
        for (unsigned i = 0; i < 20; i++) {
                first = put(&rig, 8, i);
                memset(rig.memory, 0, 8 * STORE_PAGE);
                ck_assert_int_eq(io_run(&rig, false, first, 8, 0), 0);
                ck_assert(holds(rig.memory, first, 8, i));
        }
        ck_assert_uint_eq(pages_in(0) == 0 || pages_in(1) == 0, 1);
        ck_assert_uint_eq(pages_in(0) + pages_in(1), 160);
        rig_end(&rig);
}
END_TEST

/* Bytes that are not what was written: damaged, of another place, or of before. What is right is read as ever. */
START_TEST(test_wrong_bytes)
{
        struct rig rig = rig_new(1, MIB, _i);
        struct store_stats stats;
        unsigned char page[STORE_PAGE], byte;
        store_loc first = put(&rig, 4, 1);
        int fd = open(rig_path(0), O_RDWR | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_uint_eq(first, 0); /* and so are the units */
        ck_assert_int_eq(pread(fd, page, sizeof(page), 0), sizeof(page));
        store_unref(rig.store, 0, 1);
        while (put(&rig, 1, 2) != 0) /* the same place is written again, some time */
                ;

        /* The last write was lost. */
        ck_assert_int_eq(pwrite(fd, page, sizeof(page), 0), sizeof(page));
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 0, 1, 20), -EBADMSG);
        /* One went to the wrong place, and it is the last of several that are read. */
        ck_assert_int_eq(pwrite(fd, page, sizeof(page), 3 * STORE_PAGE), sizeof(page));
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 1, 3, 20), -EBADMSG);
        /* One bit. */
        ck_assert_int_eq(pread(fd, &byte, 1, 1 * STORE_PAGE + 4095), 1);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, 1 * STORE_PAGE + 4095), 1);
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 1, 1, 20), -EBADMSG);
        ck_assert_int_eq(io_run(&rig, false, 2, 1, 20), 0);
        ck_assert(holds(rig_page(&rig, 20), 2, 1, 1));
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.read_errors, 3);
        ck_assert_uint_eq(stats.checksum_errors, 6);

        /* Right when it is read again. */
        set_fault("store-check=errno:EIOx1");
        ck_assert_int_eq(io_run(&rig, false, 2, 1, 20), 0);
        set_fault(NULL);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.read_errors, 3);
        ck_assert_uint_eq(stats.checksum_errors, 7);
        close(fd);
        rig_end(&rig);
}
END_TEST

/* Whether a page is what was written to a location: that page alone, and there alone. */
START_TEST(test_same)
{
        struct rig rig = rig_new(1, MIB, false);
        store_loc first = put(&rig, 3, 1);
        unsigned char *page = rig_page(&rig, 1);

        ck_assert(store_can_compare(rig.store));
        for (unsigned i = 0; i < 3; i++)
                for (unsigned k = 0; k < 3; k++)
                        ck_assert_int_eq(store_same(rig.store, first + i, rig_page(&rig, k)), i == k);
        for (unsigned bit = 0; bit < STORE_PAGE * 8; bit += 37) {
                page[bit / 8] ^= (unsigned char)(1u << bit % 8);
                ck_assert(!store_same(rig.store, first + 1, page));
                page[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        ck_assert(store_same(rig.store, first + 1, page));
        rig_end(&rig);
}
END_TEST

/* Room that was promised to locations is nobody else's, written or not, and comes back in either case. */
START_TEST(test_promises)
{
        struct rig rig = rig_new(2, MIB, false);
        store_loc first[4], none;
        uint32_t got[4];

        for (unsigned i = 0; i < 4; i++)
                got[i] = store_alloc(rig.store, 128, &first[i]);
        for (unsigned i = 0; i < 128; i++)
                fill(rig_page(&rig, i), i, 1, 1);
        ck_assert_uint_eq(got[0] + got[1] + got[2] + got[3], 2 * MIB / STORE_PAGE);
        ck_assert_uint_eq(store_alloc(rig.store, 1, &none), 0);
        ck_assert_int_eq(io_run(&rig, true, first[1], got[1], 0), 0);
        ck_assert_uint_eq(store_alloc(rig.store, 1, &none), 0);
        set_fault("store-write=errno:EIO");
        ck_assert_int_eq(io_run(&rig, true, first[2], got[2], 0), -EIO);
        set_fault(NULL);
        ck_assert_uint_eq(store_alloc(rig.store, 1, &none), 0);
        for (unsigned i = 0; i < 4; i++) {
                store_unref(rig.store, first[i], got[i]);
                ck_assert_uint_eq(store_alloc(rig.store, 200, &none), got[i]);
                store_unref(rig.store, none, got[i]);
                ck_assert_uint_eq(store_alloc(rig.store, 128, &first[i]), got[i]);
        }
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
        struct store *store = rig_store(1, MIB);
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

START_TEST(test_beyond_store)
{
        struct rig rig = rig_new(1, MIB, false);
        struct io io;

        io_start(&rig, &io, false, 255, 2, 0);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page-store");

        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_round_trip, 0, 4);
        tcase_add_loop_test(tc, test_random_depth, 0, 4);
        tcase_add_test(tc, test_shares);
        tcase_add_test(tc, test_failing_medium);
        tcase_add_loop_test(tc, test_wrong_bytes, 0, 2);
        tcase_add_test(tc, test_same);
        tcase_add_test(tc, test_promises);
        tcase_add_test(tc, test_threads);
        tcase_add_test_raise_signal(tc, test_beyond_store, SIGABRT);
        return unit_run("page-store", tc);
}
