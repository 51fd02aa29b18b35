// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that are packed and sealed on their way to a medium: they come back as they were, take less room where they
 * pack, and what was changed on the medium is found out. The number of a loop test says how pages are kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "page-rig.h"
#include "store/seal.h"

static const struct kept {
        const char *codec;
        bool sealed;
} kept[] = {
        { "lz4", false }, { "zstd:1", false }, { "zstd:9", false }, { "none", true }, { "lz4", true }, { "zstd", true },
};
#define KEPT ((int)(sizeof(kept) / sizeof(*kept)))

static struct store_owner *owner_of(struct store *store, const struct kept *k)
{
        struct store_owner_config config = { .sealed = k->sealed };
        struct store_owner *owner;
        struct error e = { 0 };

        ck_assert_msg(codec_parse(k->codec, &config.codec, &e) == 0, "%s", e.text);
        ck_assert_int_eq(store_owner_new(store, &config, &owner), 0);
        ck_assert_ptr_nonnull(owner);
        return owner;
}

static struct rig rig_kept(const struct kept *k, unsigned n, uint64_t size)
{
        struct page_store_config config = { .packs = true, .seals = k->sealed };
        struct rig rig = rig_on(rig_store_of(&config, n, size, STORE_SECTOR), true);

        rig.owner = owner_of(rig.store, k);
        return rig;
}

static uint64_t used(struct rig *rig)
{
        struct store_stats stats;

        store_stats(rig->store, &stats);
        return stats.disk_bytes;
}

/* Pages of every kind, mixed, in batches, read back one by one and in runs; the room they took comes back. */
START_TEST(test_round_trip)
{
        struct rig rig = rig_kept(&kept[_i], 2, 16 * MIB);
        store_loc first[8];
        uint64_t all = 0;

        unit_random_start();
        for (unsigned b = 0; b < 8; b++) {
                unsigned char *memory = rig_page(&rig, b * 256);

                for (unsigned i = 0; i < 256; i++)
                        page_kinds[unit_random(PAGE_KINDS)].make(memory + i * STORE_PAGE);
                ck_assert_uint_eq(store_alloc(rig.store, 256, &first[b]), 256);
                ck_assert_int_eq(io_run(&rig, true, first[b], 256, b * 256), 0);
                all += 256 * STORE_PAGE;
        }
        ck_assert_uint_lt(used(&rig), all * 9 / 10);
        for (unsigned b = 0; b < 8; b++) {
                for (unsigned i = 0, n; i < 256; i += n) {
                        n = 1 + (uint32_t)unit_random(b % 2 ? 100 : 2);
                        n = n < 256 - i ? n : 256 - i;
                        memset(rig_page(&rig, 3000), 0x55, n * STORE_PAGE);
                        ck_assert_int_eq(io_run(&rig, false, first[b] + i, n, 3000), 0);
                        ck_assert_mem_eq(rig_page(&rig, 3000), rig_page(&rig, b * 256 + i), n * STORE_PAGE);
                }
        }
        for (unsigned b = 0; b < 8; b++)
                store_unref(rig.store, first[b], 256);
        ck_assert_uint_eq(used(&rig), 0);
        rig_end(&rig);
}
END_TEST

/* Many at a time, more than there are bounces, each of other pages. */
static struct io many[200];

START_TEST(test_at_once)
{
        struct rig rig = rig_kept(&kept[_i], 1, 64 * MIB);
        store_loc first[200];

        unit_random_start();
        for (unsigned i = 0; i < 200 * 10; i++)
                page_kinds[unit_random(PAGE_KINDS)].make(rig_page(&rig, i));
        for (unsigned i = 0; i < 200; i++) {
                ck_assert_uint_eq(store_alloc(rig.store, 10, &first[i]), 10);
                io_start(&rig, &many[i], true, first[i], 10, i * 10);
        }
        rig_wait(&rig);
        for (unsigned i = 0; i < 200; i++) {
                ck_assert_int_eq(many[i].result, 0);
                io_start(&rig, &many[i], false, first[i], 10, 2000 + i * 10);
        }
        rig_wait(&rig);
        for (unsigned i = 0; i < 200; i++)
                ck_assert_int_eq(many[i].result, 0);
        ck_assert_mem_eq(rig_page(&rig, 0), rig_page(&rig, 2000), 2000 * STORE_PAGE);
        rig_end(&rig);
}
END_TEST

