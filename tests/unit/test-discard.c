// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Freed space that is discarded: files with holes get them back, and no page is lost by it, whatever is written, fails
 * or is closed while a discard is under way. Units are sectors here: a group of them is 2 MiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page-rig.h"
#include "unit-run.h"

#define GROUP (2 * MIB)
#define RUN   256u /* pages of one I/O: half a group */

static struct store_stats stats_of(const struct rig *rig)
{
        struct store_stats stats;

        store_stats(rig->store, &stats);
        return stats;
}

/* What a file takes on its filesystem. */
static uint64_t taken(unsigned file)
{
        struct stat st;

        ck_assert_int_eq(stat(rig_path(file), &st), 0);
        return (uint64_t)st.st_blocks * 512;
}

static struct rig rig_of(unsigned files, uint64_t size)
{
        rig_discard = MEDIUM_DISCARD_YES;
        return rig_on(rig_store_of(&(struct page_store_config){ 0 }, files, size, STORE_SECTOR), true);
}

/* All pages that can be had, up to `most`, in runs; they are the locations from 0 on. Returns how many. */
static uint32_t alloc_all(struct rig *rig, uint32_t most)
{
        uint32_t n = 0, got;
        store_loc first;

        for (; n < most; n += got) {
                got = store_alloc(rig->store, most - n < RUN ? most - n : RUN, &first);
                if (!got)
                        break;
                ck_assert_uint_eq(first, n);
        }
        return n;
}

/* Writes all locations from 0 on, in runs at depth. Returns the I/Os, which are under way. */
static struct io *start_all(struct rig *rig, bool write, uint32_t pages, uint32_t generation)
{
        struct io *io = calloc(pages / RUN + 1, sizeof(*io));

        ck_assert_uint_le(pages, MEMORY_PAGES);
        if (write)
                fill(rig->memory, 0, pages, generation);
        else
                memset(rig->memory, 0, (size_t)pages * STORE_PAGE);
        for (uint32_t at = 0; at < pages; at += RUN)
                io_start(rig, &io[at / RUN], write, at, pages - at < RUN ? pages - at : RUN, at);
        return io;
}

/* Waits for them; all have succeeded. */
static void end_all(struct rig *rig, struct io *io, uint32_t pages)
{
        rig_wait(rig);
        for (uint32_t at = 0; at < pages; at += RUN)
                ck_assert_int_eq(io[at / RUN].result, 0);
        free(io);
}

static void write_all(struct rig *rig, uint32_t pages, uint32_t generation)
{
        end_all(rig, start_all(rig, true, pages, generation), pages);
}

static void check_all(struct rig *rig, uint32_t pages, uint32_t generation)
{
        end_all(rig, start_all(rig, false, pages, generation), pages);
        for (uint32_t at = 0; at < pages; at += RUN)
                ck_assert(holds(rig_page(rig, at), at, pages - at < RUN ? pages - at : RUN, generation));
}

/* Each page of the store can be had, and is what was written. */
static void use_all(struct rig *rig, uint32_t generation)
{
        uint32_t pages = (uint32_t)(stats_of(rig).disk_capacity_bytes / STORE_PAGE);

        ck_assert_uint_eq(alloc_all(rig, UINT32_MAX), pages);
        write_all(rig, pages, generation);
        check_all(rig, pages, generation);
        ck_assert_uint_eq(stats_of(rig).disk_bytes, stats_of(rig).disk_capacity_bytes);
        store_unref(rig->store, 0, pages);
        ck_assert_uint_eq(stats_of(rig).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(rig).checksum_errors, 0);
}

