// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One of two media hangs: what is on the other is read and written meanwhile, however much waits for the one; then it
 * goes on, and nothing is lost. The number of a loop test says how pages are kept.
 */
#include <stdio.h>
#include <string.h>

#include "content.h"
#include "model/portions.h"
#include "page-rig.h"
#include "store/page-store-internal.h"

static const struct kept {
        const char *codec; /* NULL: as they are */
        bool ram;
} kept[] = { { NULL, false }, { "lz4", false }, { "lz4", true } };
#define KEPT ((int)(sizeof(kept) / sizeof(*kept)))

#define RUN  8u /* pages of an I/O */
#define RUNS 200u

#define RAM_LIMIT (256u << 10)

static struct io many[RUNS];
static store_loc first[RUNS];
static unsigned part[RUNS];

static struct rig rig_kept(const struct kept *k)
{
        struct page_store_config config = { .packs = k->codec != NULL, .ram = k->ram };
        struct store_owner_config owner = { .ram = k->ram };
        struct rig rig = rig_on(rig_store_of(&config, 2, 16 * MIB, k->codec ? STORE_SECTOR : STORE_PAGE), true);
        struct error e = { 0 };

        if (!k->codec)
                return rig;
        ck_assert_msg(codec_parse(k->codec, &owner.codec, &e) == 0, "%s", e.text);
        ck_assert_int_eq(store_owner_new(rig.store, &owner, &rig.owner), 0);
        store_owner_limit(rig.store, rig.owner, RAM_LIMIT);
        return rig;
}

/* Pages of run r. */
static unsigned page_of(unsigned r)
{
        return r * RUN;
}

static void start_write(struct rig *rig, unsigned r, struct portions *room)
{
        ck_assert_uint_eq(store_alloc(rig->store, RUN, &first[r]), RUN);
        io_start_in(rig, &many[r], true, first[r], RUN, page_of(r), room);
}

static void start_read(struct rig *rig, unsigned r)
{
        io_start(rig, &many[r], false, first[r], RUN, RUNS * RUN + page_of(r));
}

/* All is done, also what is written back. */
static void settle(struct rig *rig)
{
        rig_wait(rig);
        while (store_owner_busy(rig->store, rig->owner))
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

static void check_right(struct rig *rig, unsigned r)
{
        ck_assert_int_eq(many[r].result, 0);
        ck_assert_mem_eq(rig_page(rig, page_of(r)), rig_page(rig, RUNS * RUN + page_of(r)), RUN * STORE_PAGE);
}

/* Turns until so many of those I/Os that are on a part, or of all (SPREAD_MOST), have ended. */
static void wait_for(struct rig *rig, unsigned which, unsigned n)
{
        for (;;) {
                unsigned done = 0;

                for (unsigned r = 0; r < RUNS; r++)
                        done += many[r].done && (which == SPREAD_MOST || part[r] == which);
                if (done >= n)
                        return;
                ck_assert_int_eq(loop_turn(rig->loop), 0);
        }
}

/* Fills all, each run on one medium. Returns how many are on the second. */
static unsigned fill_all(struct rig *rig)
{
        unsigned n = 0;

        unit_random_start();
        for (unsigned i = 0; i < RUNS * RUN; i++)
                page_make_text(rig_page(rig, i));
        for (unsigned r = 0; r < RUNS; r++)
                start_write(rig, r, NULL);
        rig_wait(rig);
        for (unsigned r = 0; r < RUNS; r++) {
                ck_assert_int_eq(many[r].result, 0);
                ck_assert_uint_eq(store_part(rig->store, first[r], RUN, &part[r]), RUN);
                n += part[r] == 1;
        }
        ck_assert_uint_gt(n, 20);
        ck_assert_uint_lt(n, RUNS - 20);
        return n;
}

START_TEST(test_reads)
{
        struct rig rig = rig_kept(&kept[_i]);
        unsigned slow = fill_all(&rig);

        set_fault("store-read.t1=hang");
        for (unsigned r = 0; r < RUNS; r++)
                if (part[r] == 1)
                        start_read(&rig, r);
        for (unsigned r = 0; r < RUNS; r++)
                if (part[r] == 0)
                        start_read(&rig, r);
        wait_for(&rig, 0, RUNS - slow);
        ck_assert_uint_eq(rig.pending, slow);
        for (unsigned r = 0; r < RUNS; r++)
                if (part[r] == 0)
                        check_right(&rig, r);
        set_fault(NULL);
        rig_wait(&rig);
        for (unsigned r = 0; r < RUNS; r++)
                check_right(&rig, r);
        settle(&rig);
        rig_end(&rig);
}
END_TEST

/* Something is under way that has not ended: an I/O, or what is being written back. */
static bool is_hanging(const struct rig *rig)
{
        return rig->pending || store_owner_busy(rig->store, rig->owner);
}

/* Writes begin while one hangs: it gets a bounded part of them, and the others end. */
START_TEST(test_writes)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct portions room;
        unsigned begun = 0;

        unit_random_start();
        for (unsigned i = 0; i < RUNS * RUN; i++)
                page_make_text(rig_page(&rig, i));
        portions_init(&room, 32 * RUN, store_parts(rig.store)); /* of a ring */
        set_fault("store-write.t1=hang");
        memset(many, 0, sizeof(many));
        /* A slot is used again when its write has ended, as in a ring. */
        while (begun < RUNS) {
                while (begun < RUNS && rig.pending < 32)
                        start_write(&rig, begun++, &room);
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        }
        wait_for(&rig, SPREAD_MOST, RUNS - portions_most(&room) / RUN);
        ck_assert(is_hanging(&rig));
        set_fault(NULL);
        rig_wait(&rig);
        for (unsigned r = 0; r < RUNS; r++) {
                ck_assert_int_eq(many[r].result, 0);
                start_read(&rig, r);
        }
        rig_wait(&rig);
        for (unsigned r = 0; r < RUNS; r++)
                check_right(&rig, r);
        settle(&rig);
        rig_end(&rig);
}
END_TEST

/* Both hang: all waits, and all goes on. */
START_TEST(test_both)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct portions room;

        unit_random_start();
        for (unsigned i = 0; i < RUNS * RUN; i++)
                page_make_text(rig_page(&rig, i));
        portions_init(&room, RUNS * RUN, store_parts(rig.store));
        set_fault("store-write=hang");
        for (unsigned r = 0; r < RUNS; r++)
                start_write(&rig, r, &room);
        for (uint64_t until = loop_now(rig.loop) + 2 * MEDIUM_SLOW_NS; loop_now(rig.loop) < until;)
                ck_assert_int_eq(loop_turn(rig.loop), 0);
        ck_assert(is_hanging(&rig) && (kept[_i].ram || rig.pending == RUNS)); /* some stay in memory */
        set_fault(NULL);
        rig_wait(&rig);
        for (unsigned r = 0; r < RUNS; r++)
                start_read(&rig, r);
        rig_wait(&rig);
        for (unsigned r = 0; r < RUNS; r++)
                check_right(&rig, r);
        for (unsigned i = 0; i < 2; i++)
                ck_assert_uint_eq(room.has[i], 0);
        settle(&rig);
        rig_end(&rig);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page-hang");

        if (!codec_built_in(CODEC_LZ4)) {
                puts("built without lz4");
                return 77;
        }
        tcase_set_timeout(tc, 60);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_reads, 0, 2);
        tcase_add_loop_test(tc, test_writes, 0, KEPT);
        tcase_add_loop_test(tc, test_both, 0, KEPT);
        return unit_run("page-hang", tc);
}
