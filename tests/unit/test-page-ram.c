// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packed pages that stay in memory: they come back without I/O, the oldest are written back when there is no more room
 * for them, and nothing is lost or left whatever happens to them meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "page-rig.h"

#define LIMIT (256u << 10)

/* _i: whether what is written to the medium is sealed */
static struct rig rig_ram(bool sealed, uint64_t size, uint64_t limit)
{
        struct page_store_config config = { .packs = true, .seals = sealed, .ram = true };
        struct store_owner_config owner = { .codec = { .codec = CODEC_LZ4, .level = 1 },
                                            .sealed = sealed,
                                            .ram = true };
        struct rig rig = rig_on(rig_store_of(&config, 1, size, STORE_SECTOR), true);

        ck_assert_int_eq(store_owner_new(rig.store, &owner, &rig.owner), 0);
        store_owner_limit(rig.store, rig.owner, limit);
        return rig;
}

static struct store_stats stats_of(struct rig *rig)
{
        struct store_stats stats;

        store_stats(rig->store, &stats);
        return stats;
}

/* Turns the loop until nothing is being written back. */
static void settle(struct rig *rig)
{
        while (store_owner_busy(rig->store, rig->owner))
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

/* Writes n pages of text from memory page `page` on. */
static store_loc put_text(struct rig *rig, uint32_t n, unsigned page)
{
        store_loc first;

        for (unsigned i = 0; i < n; i++)
                page_make_text(rig_page(rig, page + i));
        ck_assert_uint_eq(store_alloc(rig->store, n, &first), n);
        ck_assert_int_eq(io_run(rig, true, first, n, page), 0);
        return first;
}

static void check_text(struct rig *rig, store_loc first, uint32_t n, unsigned page, enum store_tier tier)
{
        struct io io;

        io_start(rig, &io, false, first, n, 3000);
        rig_wait(rig);
        ck_assert_int_eq(io.result, 0);
        ck_assert_int_eq(io.io.tier, tier);
        ck_assert_mem_eq(rig_page(rig, 3000), rig_page(rig, page), n * STORE_PAGE);
}

/* What fits stays: no I/O. What does not pack, or is one word, does not go there. */
START_TEST(test_stays)
{
        struct rig rig = rig_ram(_i, 4 * MIB, LIMIT);
        store_loc text, noise;

        unit_random_start();
        text = put_text(&rig, 20, 0);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_gt(stats_of(&rig).ram_bytes, 20 * 500);
        ck_assert_uint_eq(store_owner_ram(rig.store, rig.owner), stats_of(&rig).ram_bytes);
        check_text(&rig, text, 20, 0, STORE_MEMORY);
        check_text(&rig, text + 7, 1, 7, STORE_MEMORY);

        for (unsigned i = 100; i < 110; i++)
                page_make_random(rig_page(&rig, i));
        ck_assert_uint_eq(store_alloc(rig.store, 10, &noise), 10);
        ck_assert_int_eq(io_run(&rig, true, noise, 10, 100), 0);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 10 * STORE_PAGE);
        check_text(&rig, noise, 10, 100, STORE_DISK);

        /* What was put counts, wherever it is; what was written is what did not stay. */
        ck_assert_uint_eq(stats_of(&rig).put_bytes, 30 * STORE_PAGE);
        ck_assert_uint_eq(stats_of(&rig).disk_written_bytes, 10 * STORE_PAGE);
        store_unref(rig.store, text, 20);
        store_unref(rig.store, noise, 10);
        ck_assert_uint_eq(stats_of(&rig).ram_bytes + stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* More than fits: the oldest are on the medium, the youngest in memory, all of them are right. */
START_TEST(test_written_back)
{
        struct rig rig = rig_ram(_i, 16 * MIB, LIMIT);
        store_loc first[40];

        unit_random_start();
        for (unsigned b = 0; b < 40; b++) {
                first[b] = put_text(&rig, 20, b * 20);
                ck_assert_uint_le(store_owner_ram(rig.store, rig.owner), LIMIT);
                settle(&rig);
        }
        ck_assert_uint_gt(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_gt(store_owner_ram(rig.store, rig.owner), LIMIT / 8 * 5);
        check_text(&rig, first[0], 20, 0, STORE_DISK);
        check_text(&rig, first[39], 20, 39 * 20, STORE_MEMORY);
        for (unsigned b = 0; b < 40; b++) {
                ck_assert_int_eq(io_run(&rig, false, first[b], 20, 3000), 0);
                ck_assert_mem_eq(rig_page(&rig, 3000), rig_page(&rig, b * 20), 20 * STORE_PAGE);
                store_unref(rig.store, first[b], 20);
        }
        ck_assert_uint_eq(stats_of(&rig).ram_bytes + stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* While they are written back some are read, and some are freed, and their locations used anew. */
START_TEST(test_changed_meanwhile)
{
        struct rig rig = rig_ram(_i, 16 * MIB, LIMIT);
        store_loc first[200];
        uint32_t n = 0;
        unsigned caught = 0;

        unit_random_start();
        set_fault("store-write=delay:2ms");
        for (unsigned round = 0; round < 200; round++) {
                first[n] = put_text(&rig, 8, n * 8);
                n++;
                if (store_owner_busy(rig.store, rig.owner)) {
                        unsigned i = (unsigned)unit_random(n);

                        caught++;
                        ck_assert_int_eq(io_run(&rig, false, first[i], 8, 3000), 0);
                        ck_assert_mem_eq(rig_page(&rig, 3000), rig_page(&rig, i * 8), 8 * STORE_PAGE);
                        for (unsigned k = 0; k < 3 && n > 1; k++) {
                                i = (unsigned)unit_random(n--);
                                store_unref(rig.store, first[i], 8);
                                first[i] = first[n];
                                memcpy(rig_page(&rig, i * 8), rig_page(&rig, n * 8), 8 * STORE_PAGE);
                        }
                }
        }
        ck_assert_uint_gt(caught, 10);
        set_fault(NULL);
        settle(&rig);
        for (unsigned i = 0; i < n; i++) {
                ck_assert_int_eq(io_run(&rig, false, first[i], 8, 3000), 0);
                ck_assert_mem_eq(rig_page(&rig, 3000), rig_page(&rig, i * 8), 8 * STORE_PAGE);
                store_unref(rig.store, first[i], 8);
        }
        ck_assert_uint_eq(stats_of(&rig).ram_bytes + stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* The medium takes nothing: what is in memory stays there, and what more comes is refused, not lost. */
START_TEST(test_write_errors)
{
        struct rig rig = rig_ram(_i, 16 * MIB, LIMIT);
        store_loc first[60], more;
        unsigned n = 0;

        unit_random_start();
        set_fault("store-write=errno:EIO");
        for (; n < 60; n++) {
                for (unsigned i = 0; i < 8; i++)
                        page_make_text(rig_page(&rig, n * 8 + i));
                ck_assert_uint_eq(store_alloc(rig.store, 8, &first[n]), 8);
                if (io_run(&rig, true, first[n], 8, n * 8) < 0) {
                        store_unref(rig.store, first[n], 8);
                        break;
                }
        }
        ck_assert_uint_lt(n, 60);
        settle(&rig);
        for (unsigned b = 0; b < n; b++)
                check_text(&rig, first[b], 8, b * 8, STORE_MEMORY);
        set_fault(NULL);
        more = put_text(&rig, 8, 2000);
        check_text(&rig, more, 8, 2000, STORE_DISK);
        for (unsigned b = 0; b < n; b++)
                store_unref(rig.store, first[b], 8);
        store_unref(rig.store, more, 8);
        ck_assert_uint_eq(stats_of(&rig).ram_bytes + stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* An owner ends, its child has the pages still: they are read, and written back before another owner's. */
START_TEST(test_ended_owner)
{
        struct rig rig = rig_ram(_i, 16 * MIB, LIMIT);
        struct store_owner_config config = { .codec = { .codec = CODEC_LZ4, .level = 1 }, .sealed = _i, .ram = true };
        store_loc old, first[40];

        unit_random_start();
        old = put_text(&rig, 20, 0);
        for (unsigned i = 0; i < 20; i++)
                ck_assert_int_eq(store_ref(rig.store, old + i), 0);
        store_unref(rig.store, old, 20);
        store_owner_free(rig.store, rig.owner);
        check_text(&rig, old, 20, 0, STORE_MEMORY);
        ck_assert_int_eq(store_owner_new(rig.store, &config, &rig.owner), 0);
        store_owner_limit(rig.store, rig.owner, LIMIT);
        ck_assert_uint_eq(store_owner_ram(rig.store, rig.owner), 0);
        for (unsigned b = 1; b < 20; b++) {
                first[b] = put_text(&rig, 20, b * 20);
                settle(&rig);
        }
        check_text(&rig, old, 20, 0, STORE_DISK);
        store_unref(rig.store, old, 20);
        for (unsigned b = 1; b < 20; b++) {
                ck_assert_int_eq(io_run(&rig, false, first[b], 20, 3000), 0);
                ck_assert_mem_eq(rig_page(&rig, 3000), rig_page(&rig, b * 20), 20 * STORE_PAGE);
                store_unref(rig.store, first[b], 20);
        }
        ck_assert_uint_eq(stats_of(&rig).ram_bytes + stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page-ram");

        if (!codec_built_in(CODEC_LZ4)) {
                puts("built without lz4");
                return 77;
        }
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_stays, 0, 2);
        tcase_add_loop_test(tc, test_written_back, 0, 2);
        tcase_add_loop_test(tc, test_changed_meanwhile, 0, 2);
        tcase_add_loop_test(tc, test_write_errors, 0, 2);
        tcase_add_loop_test(tc, test_ended_owner, 0, 2);
        return unit_run("page-ram", tc);
}
