// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A medium on what only root can make: a block device (a loop device, detached by the kernel when its last
 * descriptor is closed) and a filesystem without O_DIRECT (a ramfs in a mount namespace of the test's own). Skipped
 * where loop devices cannot be had.
 */
#include "store/medium-file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop-device.h"
#include "medium-rig.h"

#define SAID_MOST 4096 /* bytes of what is logged */

/* Writes all units and reads them back, some by runs and some alone. */
static void use(const struct medium_file_config *config, uint64_t bytes)
{
        struct rig rig = rig_on(config, true);
        uint64_t units = bytes / STORE_PAGE, at;
        uint32_t n;

        ck_assert_uint_eq(rig.medium->units, units);
        for (at = 0; at < units; at += n) {
                n = units - at < 100 ? (uint32_t)(units - at) : 100;
                fill(rig.memory, at, n, 4);
                ck_assert_int_eq(io_run(&rig, true, at, n, 0), 0);
        }
        for (at = 0; at < units; at += n) {
                n = at % 3 ? 1 : 50;
                if (n > units - at)
                        n = (uint32_t)(units - at);
                memset(rig.memory, 0, n * STORE_PAGE);
                ck_assert_int_eq(io_run(&rig, false, at, n, 0), 0);
                ck_assert(holds(rig.memory, at, n, 4));
        }
        rig_close(&rig);
}

static void refused(const struct medium_file_config *config, int code, const char *text)
{
        struct medium *medium = NULL;
        struct error e = { 0 };

        ck_assert_int_eq(medium_file_open(config, &medium, &e), code);
        ck_assert_ptr_null(medium);
        ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" lacks \"%s\"", e.text, text);
}

/* _i: the device's logical block size in bytes */
START_TEST(test_block_device)
{
        struct medium_file_config config = { .unit = STORE_PAGE, .name = "t", .unlink_on_close = true };
        char name[64];
        struct stat st;
        int device = attach_new(4 * MIB + 3 * 512, (unsigned)_i, name, sizeof(name));

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        config.path = name;
        use(&config, 4 * MIB);
        config.size = 2 * MIB + 1;
        use(&config, 2 * MIB);
        config.size = 4 * MIB + 8192;
        refused(&config, -ENOSPC, "is more than the block device");
        config.size = MIB - 1;
        refused(&config, -EINVAL, "the least is 1M");

        config.size = 0;
        ck_assert_int_eq(symlink(name, temp_path("by-name")), 0);
        config.path = temp_path("by-name");
        use(&config, 4 * MIB);
        ck_assert_int_eq(lstat(temp_path("by-name"), &st), 0); /* neither is ours to remove */
        ck_assert_int_eq(unlink(temp_path("by-name")), 0);
        ck_assert_int_eq(stat(name, &st), 0);
        close(device);
}
END_TEST

/* Units of 512 bytes: where the device can do no less than 4096, that is what it gets. _i: its block size */
START_TEST(test_units)
{
        struct medium_file_config config = { .name = "t", .unit = 512 };
        char name[64];
        int device = attach_new(2 * MIB, (unsigned)_i, name, sizeof(name));
        struct medium *medium;

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        config.path = name;
        medium = open_medium(&config);
        ck_assert_uint_eq(medium->unit, (unsigned)_i);
        ck_assert_uint_eq(medium->units, 2 * MIB / (unsigned)_i);
        medium_destroy(medium);
        close(device);
}
END_TEST

/* What is logged when it is opened; the caller frees it. */
static char *said_at_open(const struct medium_file_config *config)
{
        int fd = open(temp_path("said"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        char *text = calloc(1, SAID_MOST);

        ck_assert_ptr_nonnull(text);
        ck_assert(fd >= 0 && stderr_fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
        medium_destroy(open_medium(config));
        ck_assert_int_ge(dup2(stderr_fd, STDERR_FILENO), 0);
        ck_assert_int_ge(pread(fd, text, SAID_MOST - 1, 0), 0);
        close(stderr_fd);
        close(fd);
        return text;
}

/* Its file is used through the page cache until it is told otherwise, and that is said. */
START_TEST(test_loop_direct)
{
        struct medium_file_config config = { .unit = STORE_PAGE, .name = "t" };
        char name[64], wanted[128], *text;
        int device = attach_new(2 * MIB, 512, name, sizeof(name));

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        config.path = name;
        text = said_at_open(&config);
        snprintf(wanted, sizeof(wanted), "store t: %s is a loop device without direct I/O", name);
        ck_assert_msg(strstr(text, wanted) != NULL, "\"%s\" lacks \"%s\"", text, wanted);
        snprintf(wanted, sizeof(wanted), "run losetup --direct-io=on %s,", name);
        ck_assert_msg(strstr(text, wanted) != NULL, "\"%s\" lacks \"%s\"", text, wanted);
        free(text);

        ck_assert_msg(ioctl(device, LOOP_SET_DIRECT_IO, 1ul) == 0, "LOOP_SET_DIRECT_IO: %s", strerror(errno));
        text = said_at_open(&config);
        ck_assert_str_eq(text, "");
        free(text);
        close(device);
}
END_TEST

START_TEST(test_block_device_busy)
{
        struct medium_file_config config = { .unit = STORE_PAGE, .name = "t" };
        struct medium *medium;
        char name[64];
        int device = attach_new(2 * MIB, 512, name, sizeof(name)), holder;

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        config.path = name;
        medium = open_medium(&config);
        refused(&config, -EBUSY, "is mounted or in use");
        medium_destroy(medium);
        holder = open(name, O_RDONLY | O_EXCL | O_CLOEXEC);
        ck_assert_int_ge(holder, 0);
        refused(&config, -EBUSY, "is mounted or in use");
        close(holder);
        medium_destroy(open_medium(&config));
        close(device);
}
END_TEST

START_TEST(test_block_device_small)
{
        struct medium_file_config config = { .unit = STORE_PAGE, .name = "t" };
        char name[64];
        int device = attach_new(MIB - 4096, 512, name, sizeof(name));

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        config.path = name;
        refused(&config, -EINVAL, "the least is 1M");
        close(device);
}
END_TEST

/* No O_DIRECT, no fallocate, no statement of free space. */
START_TEST(test_ramfs)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "t", .size = 2 * MIB, .unlink_on_close = true
        };
        int fd;

        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        ck_assert_int_eq(mkdir(temp_path("ramfs"), 0700), 0);
        ck_assert_int_eq(mount("none", temp_path("ramfs"), "ramfs", 0, NULL), 0);
        fd = open(temp_path("ramfs/probe"), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
        ck_assert_int_eq(fd, -1); /* else this tests nothing */
        unlink(temp_path("ramfs/probe"));

        config.path = temp_path("ramfs/store");
        use(&config, 2 * MIB);
        ck_assert_int_eq(access(config.path, F_OK), -1);
        ck_assert_int_eq(umount(temp_path("ramfs")), 0);
        ck_assert_int_eq(rmdir(temp_path("ramfs")), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("medium-device");
        TCase *tc = tcase_create("device");
        SRunner *runner;
        int failed;

        if (!loop_devices_can_be_had())
                return 77;
        tcase_set_timeout(tc, 60);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_block_device, 512, 513);
        tcase_add_loop_test(tc, test_block_device, 4096, 4097);
        tcase_add_loop_test(tc, test_units, 512, 513);
        tcase_add_loop_test(tc, test_units, 4096, 4097);
        tcase_add_test(tc, test_loop_direct);
        tcase_add_test(tc, test_block_device_busy);
        tcase_add_test(tc, test_block_device_small);
        tcase_add_test(tc, test_ramfs);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
