// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A port of a disk store: its queue, and what it makes of errors and of transfers cut short. Errors come from the fault
 * points; where they have to last, they do so until the test clears them.
 */
#include "store/disk.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk-rig.h"

static struct io many[1000];

START_TEST(test_beyond_bound)
{
        struct rig rig = rig_new(8 * MIB, true);
        struct store_stats stats;

        for (unsigned i = 0; i < 1000; i++) {
                fill(rig_page(&rig, i), i, 1, 5);
                io_start(&rig, &many[i], true, i, 1, i);
        }
        rig_wait(&rig);
        for (unsigned i = 0; i < 1000; i++) {
                ck_assert_int_eq(many[i].result, 0);
                io_start(&rig, &many[i], false, i, 1, 1000 + i);
        }
        rig_wait(&rig);
        for (unsigned i = 0; i < 1000; i++)
                ck_assert(many[i].result == 0 && holds(rig_page(&rig, 1000 + i), i, 1, 5));
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.writes, 1000);
        ck_assert_uint_eq(stats.reads, 1000);
        rig_end(&rig);
}
END_TEST

/* Writes that make no progress fill their lane and queue; a read is served all the same. */
START_TEST(test_reads_pass_writes)
{
        struct rig rig = rig_new(8 * MIB, true);

        fill(rig.memory, 0, 1, 9);
        ck_assert_int_eq(io_run(&rig, true, 0, 1, 0), 0);
        set_fault("store-write=errno:EAGAIN");
        for (unsigned i = 1; i < 500; i++)
                io_start(&rig, &many[i], true, i, 1, i);
        io_start(&rig, &many[0], false, 0, 1, 600);
        while (!many[0].done)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert_int_eq(many[0].result, 0);
        ck_assert(holds(rig_page(&rig, 600), 0, 1, 9));
        ck_assert_uint_eq(rig.pending, 499);

        set_fault(NULL);
        rig_wait(&rig);
        for (unsigned i = 1; i < 500; i++)
                ck_assert_int_eq(many[i].result, 0);
        rig_end(&rig);
}
END_TEST

/* done() submits the next I/O with the same store_io, from a queue that is full. */
static void chain_done(struct store_io *sio, int result)
{
        struct io *io = (struct io *)sio;

        ck_assert_int_eq(result, 0);
        if (sio->loc == 9) {
                io->rig->pending--;
                return;
        }
        sio->loc++;
        store_submit(io->rig->port, sio);
}

START_TEST(test_submit_from_done)
{
        struct rig rig = rig_new(MIB, true);
        struct store_stats stats;

        ck_assert_int_eq(io_run(&rig, true, 0, 10, 0), 0);
        for (unsigned i = 0; i < 400; i++) {
                many[i] = (struct io){ .rig = &rig };
                many[i].io = (struct store_io){ .done = chain_done, .pages = 1, .buffer = rig.buffer,
                                                .memory = rig_page(&rig, i) };
                rig.pending++;
                store_submit(rig.port, &many[i].io);
        }
        rig_wait(&rig);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.reads, 4000);
        rig_end(&rig);
}
END_TEST

/* ---- errors; _i: whether the memory is registered ---- */

START_TEST(test_errors)
{
        struct rig rig = rig_new(MIB, _i);
        struct store_stats stats;

        fill(rig.memory, 8, 4, 1);
        ck_assert_int_eq(io_run(&rig, true, 8, 4, 0), 0);

        set_fault("store-read=errno:EIO@1x1,store-write=errno:ENOSPCx1");
        for (unsigned i = 0; i < 3; i++)
                io_start(&rig, &many[i], false, 8 + i, 1, 20 + i);
        io_start(&rig, &many[3], true, 40, 1, 0);
        rig_wait(&rig);
        ck_assert_int_eq(many[0].result, 0);
        ck_assert_int_eq(many[1].result, -EIO);
        ck_assert_int_eq(many[2].result, 0);
        ck_assert_int_eq(many[3].result, -ENOSPC);
        ck_assert(holds(rig_page(&rig, 20), 8, 1, 1));
        ck_assert(holds(rig_page(&rig, 22), 10, 1, 1));

        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.reads, 3);
        ck_assert_uint_eq(stats.read_pages, 2);
        ck_assert_uint_eq(stats.read_errors, 1);
        ck_assert_uint_eq(stats.writes, 2);
        ck_assert_uint_eq(stats.written_pages, 4);
        ck_assert_uint_eq(stats.write_errors, 1);
        set_fault(NULL);
        rig_end(&rig);
}
END_TEST