/* Turns the loop until so many bytes were discarded; check's timeout is the bound. */
static void until_discarded(struct rig *rig, uint64_t bytes)
{
        while (stats_of(rig).discarded_bytes < bytes)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

/* Until a discard is under way. */
static void until_discarding(struct rig *rig)
{
        while (!stats_of(rig).discarding_bytes)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

/* So many pages are written, in whole groups, and freed. */
static void leave(struct rig *rig, uint32_t pages)
{
        ck_assert_uint_eq(alloc_all(rig, pages), pages);
        write_all(rig, pages, 1);
        store_unref(rig->store, 0, pages);
}

/* The file has no room before it is written to, and none after what was written is free; the store is as before. */
START_TEST(test_given_back)
{
        struct rig rig = rig_of(1, 16 * MIB);
        struct store_stats st;

        ck_assert_uint_lt(taken(0), MIB);
        leave(&rig, 2048);
        ck_assert_uint_ge(taken(0), 8 * MIB);
        until_discarded(&rig, 8 * MIB);
        ck_assert_uint_lt(taken(0), MIB);
        st = stats_of(&rig);
        ck_assert_uint_eq(st.discarded_bytes, 8 * MIB);
        ck_assert_uint_eq(st.disk_bytes + st.discarding_bytes + st.discard_errors, 0);
        ck_assert_uint_eq(st.disk_capacity_bytes, 16 * MIB);
        use_all(&rig, 2);
        ck_assert_uint_ge(taken(0), 16 * MIB);
        until_discarded(&rig, 24 * MIB);
        ck_assert_uint_lt(taken(0), MIB);
        rig_end(&rig);
}
END_TEST

/* A file that nobody asked holes of keeps its room, whatever is freed. */
START_TEST(test_not_asked)
{
        struct rig rig;

        rig_discard = _i ? MEDIUM_DISCARD_AUTO : MEDIUM_DISCARD_NO;
        rig = rig_on(rig_store_of(&(struct page_store_config){ 0 }, 1, 16 * MIB, STORE_SECTOR), true);
        ck_assert_uint_ge(taken(0), 16 * MIB);
        leave(&rig, 2048);
        ck_assert_uint_ge(taken(0), 16 * MIB);
        ck_assert_uint_eq(stats_of(&rig).discarding_bytes + stats_of(&rig).discarded_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* Groups of which a page is left are not touched, those between them are. */
START_TEST(test_some_left)
{
        struct rig rig = rig_of(1, 16 * MIB);
        const uint32_t pages = 2048, in_group = 512;
        unsigned char *page = rig_page(&rig, 0);

        ck_assert_uint_eq(alloc_all(&rig, pages), pages);
        write_all(&rig, pages, 7);
        for (uint32_t loc = 0; loc < pages; loc++)
                if (loc % (2 * in_group) != in_group / 2)
                        store_unref(rig.store, loc, 1);
        until_discarded(&rig, 2 * GROUP);
        ck_assert_uint_eq(stats_of(&rig).discarded_bytes, 2 * GROUP);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 2 * STORE_PAGE);
        ck_assert_uint_lt(taken(0), 2 * GROUP + MIB);
        for (uint32_t loc = in_group / 2; loc < pages; loc += 2 * in_group) {
                memset(page, 0, STORE_PAGE);
                ck_assert_int_eq(io_run(&rig, false, loc, 1, 0), 0);
                ck_assert(holds(page, loc, 1, 7));
                store_unref(rig.store, loc, 1);
        }
        until_discarded(&rig, 4 * GROUP);
        use_all(&rig, 8);
        rig_end(&rig);
}
END_TEST

/*
 * All of the store is wanted while some of it is being discarded: all of it is promised, what has no room yet waits,
 * and then every page is what was written.
 */
START_TEST(test_written_meanwhile)
{
        struct rig rig = rig_of(1, 16 * MIB);
        const uint32_t pages = 4096;
        struct io *io;
        unsigned late;

        set_fault("store-discard=delay:5sx1");
        leave(&rig, 2048);
        until_discarding(&rig);
        ck_assert_uint_le(stats_of(&rig).discarding_bytes, 4 * MIB); /* a quarter of what is free */
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        late = (unsigned)(stats_of(&rig).discarding_bytes / (RUN * STORE_PAGE));
        ck_assert_uint_eq(alloc_all(&rig, UINT32_MAX), pages);
        io = start_all(&rig, true, pages, 5);
        while (rig.pending > late)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert_uint_gt(stats_of(&rig).discarding_bytes, 0);
        end_all(&rig, io, pages);
        ck_assert_uint_eq(stats_of(&rig).discarding_bytes, 0);
        ck_assert_uint_gt(stats_of(&rig).discarded_bytes, 0);
        check_all(&rig, pages, 5);
        store_unref(rig.store, 0, pages);
        rig_end(&rig);
}
END_TEST

/* The log, which goes to stderr. */
static int log_fd = -1;

static void log_catch(void)
{
        log_fd = open(temp_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ck_assert_int_ge(log_fd, 0);
        ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
}

static unsigned log_count(const char *text)
{
        static char all[65536];
        ssize_t len = pread(log_fd, all, sizeof(all) - 1, 0);
        unsigned n = 0;

        ck_assert_int_ge(len, 0);
        all[len] = '\0';
        for (const char *at = all; (at = strstr(at, text)); at++)
                n++;
        return n;
}

/* One that fails is said, and what it was to discard is there like any other. */
START_TEST(test_failed)
{
        struct rig rig = rig_of(1, 16 * MIB);

        log_catch();
        set_fault("store-discard=errno:EIO");
        leave(&rig, 2048);
        while (!stats_of(&rig).discard_errors)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert_uint_eq(stats_of(&rig).discarding_bytes + stats_of(&rig).discarded_bytes, 0);
        use_all(&rig, 2);
        ck_assert_uint_eq(log_count("store t0: a discard has failed"), 1);
        rig_end(&rig);
}
END_TEST

/* A medium that refuses is said, and left alone from then on; the other one goes on. */
START_TEST(test_refused)
{
        static const char *const refusals[] = { "EOPNOTSUPP", "ENOTTY", "EINVAL" };
        struct rig rig = rig_of(2, 16 * MIB);
        char fault[64];

        log_catch();
        snprintf(fault, sizeof(fault), "store-discard=errno:%sx1", refusals[_i]);
        set_fault(fault);
        leave(&rig, 4096);
        ck_assert_uint_gt(taken(0), 2 * MIB);
        ck_assert_uint_gt(taken(1), 2 * MIB);
        while (taken(0) > MIB && taken(1) > MIB)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert_uint_gt(taken(0) + taken(1), 2 * MIB);
        ck_assert_uint_eq(stats_of(&rig).discard_errors, 1);
        ck_assert_uint_eq(log_count("refuses it, and freed space is not discarded"), 1);
        store_port_close(rig.port); /* whose timer is for nothing: the other looks for itself */
        ck_assert_int_eq(store_port_open(rig.store, rig.loop, &rig.port), 0);
        rig_end(&rig);
}
END_TEST

/* A port is closed while it discards: that waits for the end, and then all is free. _i: or so ends the store. */
START_TEST(test_closed_meanwhile)
{
        struct rig rig = rig_of(1, 16 * MIB);

        set_fault("store-discard=delay:500ms");
        leave(&rig, 2048);
        until_discarding(&rig);
        if (_i == 0) {
                store_port_close(rig.port);
                ck_assert_uint_eq(stats_of(&rig).discarding_bytes, 0);
                ck_assert_uint_gt(stats_of(&rig).discarded_bytes, 0);
                ck_assert_int_eq(store_port_open(rig.store, rig.loop, &rig.port), 0);
                until_discarded(&rig, 8 * MIB); /* the next one goes on by itself */
                use_all(&rig, 3);
        }
        rig_end(&rig);
}
END_TEST

/* Two workers of one store, of which one ends in the middle of it: the other has it all back and goes on. */
START_TEST(test_two_ports)
{
        struct rig a = rig_of(1, 32 * MIB), b = rig_on(a.store, true);

        set_fault("store-discard=delay:300ms");
        leave(&a, 4096);
        until_discarding(&a);
        store_port_close(a.port);
        loop_unregister_buffer(a.loop, a.buffer);
        loop_free(a.loop);
        free(a.memory);
        ck_assert_uint_eq(stats_of(&b).discarding_bytes, 0);
        leave(&b, 1024);
        while (taken(0) >= MIB)
                ck_assert_int_eq(loop_turn(b.loop), 0);
        rig_end(&b);
}
END_TEST

/* ---- while pages come and go ---- */

#define ROWS 64u

/* A row of adjacent locations that have pages. */
struct row {
        store_loc first;
        uint32_t pages, generation; /* no pages: it is not there */
};

static uint64_t pages_of(const struct row *row)
{
        uint64_t pages = 0;

        for (unsigned i = 0; i < ROWS; i++)
                pages += row[i].pages;
        return pages;
}

static void put(struct rig *rig, struct row *row, uint32_t pages, uint32_t generation)
{
        row->pages = store_alloc(rig->store, pages, &row->first);
        row->generation = generation;
        if (!row->pages)
                return;
        fill(rig->memory, row->first, row->pages, generation);
        ck_assert_int_eq(io_run(rig, true, row->first, row->pages, 0), 0);
}

/* What is read is what was written; then it is free. */
static void take(struct rig *rig, struct row *row)
{
        memset(rig->memory, 0, (size_t)row->pages * STORE_PAGE);
        ck_assert_int_eq(io_run(rig, false, row->first, row->pages, 0), 0);
        ck_assert(holds(rig->memory, row->first, row->pages, row->generation));
        store_unref(rig->store, row->first, row->pages);
        row->pages = 0;
}

/* Goes between much and little of the store, and never stops; each page is read before it goes. */
START_TEST(test_churn)
{
        struct rig rig = rig_of(1, 16 * MIB);
        struct row row[ROWS] = { 0 };
        uint32_t generation = 1;

        unit_random_start();
        set_fault("store-discard=delay:100ms");
        for (unsigned round = 0; round < 4; round++) {
                uint64_t before = stats_of(&rig).discarded_bytes;

                while (pages_of(row) < 3072) {
                        struct row *r = &row[unit_random(ROWS)];

                        if (r->pages)
                                take(&rig, r);
                        put(&rig, r, 64 + (uint32_t)unit_random(RUN - 63), generation++);
                }
                for (unsigned i = 4; i < ROWS; i++)
                        if (row[i].pages)
                                take(&rig, &row[i]);
                while (stats_of(&rig).discarded_bytes < before + 2 * GROUP) {
                        struct row *r = &row[unit_random(8)];

                        if (r->pages)
                                take(&rig, r);
                        put(&rig, r, 1 + (uint32_t)unit_random(RUN), generation++);
                }
        }
        for (unsigned i = 0; i < ROWS; i++)
                if (row[i].pages)
                        take(&rig, &row[i]);
        use_all(&rig, generation);
        rig_end(&rig);
}
END_TEST

/* Whether files can have holes here. */
static bool has_holes(void)
{
        bool has;
        int fd;

        temp_dir_make();
        fd = open(temp_path("probe"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        has = fd >= 0 && ftruncate(fd, 1 << 20) == 0 &&
              fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0;
        if (!has)
                printf("no holes can be made in files of this filesystem: %s\n", strerror(errno));
        if (fd >= 0)
                close(fd);
        temp_dir_remove();
        return has;
}

int main(void)
{
        TCase *tc = tcase_create("discard");

        if (!has_holes())
                return 77;
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_given_back);
        tcase_add_loop_test(tc, test_not_asked, 0, 2);
        tcase_add_test(tc, test_some_left);
        tcase_add_test(tc, test_written_meanwhile);
        tcase_add_test(tc, test_failed);
        tcase_add_loop_test(tc, test_refused, 0, 3);
        tcase_add_loop_test(tc, test_closed_meanwhile, 0, 2);
        tcase_add_test(tc, test_two_ports);
        tcase_add_test(tc, test_churn);
        return unit_run("discard", tc);
}
