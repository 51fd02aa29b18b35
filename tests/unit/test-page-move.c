// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that are moved so that free units lie together: while pages are written, read and freed at depth, until many
 * were moved. Each has always what it was written with, whatever fails meanwhile, and nothing is left of any.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page-rig.h"
#include "store/seal.h"
#include "unit-run.h"

static const struct kept {
        const char *codec; /* NULL: pages are kept as they are */
        bool sealed;
        uint32_t unit;
        unsigned mib;
        unsigned full; /* %: groups of large units are large, and there are few */
} kept[] = {
        { NULL, false, STORE_PAGE, 64, 70 },    { NULL, false, STORE_SECTOR, 32, 85 },
        { "lz4", false, STORE_SECTOR, 32, 85 }, { "zstd:1", false, STORE_SECTOR, 32, 85 },
        { "none", true, STORE_SECTOR, 32, 85 }, { "lz4", true, STORE_SECTOR, 32, 85 },
};
#define KEPT ((int)(sizeof(kept) / sizeof(*kept)))

#define LANES  24u
#define LENGTH 64u

struct lane {
        struct io io;
        bool busy, late;
        uint32_t generation; /* of what it writes */
};

/* What is known of each location: the generation of its page (0: none), and how many reads of it are under way. */
struct shadow {
        uint32_t *generation;
        uint16_t *reads;
        store_loc *live; /* locations that have a page, in any order */
        uint64_t *place; /* of each of them in that list */
        uint64_t locations, n_live;
        uint32_t last;
        struct lane lane[LANES];
        unsigned ended, failed; /* I/Os, and those of them that ended with an error */
        uint64_t random;        /* xorshift64: one for each thread */
};

static uint64_t draw(struct shadow *s, uint64_t below)
{
        s->random ^= s->random << 13;
        s->random ^= s->random >> 7;
        s->random ^= s->random << 17;
        return (s->random >> 16) % below;
}

/* Bytes that pack to anything from a unit to all of them. */
static void make(void *page, store_loc loc, uint32_t generation)
{
        uint64_t x = (loc << 32 | generation) * 0x9e3779b97f4a7c15u | 1, *word = page;
        unsigned random = (unsigned)(x >> 40) % (STORE_PAGE / 8 + 1);

        for (unsigned i = 0; i < STORE_PAGE / 8; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                word[i] = i < random || i < 4 ? x : generation;
        }
}

static bool is_page(const void *page, store_loc loc, uint32_t generation)
{
        unsigned char expected[STORE_PAGE];

        make(expected, loc, generation);
        return memcmp(page, expected, sizeof(expected)) == 0;
}

static struct rig rig_kept(const struct kept *k)
{
        struct page_store_config config = { .packs = k->codec, .seals = k->sealed };
        struct store_owner_config owner = { .sealed = k->sealed };
        struct rig rig = rig_on(rig_store_of(&config, 1, k->mib * MIB, k->unit), true);
        struct error e = { 0 };

        if (!k->codec)
                return rig;
        ck_assert_msg(codec_parse(k->codec, &owner.codec, &e) == 0, "%s", e.text);
        ck_assert_int_eq(store_owner_new(rig.store, &owner, &rig.owner), 0);
        return rig;
}

static struct store_stats stats_of(struct rig *rig)
{
        struct store_stats stats;

        store_stats(rig->store, &stats);
        return stats;
}

/* Writes up to LENGTH pages. */
static void write_some(struct rig *rig, struct shadow *s, unsigned lane)
{
        uint32_t n = 1 + (uint32_t)draw(s, LENGTH), got;
        store_loc first = 0;

        got = store_alloc(rig->store, n, &first);
        if (!got)
                return;
        ck_assert_uint_le(first + got, s->locations);
        s->lane[lane].generation = ++s->last;
        for (uint32_t i = 0; i < got; i++) {
                ck_assert_uint_eq(s->generation[first + i], 0);
                make(rig_page(rig, lane * LENGTH + i), first + i, s->last);
                s->reads[first + i] = 1;
        }
        s->lane[lane].busy = true;
        io_start(rig, &s->lane[lane].io, true, first, got, lane * LENGTH);
}

static store_loc draw_live(struct shadow *s)
{
        ck_assert_uint_gt(s->n_live, 0);
        return s->live[draw(s, s->n_live)];
}

static void note_live(struct shadow *s, store_loc loc, uint32_t generation)
{
        s->generation[loc] = generation;
        s->place[loc] = s->n_live;
        s->live[s->n_live++] = loc;
}

static void note_free(struct shadow *s, store_loc loc)
{
        store_loc last = s->live[--s->n_live];

        s->generation[loc] = 0;
        s->place[last] = s->place[loc];
        s->live[s->place[last]] = last;
}

static void read_some(struct rig *rig, struct shadow *s, unsigned lane)
{
        store_loc loc = draw_live(s);
        uint32_t n = 1;

        while (n < LENGTH / 4 && loc + n < s->locations && s->generation[loc + n])
                n++;
        for (uint32_t i = 0; i < n; i++)
                s->reads[loc + i]++;
        s->lane[lane].busy = true;
        io_start(rig, &s->lane[lane].io, false, loc, n, lane * LENGTH);
}

