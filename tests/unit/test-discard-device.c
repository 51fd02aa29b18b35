// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A store on a block device that discards: a loop device, whose file has fewer blocks afterwards. Skipped where loop
 * devices cannot be had, or this kernel has no discard by io_uring (Linux 6.12).
 */
#include <errno.h>
#include <sys/stat.h>

#include "loop-device.h"
#include "page-rig.h"
#include "unit-run.h"

#define SIZE (64 * MIB)
#define RUN  128u

/* What the device's file takes on its filesystem. */
static uint64_t taken(void)
{
        int fd = open(temp_path("backing"), O_RDONLY | O_CLOEXEC);
        struct stat st;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        close(fd);
        return (uint64_t)st.st_blocks * 512;
}

static struct store_stats stats_of(const struct rig *rig)
{
        struct store_stats stats;

        store_stats(rig->store, &stats);
        return stats;
}

static struct rig rig_of(const char *device, uint32_t unit, enum medium_discard discard)
{
        struct medium_file_config config = { .name = "t", .path = device, .unit = unit, .discard = discard };
        struct page_store_medium medium = { .weight = 1 };
        struct store *store = NULL;
        struct error e = { 0 };

        ck_assert_msg(medium_file_open(&config, &medium.medium, &e) == 0, "%s", e.text);
        ck_assert_msg(page_store_new(&(struct page_store_config){ 0 }, &medium, 1, &store, &e) == 0, "%s", e.text);
        return rig_on(store, true);
}

/* Writes so many pages, the locations from 0 on. */
static void put(struct rig *rig, uint32_t pages, uint32_t generation)
{
        store_loc first;

        for (uint32_t at = 0; at < pages; at += RUN) {
                ck_assert_uint_eq(store_alloc(rig->store, RUN, &first), RUN);
                ck_assert_uint_eq(first, at);
                fill(rig->memory, first, RUN, generation);
                ck_assert_int_eq(io_run(rig, true, first, RUN, 0), 0);
        }
}

/* Reads them, and frees them. */
static void take(struct rig *rig, uint32_t pages, uint32_t generation)
{
        for (uint32_t at = 0; at < pages; at += RUN) {
                memset(rig->memory, 0, (size_t)RUN * STORE_PAGE);
                ck_assert_int_eq(io_run(rig, false, at, RUN, 0), 0);
                ck_assert(holds(rig->memory, at, RUN, generation));
        }
        store_unref(rig->store, 0, pages);
}

static void until_discarded(struct rig *rig, uint64_t bytes)
{
        while (stats_of(rig).discarded_bytes < bytes)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

static void rig_close(struct rig *rig)
{
        store_port_close(rig->port);
        loop_unregister_buffer(rig->loop, rig->buffer);
        loop_free(rig->loop);
        store_destroy(rig->store);
        free(rig->memory);
}

static const struct {
        unsigned block; /* of the device */
        uint32_t unit;
} kinds[] = { { 512, STORE_SECTOR }, { 512, STORE_PAGE }, { 4096, STORE_PAGE } };

/* What was on it before goes; then what is written and freed, and nothing else. */
START_TEST(test_given_back)
{
        char name[64];
        int device = attach_new(SIZE, kinds[_i].block, name, sizeof(name));
        struct rig rig;

        ck_assert_msg(device >= 0, "loop device: %s", strerror(-device));
        rig = rig_of(name, kinds[_i].unit, MEDIUM_DISCARD_NO);
        put(&rig, SIZE / 2 / STORE_PAGE, 1);
        ck_assert_uint_ge(taken(), SIZE / 2);
        take(&rig, SIZE / 2 / STORE_PAGE, 1);
        rig_close(&rig);
        ck_assert_uint_ge(taken(), SIZE / 2);

        rig = rig_of(name, kinds[_i].unit, MEDIUM_DISCARD_AUTO);
        until_discarded(&rig, SIZE);
        ck_assert_uint_lt(taken(), MIB);
        put(&rig, SIZE / STORE_PAGE, 2);
        ck_assert_uint_ge(taken(), SIZE);
        take(&rig, SIZE / STORE_PAGE, 2);
        until_discarded(&rig, 2 * SIZE);
        ck_assert_uint_lt(taken(), MIB);
        ck_assert_uint_eq(stats_of(&rig).discard_errors, 0);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(&rig).disk_capacity_bytes, SIZE);
        rig_close(&rig);
        close(device);
}
END_TEST

struct probe {
        struct op op;
        int result;
};

static void on_probed(struct op *op, int res, unsigned flags)
{
        (void)flags;
        op_owner(op, struct probe, op)->result = res;
}

/* Whether this kernel discards for io_uring; says why not. */
static bool has_discard(void)
{
        struct probe probe = { .op.done = on_probed, .result = 1 };
        char name[64];
        struct loop *loop;
        int device, file;

        temp_dir_make();
        device = attach_new(MIB, 512, name, sizeof(name));
        temp_dir_remove();
        if (device < 0 || loop_new(&loop, NULL) < 0)
                return false;
        file = loop_register_file(loop, device);
        loop_discard(loop, &probe.op, file, 0, MIB);
        while (probe.op.armed)
                loop_turn(loop);
        loop_unregister_file(loop, file);
        loop_free(loop);
        close(device);
        if (probe.result < 0)
                printf("no discard of loop devices by io_uring: %s\n", strerror(-probe.result));
        return probe.result == 0;
}

int main(void)
{
        TCase *tc = tcase_create("discard-device");

        if (!loop_devices_can_be_had() || !has_discard())
                return 77;
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_given_back, 0, (int)(sizeof(kinds) / sizeof(*kinds)));
        return unit_run("discard-device", tc);
}