/* Writes that make no progress have all the bounces that they may; reads are served all the same. */
START_TEST(test_reads_pass_writes)
{
        struct rig rig = rig_kept(&kept[_i], 1, 16 * MIB);
        store_loc first, more;

        unit_random_start();
        for (unsigned i = 0; i < 400; i++)
                page_make_text(rig_page(&rig, i));
        ck_assert_uint_eq(store_alloc(rig.store, 20, &first), 20);
        ck_assert_int_eq(io_run(&rig, true, first, 20, 0), 0);
        set_fault("store-write=errno:EAGAIN");
        for (unsigned i = 0; i < 30; i++) {
                ck_assert_uint_eq(store_alloc(rig.store, 10, &more), 10);
                io_start(&rig, &many[i], true, more, 10, 20 + i * 10);
        }
        io_start(&rig, &many[30], false, first, 20, 1000);
        while (!many[30].done)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert_uint_eq(rig.pending, 30);
        ck_assert_int_eq(many[30].result, 0);
        ck_assert_mem_eq(rig_page(&rig, 0), rig_page(&rig, 1000), 20 * STORE_PAGE);
        set_fault(NULL);
        rig_wait(&rig);
        for (unsigned i = 0; i < 30; i++)
                ck_assert_int_eq(many[i].result, 0);
        rig_end(&rig);
}
END_TEST

/* A page of one word takes no room, whatever the codec; a random one a page, and no more. */
START_TEST(test_room)
{
        struct rig rig = rig_kept(&kept[_i], 1, 2 * MIB);
        store_loc first;

        unit_random_start();
        for (unsigned i = 0; i < 100; i++)
                page_make_filled(rig_page(&rig, i));
        for (unsigned i = 100; i < 200; i++)
                page_make_random(rig_page(&rig, i));
        ck_assert_uint_eq(store_alloc(rig.store, 200, &first), 200);
        ck_assert_int_eq(io_run(&rig, true, first, 200, 0), 0);
        ck_assert_uint_eq(used(&rig), 100 * STORE_PAGE);
        io_start(&rig, &many[0], false, first, 100, 1000);
        io_start(&rig, &many[1], false, first, 200, 2000);
        rig_wait(&rig);
        ck_assert_int_eq(many[0].io.tier, STORE_MEMORY);
        ck_assert_int_eq(many[1].io.tier, STORE_DISK);
        ck_assert_mem_eq(rig_page(&rig, 0), rig_page(&rig, 1000), 100 * STORE_PAGE);
        rig_end(&rig);
}
END_TEST

/* Filled to the last page, in pieces, and emptied: no room is lost, and all is read right meanwhile. */
START_TEST(test_full)
{
        struct rig rig = rig_kept(&kept[_i], 2, MIB);
        store_loc first[2000];
        uint32_t got[2000], n = 0;
        unsigned char *memory = rig_page(&rig, 0);

        unit_random_start();
        for (unsigned round = 0; round < 4; round++) {
                for (; n < 2000; n++) {
                        got[n] = store_alloc(rig.store, 1 + (uint32_t)unit_random(20), &first[n]);
                        if (!got[n])
                                break;
                        for (unsigned i = 0; i < got[n]; i++)
                                page_kinds[(first[n] + i) % 3].make(memory + i * STORE_PAGE);
                        if (io_run(&rig, true, first[n], got[n], 0) == 0) {
                                ck_assert_int_eq(io_run(&rig, false, first[n], got[n], 100), 0);
                                ck_assert_mem_eq(rig_page(&rig, 100), memory, got[n] * STORE_PAGE);
                        } else {
                                /* No piece is left for a page that does not pack. */
                                store_unref(rig.store, first[n], got[n]);
                                break;
                        }
                }
                ck_assert_uint_gt(used(&rig), 2 * MIB * 8 / 10);
                for (unsigned i = 0; i < n; i++)
                        if (unit_random(2)) {
                                store_unref(rig.store, first[i], got[i]);
                                first[i] = first[n - 1];
                                got[i--] = got[n - 1];
                                n--;
                        }
        }
        while (n > 0) {
                n--;
                store_unref(rig.store, first[n], got[n]);
        }
        ck_assert_uint_eq(used(&rig), 0);
        rig_end(&rig);
}
END_TEST

/* Each byte that the medium has is changed in turn: it is found out, or was padding, and the page is right. */
START_TEST(test_changed)
{
        struct rig rig = rig_kept(&kept[_i], 1, MIB);
        int fd = open(rig_path(0), O_RDWR | O_CLOEXEC);
        unsigned found = 0, bytes;
        store_loc first;

        ck_assert_int_ge(fd, 0);
        unit_random_start();
        page_make_text(rig_page(&rig, 0));
        page_make_text(rig_page(&rig, 1));
        ck_assert_uint_eq(store_alloc(rig.store, 2, &first), 2);
        ck_assert_int_eq(io_run(&rig, true, first, 2, 0), 0);
        bytes = (unsigned)used(&rig);
        for (unsigned at = 0; at < bytes; at += 7) {
                unsigned char byte, flipped;
                int r;

                ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
                flipped = byte ^ (unsigned char)(1u << unit_random(8));
                ck_assert_int_eq(pwrite(fd, &flipped, 1, at), 1);
                ck_assert_int_eq(fdatasync(fd), 0);
                r = io_run(&rig, false, first, 2, 10);
                ck_assert(r == 0 || r == -EBADMSG);
                found += r == -EBADMSG;
                if (r == 0)
                        ck_assert_mem_eq(rig_page(&rig, 10), rig_page(&rig, 0), 2 * STORE_PAGE);
                ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        }
        ck_assert_uint_ge(found, (bytes - 2 * STORE_SECTOR) / 7); /* all but what is padding */
        ck_assert_int_eq(fdatasync(fd), 0);
        ck_assert_int_eq(io_run(&rig, false, first, 2, 10), 0);
        close(fd);
        rig_end(&rig);
}
END_TEST