static void free_one(struct rig *rig, struct shadow *s)
{
        store_loc loc = draw_live(s);

        if (s->reads[loc])
                return;
        store_unref(rig->store, loc, 1);
        note_free(s, loc);
}

static void finish(struct rig *rig, struct shadow *s, unsigned lane)
{
        const struct io *io = &s->lane[lane].io;

        for (uint32_t i = 0; i < io->io.pages; i++) {
                store_loc loc = io->io.loc + i;

                s->reads[loc]--;
                if (io->io.write && io->result == 0)
                        note_live(s, loc, s->lane[lane].generation);
        }
        if (io->io.write && io->result < 0)
                store_unref(rig->store, io->io.loc, io->io.pages);
        if (io->result < 0 && io->result != -ENOSPC)
                ck_assert_int_eq(io->result, -EIO);
        s->failed += io->result == -EIO;
        for (unsigned i = 0; io->result == -ENOSPC && i < LENGTH && s->n_live; i++)
                free_one(rig, s); /* what is free lies too scattered: somebody has to give way */
        for (uint32_t i = 0; i < io->io.pages && io->result == 0; i++)
                if (!io->io.write)
                        ck_assert_msg(is_page(rig_page(rig, lane * LENGTH + i), io->io.loc + i,
                                              s->generation[io->io.loc + i]),
                                      "location %llu has other bytes", (unsigned long long)io->io.loc + i);
        s->lane[lane].busy = s->lane[lane].late = false;
        s->ended++;
}

static struct shadow *shadow_new(struct rig *rig, uint64_t seed)
{
        struct shadow *s = calloc(1, sizeof(*s));

        ck_assert_ptr_nonnull(s);
        s->random = seed | 1;
        s->locations = stats_of(rig).disk_capacity_bytes / STORE_SECTOR;
        s->generation = calloc(s->locations, sizeof(*s->generation));
        s->reads = calloc(s->locations, sizeof(*s->reads));
        s->live = calloc(s->locations, sizeof(*s->live));
        s->place = calloc(s->locations, sizeof(*s->place));
        ck_assert(s->generation && s->reads && s->live && s->place);
        return s;
}

/* Waits for all, reads all, and frees all. */
static void shadow_end(struct rig *rig, struct shadow *s)
{
        rig_wait(rig);
        for (unsigned lane = 0; lane < LANES; lane++)
                if (s->lane[lane].busy)
                        finish(rig, s, lane);
        for (store_loc loc = 0; loc < s->locations; loc++) {
                if (!s->generation[loc])
                        continue;
                ck_assert_int_eq(io_run(rig, false, loc, 1, 0), 0);
                ck_assert(is_page(rig->memory, loc, s->generation[loc]));
                store_unref(rig->store, loc, 1);
                note_free(s, loc);
        }
        ck_assert_uint_eq(s->n_live, 0);
        free(s->live);
        free(s->place);
        free(s->generation);
        free(s->reads);
        free(s);
}

/* One turn: each lane that has ended begins something else; what is over `full` bytes is freed. */
static void step(struct rig *rig, struct shadow *s, uint64_t full)
{
        for (unsigned lane = 0; lane < LANES; lane++) {
                if (s->lane[lane].busy && s->lane[lane].io.done)
                        finish(rig, s, lane);
                if (s->lane[lane].busy)
                        continue;
                if (!s->n_live || draw(s, 2))
                        write_some(rig, s, lane);
                else
                        read_some(rig, s, lane);
        }
        for (unsigned i = 0; i < 1000 && s->n_live && stats_of(rig).disk_bytes > full; i++)
                free_one(rig, s);
        ck_assert_int_eq(loop_turn(rig->loop), 0);
}

/* Goes on until so many more pages were moved. */
static void churn(struct rig *rig, struct shadow *s, uint64_t pages, uint64_t full)
{
        uint64_t until = stats_of(rig).moved_pages + pages;

        for (unsigned i = 0; stats_of(rig).moved_pages < until; i++) {
                ck_assert_msg(i < 200000, "too few pages are moved: %llu of %llu",
                              (unsigned long long)stats_of(rig).moved_pages, (unsigned long long)until);
                step(rig, s, full);
        }
}

/* Of a test, which prints it. */
static uint64_t seed(void)
{
        unit_random_start();
        return unit_random(UINT64_MAX);
}

static uint64_t full(int i)
{
        return kept[i].mib * MIB / 100 * kept[i].full;
}

/* _i: how pages are kept. */
START_TEST(test_all_right)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct shadow *s = shadow_new(&rig, seed());

        churn(&rig, s, 600, full(_i));
        ck_assert_uint_eq(s->failed, 0);
        shadow_end(&rig, s);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(&rig).checksum_errors, 0);
        rig_end(&rig);
}
END_TEST

#define LATE (LANES / 2)

static bool some_are_late(const struct shadow *s)
{
        for (unsigned lane = 0; lane < LATE; lane++)
                if (s->lane[lane].late && !s->lane[lane].io.done)
                        return true;
        return false;
}