/* Bytes that are not what was written: damaged, of another location, or of before. What is right is read as ever. */
START_TEST(test_wrong_bytes)
{
        struct rig rig = rig_new(MIB, _i);
        struct store_stats stats;
        unsigned char page[STORE_PAGE], byte;
        int fd = open(temp_path("store"), O_RDWR | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        fill(rig.memory, 8, 4, 1);
        ck_assert_int_eq(io_run(&rig, true, 8, 4, 0), 0);
        ck_assert_int_eq(pread(fd, page, sizeof(page), 8 * STORE_PAGE), sizeof(page));
        fill(rig.memory, 8, 1, 2);
        ck_assert_int_eq(io_run(&rig, true, 8, 1, 0), 0);

        /* The last write was lost. */
        ck_assert_int_eq(pwrite(fd, page, sizeof(page), 8 * STORE_PAGE), sizeof(page));
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 8, 1, 20), -EBADMSG);
        /* One went to the wrong place, and it is the last of several that are read. */
        ck_assert_int_eq(pwrite(fd, page, sizeof(page), 11 * STORE_PAGE), sizeof(page));
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 9, 3, 20), -EBADMSG);
        /* One bit. */
        ck_assert_int_eq(pread(fd, &byte, 1, 9 * STORE_PAGE + 4095), 1);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, 9 * STORE_PAGE + 4095), 1);
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, 9, 1, 20), -EBADMSG);
        ck_assert_int_eq(io_run(&rig, false, 10, 1, 20), 0);
        ck_assert(holds(rig_page(&rig, 20), 10, 1, 1));
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.read_errors, 3);
        ck_assert_uint_eq(stats.checksum_errors, 6);

        /* Right when it is read again. */
        set_fault("store-check=errno:EIOx1");
        ck_assert_int_eq(io_run(&rig, false, 10, 1, 20), 0);
        set_fault(NULL);
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.read_errors, 3);
        ck_assert_uint_eq(stats.checksum_errors, 7);
        close(fd);
        rig_end(&rig);
}
END_TEST

/* What passes is tried again, and what is cut short goes on. */
START_TEST(test_passing)
{
        static const char *const faults[] = {
                "store-read=errno:EINTRx3,store-write=errno:EINTRx3",
                "store-read=errno:EAGAINx4,store-write=errno:EAGAINx4",
                "store-read=errno:ENOMEMx4,store-write=errno:ENOMEMx4",
                "store-read=short:4096,store-write=short:4096",
                "store-read=short:8200,store-write=short:20000",
                "store-read=short:512x2,store-write=short:512x2",
                "store-read=delay:1ms,store-write=delay:1ms",
        };
        struct rig rig = rig_new(MIB, _i);
        struct store_stats stats;

        for (uint32_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
                fill(rig.memory, 30, 11, i);
                memset(rig_page(&rig, 100), 0, 11 * STORE_PAGE);
                set_fault(faults[i]);
                ck_assert_int_eq(io_run(&rig, true, 30, 11, 0), 0);
                ck_assert_int_eq(io_run(&rig, false, 30, 11, 100), 0);
                set_fault(NULL);
                ck_assert(holds(rig_page(&rig, 100), 30, 11, i));
                memset(rig_page(&rig, 100), 0, 11 * STORE_PAGE);
                ck_assert_int_eq(io_run(&rig, false, 30, 11, 100), 0);
                ck_assert(holds(rig_page(&rig, 100), 30, 11, i));
        }
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.writes, 7);
        ck_assert_uint_eq(stats.reads, 14);
        ck_assert_uint_eq(stats.read_errors + stats.write_errors, 0);
        rig_end(&rig);
}
END_TEST

/* A file that somebody cuts short gives an error, never a page of what was there before. */
START_TEST(test_truncated)
{
        struct rig rig = rig_new(MIB, _i);

        fill(rig.memory, 96, 64, 3);
        ck_assert_int_eq(io_run(&rig, true, 96, 64, 0), 0);
        ck_assert_int_eq(truncate(temp_path("store"), 128 * STORE_PAGE), 0);
        ck_assert_int_eq(io_run(&rig, false, 120, 4, 100), 0);
        ck_assert_int_eq(io_run(&rig, false, 120, 16, 100), -EIO);
        ck_assert_int_eq(io_run(&rig, false, 128, 1, 100), -EIO);
        set_fault("store-read=short:0x1,store-write=short:0x1");
        ck_assert_int_eq(io_run(&rig, false, 100, 1, 100), -EIO);
        ck_assert_int_eq(io_run(&rig, true, 100, 1, 100), -EIO);
        set_fault(NULL);
        rig_end(&rig);
}
END_TEST

START_TEST(test_beyond_store)
{
        struct rig rig = rig_new(MIB, false);
        struct io io;

        io_start(&rig, &io, false, 255, 2, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("disk-port");
        TCase *tc = tcase_create("port");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_beyond_bound);
        tcase_add_test(tc, test_reads_pass_writes);
        tcase_add_test(tc, test_submit_from_done);
        tcase_add_loop_test(tc, test_errors, 0, 2);
        tcase_add_loop_test(tc, test_wrong_bytes, 0, 2);
        tcase_add_loop_test(tc, test_passing, 0, 2);
        tcase_add_loop_test(tc, test_truncated, 0, 2);
        tcase_add_test_raise_signal(tc, test_beyond_store, SIGABRT);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