/* What one wrote is not on the medium to be read, and is of no use when its key has gone with its last page. */
START_TEST(test_sealed)
{
        static const char secret[] = "the quick brown fox jumps over the lazy dog";
        struct rig rig = rig_kept(&kept[_i], 1, MIB);
        static unsigned char file[MIB];
        int fd = open(rig_path(0), O_RDWR | O_CLOEXEC);
        store_loc first;

        ck_assert_int_ge(fd, 0);
        unit_random_start();
        page_make_random(rig_page(&rig, 0));
        memcpy(rig_page(&rig, 0) + 100, secret, sizeof(secret));
        ck_assert_uint_eq(store_alloc(rig.store, 1, &first), 1);
        ck_assert_int_eq(io_run(&rig, true, first, 1, 0), 0);
        ck_assert_int_eq(pread(fd, file, MIB, 0), MIB);
        ck_assert_int_eq(memmem(file, MIB, secret, sizeof(secret) - 1) == NULL, kept[_i].sealed);

        /* A child shares the page, and its parent ends. */
        ck_assert_int_eq(store_ref(rig.store, first), 0);
        store_owner_free(rig.store, rig.owner);
        rig.owner = NULL;
        store_unref(rig.store, first, 1);
        ck_assert_int_eq(io_run(&rig, false, first, 1, 10), 0);
        ck_assert_mem_eq(rig_page(&rig, 0), rig_page(&rig, 10), STORE_PAGE);
        store_unref(rig.store, first, 1);
        close(fd);
        rig_end(&rig);
}
END_TEST

/* Errors of the medium, transfers cut short: as for pages that are not packed. */
START_TEST(test_errors)
{
        struct rig rig = rig_kept(&kept[_i], 1, 4 * MIB);
        store_loc first;

        unit_random_start();
        for (unsigned i = 0; i < 100; i++)
                page_kinds[i % PAGE_KINDS].make(rig_page(&rig, i));
        ck_assert_uint_eq(store_alloc(rig.store, 100, &first), 100);
        set_fault("store-write=errno:EIO@1x1");
        ck_assert_int_eq(io_run(&rig, true, first, 100, 0), -EIO);
        set_fault(NULL);
        store_unref(rig.store, first, 100);
        ck_assert_uint_eq(used(&rig), 0);

        ck_assert_uint_eq(store_alloc(rig.store, 100, &first), 100);
        set_fault("store-read=short:1024,store-write=short:4096");
        ck_assert_int_eq(io_run(&rig, true, first, 100, 0), 0);
        ck_assert_int_eq(io_run(&rig, false, first, 100, 200), 0);
        set_fault("store-check=errno:EIOx1");
        ck_assert_int_eq(io_run(&rig, false, first, 100, 200), 0);
        ck_assert_mem_eq(rig_page(&rig, 0), rig_page(&rig, 200), 100 * STORE_PAGE);
        set_fault("store-read=errno:EIOx1");
        ck_assert_int_eq(io_run(&rig, false, first, 100, 200), -EIO);
        set_fault(NULL);
        store_unref(rig.store, first, 100);
        rig_end(&rig);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page-pack");

        if (!codec_built_in(CODEC_LZ4) || !codec_built_in(CODEC_ZSTD) || !seal_built_in()) {
                puts("built without lz4, zstd or libcrypto");
                return 77;
        }
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_round_trip, 0, KEPT);
        tcase_add_loop_test(tc, test_at_once, 0, KEPT);
        tcase_add_loop_test(tc, test_reads_pass_writes, 0, KEPT);
        tcase_add_loop_test(tc, test_room, 0, KEPT);
        tcase_add_loop_test(tc, test_full, 0, KEPT);
        tcase_add_loop_test(tc, test_changed, 0, KEPT);
        tcase_add_loop_test(tc, test_sealed, 0, KEPT);
        tcase_add_loop_test(tc, test_errors, 0, KEPT);
        return unit_run("page-pack", tc);
}