/* Reads that take so long that some of what they read was moved meanwhile, and its old place is another page's. */
START_TEST(test_late_reads)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct shadow *s = shadow_new(&rig, seed());

        churn(&rig, s, 300, full(_i));
        rig_wait(&rig);
        for (unsigned lane = 0; lane < LANES; lane++)
                if (s->lane[lane].busy)
                        finish(&rig, s, lane);
        set_fault("store-read=delay:4s");
        for (unsigned lane = 0; lane < LATE; lane++) {
                read_some(&rig, s, lane);
                s->lane[lane].late = true;
        }
        set_fault(NULL);
        while (some_are_late(s))
                step(&rig, s, full(_i));
        ck_assert_uint_eq(s->failed, 0);
        shadow_end(&rig, s);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(&rig).checksum_errors, 0);
        rig_end(&rig);
}
END_TEST

/* Reads and writes fail, those of moves as others, and are cut short: no page is lost by it. */
START_TEST(test_failures)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct shadow *s = shadow_new(&rig, seed());

        churn(&rig, s, 200, full(_i));
        for (unsigned i = 0; i < 4; i++) {
                set_fault("store-read=errno:EIO@50x3,store-write=errno:EIO@30x3");
                churn(&rig, s, 30, full(_i));
                set_fault("store-read=short:512,store-write=short:1024");
                churn(&rig, s, 30, full(_i));
        }
        set_fault(NULL);
        ck_assert_uint_gt(s->failed, 0);
        shadow_end(&rig, s);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* What was promised is there while groups are closed: a store that is full takes all that fits. */
START_TEST(test_full)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct shadow *s = shadow_new(&rig, seed());
        uint64_t most = 0, used;

        churn(&rig, s, 300, full(_i));
        for (unsigned i = 0; i < 800; i++) {
                step(&rig, s, kept[_i].mib * MIB - 8 * STORE_PAGE);
                used = stats_of(&rig).disk_bytes;
                most = used > most ? used : most;
        }
        ck_assert_uint_eq(s->failed, 0);
        ck_assert_uint_gt(most, kept[_i].mib * MIB / 100 * 60);
        shadow_end(&rig, s);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* A port is closed in the middle of a move. */
START_TEST(test_closed_in_between)
{
        struct rig rig = rig_kept(&kept[_i]);
        struct shadow *s = shadow_new(&rig, seed());

        for (unsigned i = 0; i < 10; i++) {
                churn(&rig, s, 1, full(_i));
                rig_wait(&rig);
                store_port_close(rig.port);
                ck_assert_int_eq(store_port_open(rig.store, rig.loop, &rig.port), 0);
        }
        shadow_end(&rig, s);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        rig_end(&rig);
}
END_TEST

/* Two workers, each with pages of its own, in one store. */
struct part {
        struct store *store;
        pthread_barrier_t *both;
        uint64_t seed, full;
};

static void *work(void *arg)
{
        struct part *p = arg;
        struct rig rig = rig_on(p->store, true);
        struct shadow *s = shadow_new(&rig, p->seed);

        for (unsigned i = 0; i < 1000 || (stats_of(&rig).moved_pages < 500 && i < 100000); i++)
                step(&rig, s, p->full);
        pthread_barrier_wait(p->both);
        shadow_end(&rig, s);
        store_port_close(rig.port);
        loop_unregister_buffer(rig.loop, rig.buffer);
        loop_free(rig.loop);
        free(rig.memory);
        return NULL;
}

START_TEST(test_two_workers)
{
        struct rig rig = rig_kept(&kept[_i]);
        uint64_t most = kept[_i].mib * MIB / 100 * 65; /* twice as much is on its way */
        pthread_barrier_t both;
        struct part part[2] = { { rig.store, &both, seed(), most },
                                { rig.store, &both, unit_random(UINT64_MAX), most } };
        pthread_t thread[2];

        ck_assert_int_eq(pthread_barrier_init(&both, NULL, 2), 0);
        for (unsigned i = 0; i < 2; i++)
                ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &part[i]), 0);
        for (unsigned i = 0; i < 2; i++)
                ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        ck_assert_uint_gt(stats_of(&rig).moved_pages, 100);
        ck_assert_uint_eq(stats_of(&rig).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(&rig).checksum_errors, 0);
        rig_end(&rig);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page-move");

        if (!codec_built_in(CODEC_LZ4) || !codec_built_in(CODEC_ZSTD) || !seal_built_in()) {
                puts("built without lz4, zstd or libcrypto");
                return 77;
        }
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_all_right, 0, KEPT);
        tcase_add_loop_test(tc, test_late_reads, 1, 3);
        tcase_add_loop_test(tc, test_failures, 1, KEPT);
        tcase_add_loop_test(tc, test_full, 0, 3);
        tcase_add_loop_test(tc, test_closed_in_between, 1, 3);
        tcase_add_loop_test(tc, test_two_workers, 1, KEPT);
        return unit_run("page-move", tc);
}
