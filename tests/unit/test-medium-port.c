// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A port of a medium: its queue, and what it makes of errors and of transfers cut short. Errors come from the fault
 * points; where they have to last, they do so until the test clears them.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "medium-rig.h"

static struct io many[1000];

START_TEST(test_beyond_bound)
{
        struct rig rig = rig_new(8 * MIB, true);

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
        ck_assert_uint_eq(rig.medium->writes.ios, 1000);
        ck_assert_uint_eq(rig.medium->reads.ios, 1000);
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
static void chain_done(struct medium_io *sio, int result)
{
        struct io *io = (struct io *)sio;

        ck_assert_int_eq(result, 0);
        if (sio->at == 9) {
                io->rig->pending--;
                return;
        }
        sio->at++;
        medium_submit(io->rig->port, sio);
}

START_TEST(test_submit_from_done)
{
        struct rig rig = rig_new(MIB, true);

        ck_assert_int_eq(io_run(&rig, true, 0, 10, 0), 0);
        for (unsigned i = 0; i < 400; i++) {
                many[i] = (struct io){ .rig = &rig };
                many[i].io = (struct medium_io){
                        .done = chain_done, .units = 1, .buffer = rig.buffer, .memory = rig_page(&rig, i)
                };
                rig.pending++;
                medium_submit(rig.port, &many[i].io);
        }
        rig_wait(&rig);
        ck_assert_uint_eq(rig.medium->reads.ios, 4000);
        rig_end(&rig);
}
END_TEST

/* ---- errors; _i: whether the memory is registered ---- */

START_TEST(test_errors)
{
        struct rig rig = rig_new(MIB, _i);

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

        ck_assert_uint_eq(rig.medium->reads.ios, 3);
        ck_assert_uint_eq(rig.medium->reads.bytes / STORE_PAGE, 2);
        ck_assert_uint_eq(rig.medium->reads.errors, 1);
        ck_assert_uint_eq(rig.medium->writes.ios, 2);
        ck_assert_uint_eq(rig.medium->writes.bytes / STORE_PAGE, 4);
        ck_assert_uint_eq(rig.medium->writes.errors, 1);
        set_fault(NULL);
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
        ck_assert_uint_eq(rig.medium->writes.ios, 7);
        ck_assert_uint_eq(rig.medium->reads.ios, 14);
        ck_assert_uint_eq(rig.medium->reads.errors + rig.medium->writes.errors, 0);
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

START_TEST(test_beyond_medium)
{
        struct rig rig = rig_new(MIB, false);
        struct io io;

        io_start(&rig, &io, false, 255, 2, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("medium-port");
        TCase *tc = tcase_create("port");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_beyond_bound);
        tcase_add_test(tc, test_reads_pass_writes);
        tcase_add_test(tc, test_submit_from_done);
        tcase_add_loop_test(tc, test_errors, 0, 2);
        tcase_add_loop_test(tc, test_passing, 0, 2);
        tcase_add_loop_test(tc, test_truncated, 0, 2);
        tcase_add_test_raise_signal(tc, test_beyond_medium, SIGABRT);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
