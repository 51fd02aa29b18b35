// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a medium may be opened on, and what is refused: with which text, and that nothing is left behind.
 */
#include "store/medium-file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/medium.h"
#include "store/store.h"
#include "temp-dir.h"
#include "util/error.h"

#define MIB (UINT64_C(1) << 20)

static unsigned entries(const char *path)
{
        DIR *d = opendir(path);
        unsigned n = 0;

        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void make_file(const char *path, uint64_t size)
{
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        close(fd);
}

static struct medium *open_medium(const struct medium_file_config *config)
{
        struct error e = { 0 };
        struct medium *medium = NULL;

        ck_assert_msg(medium_file_open(config, &medium, &e) == 0, "%s", e.text);
        ck_assert_ptr_nonnull(medium);
        return medium;
}

START_TEST(test_file_made)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "t", .path = temp_path("made"), .size = 3 * MIB + 5000
        };
        struct stat st;
        struct medium *medium = open_medium(&config);

        ck_assert_int_eq(stat(config.path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777u, 0600);
        ck_assert_uint_eq((uint64_t)st.st_size, 3 * MIB + 4096);
        ck_assert_uint_ge((uint64_t)st.st_blocks * 512, 3 * MIB + 4096);
        ck_assert_uint_eq(medium->units * medium->unit, 3 * MIB + 4096);
        medium_destroy(medium);
        ck_assert_int_eq(access(config.path, F_OK), 0);

        /* an old store is taken over, and is not ours to remove */
        config.unlink_on_close = true;
        medium_destroy(open_medium(&config));
        ck_assert_int_eq(unlink(config.path), 0);

        medium_destroy(open_medium(&config));
        ck_assert_int_eq(access(config.path, F_OK), -1);
        medium_destroy(NULL);
}
END_TEST

/* A relative path outlives a change of directory, and only the file that was made is removed. */
START_TEST(test_unlink_right_one)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "t", .path = "relative", .size = MIB, .unlink_on_close = true
        };
        struct medium *medium;
        char *there = realpath(temp_dir, NULL);

        ck_assert_ptr_nonnull(there);
        ck_assert_int_eq(chdir(there), 0);
        medium = open_medium(&config);
        ck_assert_int_eq(access("relative", F_OK), 0);
        ck_assert_int_eq(chdir("/"), 0);
        medium_destroy(medium);
        ck_assert_int_eq(chdir(there), 0);
        ck_assert_int_eq(access("relative", F_OK), -1);

        medium = open_medium(&config);
        ck_assert_int_eq(rename("relative", "moved"), 0);
        make_file("relative", 1);
        medium_destroy(medium);
        ck_assert_int_eq(unlink("relative"), 0);
        ck_assert_int_eq(unlink("moved"), 0);
        free(there);
}
END_TEST

START_TEST(test_empty_file)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "t", .path = temp_path("empty"), .size = MIB, .unlink_on_close = true
        };
        struct stat st;

        make_file(config.path, 0);
        ck_assert_int_eq(chmod(config.path, 0644), 0);
        medium_destroy(open_medium(&config));
        ck_assert_int_eq(stat(config.path, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_size, MIB);
        ck_assert_uint_eq(st.st_mode & 07777u, 0600);
        ck_assert_int_eq(unlink(config.path), 0);
}
END_TEST

/* Opens what must be refused: with this code and text, no descriptor and no file left behind. */
static void refused(const char *path, uint64_t size, int code, const char *text)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "cold", .path = path, .size = size, .unlink_on_close = true
        };
        unsigned files = entries(temp_dir), fds = entries("/proc/self/fd");
        struct medium *medium = NULL;
        struct error e = { 0 };
        int r = medium_file_open(&config, &medium, &e);

        ck_assert_msg(r == code && e.code == code, "%s: %d, not %d: %s", path, r, code, e.text);
        ck_assert_ptr_null(medium);
        ck_assert_msg(strstr(e.text, text) && strstr(e.text, "store cold: "), "\"%s\" lacks \"%s\"", e.text, text);
        ck_assert_uint_eq(entries("/proc/self/fd"), fds);
        ck_assert_uint_eq(entries(temp_dir), files);
        ck_assert_int_lt(medium_file_open(&config, &medium, NULL), 0);
}

START_TEST(test_refusals)
{
        char text[600];

        refused(temp_path("new"), 0, -EINVAL, "the least is 1M (1048576 bytes)");
        refused(temp_path("new"), MIB - 1, -EINVAL, "a size of 1048575 bytes");
        refused(temp_path("new"), UINT64_MAX, -EFBIG, "too large");
        refused("", MIB, -EINVAL, "path= is empty");
        refused(NULL, MIB, -EINVAL, "path= is empty");
        refused(temp_dir, MIB, -EISDIR, "is a directory");
        refused(temp_path(""), MIB, -EISDIR, "is a directory");
        refused(temp_path(".."), MIB, -EISDIR, "is a directory");
        refused("/dev/null", MIB, -EINVAL, "a character device; a store is a file or a block device");
        snprintf(text, sizeof(text), "the directory %s does not exist", temp_path("no/such"));
        refused(temp_path("no/such/store"), MIB, -ENOENT, text);

        ck_assert_int_eq(mkfifo(temp_path("fifo"), 0600), 0);
        refused(temp_path("fifo"), MIB, -EINVAL, "is a fifo");
        refused(temp_path("fifo/store"), MIB, -ENOTDIR, "cannot use the directory");

        make_file(temp_path("file"), 2 * MIB);
        refused(temp_path("file"), MIB, -EEXIST, "is a file of 2097152 bytes, which is not a store of size=1048576");
        ck_assert_int_eq(symlink("file", temp_path("link")), 0);
        refused(temp_path("link"), 2 * MIB, -ELOOP, "symbolic link, which may name a block device only");
        ck_assert_int_eq(symlink("nothing", temp_path("dangling")), 0);
        refused(temp_path("dangling"), MIB, -ENOENT, "a symbolic link that leads nowhere");
        for (unsigned i = 0; i < 4; i++)
                ck_assert_int_eq(unlink(temp_path((const char *[]){ "fifo", "file", "link", "dangling" }[i])), 0);
}
END_TEST

START_TEST(test_in_use)
{
        struct medium_file_config config = {
                .unit = STORE_PAGE, .name = "t", .path = temp_path("locked"), .size = MIB, .unlink_on_close = true
        };
        struct medium *medium = open_medium(&config);

        refused(config.path, MIB, -EBUSY, "is in use by another vmpagerd");
        refused(config.path, 2 * MIB, -EBUSY, "is in use by another vmpagerd");
        ck_assert_int_eq(access(config.path, F_OK), 0);
        medium_destroy(medium);
        medium_destroy(open_medium(&config));
        ck_assert_int_eq(access(config.path, F_OK), -1);
}
END_TEST

START_TEST(test_no_space)
{
        struct statvfs fs;
        char text[64];

        ck_assert_int_eq(statvfs(temp_dir, &fs), 0);
        snprintf(text, sizeof(text), "(%" PRIu64 " bytes) more", ((uint64_t)fs.f_blocks * fs.f_frsize & ~4095ul) + MIB);
        refused(temp_path("huge"), (uint64_t)fs.f_blocks * fs.f_frsize + MIB, -ENOSPC, text);
        refused(temp_path("huge"), (uint64_t)fs.f_blocks * fs.f_frsize + MIB, -ENOSPC, "bytes) free");
}
END_TEST

/* Space that is refused only when it is taken. */
START_TEST(test_file_limit)
{
        struct rlimit limit = { 2 * MIB, 2 * MIB };
        struct stat st;

        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        refused(temp_path("limited"), 4 * MIB, -EFBIG, "cannot give");
        make_file(temp_path("limited"), 0);
        refused(temp_path("limited"), 4 * MIB, -EFBIG, "cannot give");
        ck_assert_int_eq(stat(temp_path("limited"), &st), 0);
        ck_assert_int_eq(st.st_size, 0);
        ck_assert_int_eq(st.st_blocks, 0);
        ck_assert_int_eq(unlink(temp_path("limited")), 0);
}
END_TEST

/* Without root's rights: a directory that cannot be written, a file of somebody else. */
START_TEST(test_no_permission)
{
        ck_assert_int_eq(mkdir(temp_path("shut"), 0755), 0);
        make_file(temp_path("theirs"), MIB);
        if (geteuid() == 0) {
                ck_assert_int_eq(chmod(temp_path("theirs"), 0666), 0);
                ck_assert_int_eq(chmod(temp_dir, 0755), 0);
                ck_assert_int_eq(chdir(temp_dir), 0); /* the way to it may be closed to others */
                ck_assert_int_eq(setresuid(-1, 65534, -1), 0);
                snprintf(temp_dir, sizeof(temp_dir), ".");
                refused("theirs", MIB, -EPERM, "belongs to uid 0");
        } else {
                ck_assert_int_eq(chmod(temp_path("shut"), 0555), 0);
        }
        refused(temp_path("shut/store"), MIB, -EACCES, "is not writable");
        if (getuid() == 0) { /* the leak checker wants to look at this process when it exits */
                ck_assert_int_eq(setresuid(-1, 0, -1), 0);
                ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("medium-file");
        TCase *tc = tcase_create("open");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_test(tc, test_file_made);
        tcase_add_test(tc, test_unlink_right_one);
        tcase_add_test(tc, test_empty_file);
        tcase_add_test(tc, test_refusals);
        tcase_add_test(tc, test_in_use);
        tcase_add_test(tc, test_no_space);
        tcase_add_test(tc, test_file_limit);
        tcase_add_test(tc, test_no_permission);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
