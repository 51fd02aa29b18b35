// SPDX-License-Identifier: GPL-2.0-or-later
/* A store of pages on an NBD server. */
#include "store/medium-nbd.h"

#include <errno.h>

#include "nbd-rig.h"
#include "store/codec.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "store/store.h"

#define PAGES 1024u

struct pages {
        struct store *store;
        struct loop *loop;
        struct store_port *port;
        struct store_owner *owner;
        unsigned pending, failed;
        char *memory; /* PAGES pages */
};

struct one {
        struct store_io io;
        struct pages *pages;
        int result;
};

static struct one ones[PAGES];

static struct pages pages_on(const struct medium_nbd_config *nbd, enum codec codec)
{
        struct page_store_config config = { .packs = codec != CODEC_NONE };
        struct store_owner_config owner = { .codec = { .codec = codec } };
        struct page_store_medium medium = { .weight = 1 };
        struct pages p = { 0 };
        struct error e = { 0 };

        ck_assert_msg(medium_nbd_open(nbd, &medium.medium, &e) == 0, "%s", e.text);
        ck_assert_msg(page_store_new(&config, &medium, 1, &p.store, &e) == 0, "%s", e.text);
        ck_assert_msg(loop_new(&p.loop, &e) == 0, "%s", e.text);
        ck_assert_int_eq(store_port_open(p.store, p.loop, &p.port), 0);
        ck_assert_int_eq(store_owner_new(p.store, &owner, &p.owner), 0);
        ck_assert_int_eq(posix_memalign((void **)&p.memory, PAGE, PAGES * PAGE), 0);
        return p;
}

static void pages_end(struct pages *p)
{
        store_owner_free(p->store, p->owner);
        store_port_close(p->port);
        loop_free(p->loop);
        store_destroy(p->store);
        free(p->memory);
}

static void on_done(struct store_io *io, int result)
{
        struct one *one = (struct one *)io;

        one->result = result;
        one->pages->failed += result < 0;
        one->pages->pending--;
}

/* Starts an I/O of `n` pages between their locations and their place in memory. */
static void one_start(struct pages *p, bool write, store_loc loc, uint32_t n)
{
        struct one *one = &ones[loc];

        *one = (struct one){ .pages = p };
        one->io = (struct store_io){ .done = on_done,
                                     .write = write,
                                     .loc = loc,
                                     .pages = n,
                                     .buffer = -1,
                                     .memory = p->memory + loc * PAGE,
                                     .owner = write ? p->owner : NULL };
        p->pending++;
        store_submit(p->port, &one->io);
}

static void pages_wait(struct pages *p)
{
        while (p->pending)
                ck_assert_int_eq(loop_turn(p->loop), 0);
}

/* All pages, `n` at a time. */
static void pages_move(struct pages *p, bool write, uint32_t n)
{
        for (store_loc loc = 0; loc < PAGES; loc += n)
                one_start(p, write, loc, n);
        pages_wait(p);
}

/* Pages that are half random, half not: they pack. */
static void pages_fill(struct pages *p, uint32_t generation)
{
        for (unsigned i = 0; i < PAGES; i++) {
                fill(p->memory + i * PAGE, i * (uint64_t)PAGE, PAGE / 2, generation);
                memset(p->memory + i * PAGE + PAGE / 2, (int)i, PAGE / 2);
        }
}

static void pages_check(struct pages *p, uint32_t generation)
{
        static char all[PAGES * PAGE];
        struct pages expected = { .memory = all };

        pages_fill(&expected, generation);
        ck_assert_int_eq(memcmp(all, p->memory, sizeof(all)), 0);
}

static struct store_stats stats_of(struct pages *p)
{
        struct store_stats st;

        store_stats(p->store, &st);
        return st;
}

static void pages_alloc(struct pages *p)
{
        for (uint32_t got, n = 0; n < PAGES; n += got) {
                store_loc first;

                got = store_alloc(p->store, PAGES - n, &first);
                ck_assert_uint_gt(got, 0);
                ck_assert_uint_lt(first + got, PAGES + 1);
        }
}

static struct medium_nbd_config config_of(const struct kit *kit, uint64_t timeout)
{
        return (struct medium_nbd_config){
                .name = "t", .uri = kit->uri, .size = PAGES * PAGE, .unit = 512, .connections = 2, .timeout_ns = timeout
        };
}

/* As they are, and packed; _i 2: on a server that takes whole pages alone. */
START_TEST(test_pages)
{
        struct medium_nbd_config config;
        struct pages p;
        struct kit kit;

        if (_i == 2)
                kit_start(&kit, "unix:s", "--filter=blocksize-policy", "memory", "64M", "blocksize-minimum=4096",
                          "blocksize-error-policy=error", NULL);
        else
                kit_start(&kit, "unix:s", "memory", "64M", NULL);
        config = config_of(&kit, MINUTE);
        p = pages_on(&config, _i ? CODEC_LZ4 : CODEC_NONE);
        ck_assert_uint_eq(stats_of(&p).disk_capacity_bytes, PAGES * PAGE);
        pages_alloc(&p);
        for (uint32_t n = 1; n <= 64; n *= 8) {
                pages_fill(&p, n);
                pages_move(&p, true, n);
                ck_assert_uint_eq(p.failed, 0);
                if (_i == 1)
                        ck_assert_uint_lt(stats_of(&p).disk_bytes, PAGES * PAGE * 3 / 4);
                memset(p.memory, 0, PAGES * PAGE);
                pages_move(&p, false, n);
                ck_assert_uint_eq(p.failed, 0);
                pages_check(&p, n);
                store_unref(p.store, 0, PAGES);
                pages_alloc(&p);
        }
        store_unref(p.store, 0, PAGES);
        ck_assert_uint_eq(stats_of(&p).disk_bytes, 0);
        ck_assert_uint_eq(stats_of(&p).disk_retired_bytes, 0);
        pages_end(&p);
        kit_end(&kit);
}
END_TEST

/*
 * A server that stops with writes under way, which are given up, and goes on and carries them out late: none of their
 * places is used again, and what is written meanwhile stays right.
 */
START_TEST(test_late_writes)
{
        struct medium_nbd_config config;
        struct store_stats st;
        struct pages p;
        struct kit kit;
        store_loc first;
        unsigned written = 0;

        log_catch();
        kit_start(&kit, "unix:s", "--threads=1", "memory", "64M", NULL);
        config = config_of(&kit, 500 * MS);
        config.size *= 2;
        p = pages_on(&config, CODEC_NONE);
        pages_alloc(&p);
        pages_fill(&p, 1);
        kit_stop(&kit);
        for (store_loc loc = 0; loc < 64; loc++)
                one_start(&p, true, loc, 1);
        pages_wait(&p);
        ck_assert_uint_eq(p.failed, 64);
        kit_continue(&kit);

        /* The pages are still in memory, and are written again: elsewhere. */
        p.failed = 0;
        store_unref(p.store, 0, PAGES);
        st = stats_of(&p);
        ck_assert_uint_gt(st.disk_retired_bytes, 0);
        ck_assert_uint_eq(st.disk_bytes, 0);
        ck_assert_uint_eq(st.disk_retired_bytes + st.disk_capacity_bytes, 2 * PAGES * PAGE);
        pages_alloc(&p);
        pages_fill(&p, 2);
        for (store_loc loc = 0; loc < PAGES; loc++)
                do { /* until the server is back */
                        one_start(&p, true, loc, 1);
                        pages_wait(&p);
                } while (ones[loc].result == -ETIMEDOUT);
        p.failed = 0;
        memset(p.memory, 0, PAGES * PAGE);
        pages_move(&p, false, 16);
        ck_assert_uint_eq(p.failed, 0);
        pages_check(&p, 2);

        /* All the room there is can still be had, and is written, but for those places. */
        while (store_alloc(p.store, 1, &first))
                written++;
        st = stats_of(&p);
        ck_assert_uint_eq(PAGES + written, st.disk_capacity_bytes / PAGE);
        pages_end(&p);
        kit_end(&kit);
}
END_TEST

/* Until so many bytes were discarded; check's timeout is the bound. */
static void until_discarded(struct pages *p, uint64_t bytes)
{
        while (stats_of(p).discarded_bytes < bytes)
                ck_assert_int_eq(loop_turn(p->loop), 0);
}

/* What the server's file takes. */
static uint64_t taken(void)
{
        struct stat st;

        ck_assert_int_eq(stat(temp_path("content"), &st), 0);
        return (uint64_t)st.st_blocks * 512;
}

static void content_new(struct kit *kit, const char *delay)
{
        int fd = open(temp_path("content"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_eq(ftruncate(fd, 64 * MIB), 0);
        close(fd);
        kit_start(kit, "unix:s", "--filter=delay", "file", temp_path("content"), delay, NULL);
}

/* Freed space is trimmed, where that is wanted. _i: whether it is */
START_TEST(test_trims)
{
        struct medium_nbd_config config;
        struct pages p;
        struct kit kit;

        content_new(&kit, "delay-trim=0");
        config = config_of(&kit, MINUTE);
        config.size = 16 * MIB;
        config.discard = _i ? MEDIUM_DISCARD_AUTO : MEDIUM_DISCARD_NO;
        p = pages_on(&config, CODEC_NONE);
        if (_i)
                until_discarded(&p, 16 * MIB); /* what was there before */
        pages_alloc(&p);
        pages_fill(&p, 1);
        pages_move(&p, true, 64);
        ck_assert_uint_eq(p.failed, 0);
        ck_assert_uint_ge(taken(), PAGES * PAGE);
        store_unref(p.store, 0, PAGES);
        if (_i)
                until_discarded(&p, 16 * MIB + PAGES * PAGE);
        ck_assert(_i ? taken() < MIB : taken() >= PAGES * PAGE);
        ck_assert_uint_eq(stats_of(&p).disk_bytes + stats_of(&p).discard_errors, 0);
        pages_alloc(&p);
        pages_fill(&p, 2);
        pages_move(&p, true, 64);
        memset(p.memory, 0, PAGES * PAGE);
        pages_move(&p, false, 64);
        ck_assert_uint_eq(p.failed, 0);
        pages_check(&p, 2);
        pages_end(&p);
        kit_end(&kit);
}
END_TEST

/*
 * A server that is lost while it trims may do so later still: what it was trimming is not used again, and what is
 * written after that is right.
 */
START_TEST(test_late_trim)
{
        struct medium_nbd_config config;
        uint64_t retired, written = 0;
        struct pages p;
        struct kit kit;
        store_loc first;

        log_catch();
        content_new(&kit, "delay-trim=1");
        config = config_of(&kit, MINUTE);
        config.size = 16 * MIB;
        p = pages_on(&config, CODEC_NONE);
        pages_alloc(&p);
        pages_fill(&p, 3);
        pages_move(&p, true, 64);
        while (!stats_of(&p).discarding_bytes)
                ck_assert_int_eq(loop_turn(p.loop), 0);
        kit_kill(&kit);
        kit_run(&kit);
        while (stats_of(&p).discarding_bytes)
                ck_assert_int_eq(loop_turn(p.loop), 0);
        retired = stats_of(&p).disk_retired_bytes;
        ck_assert_uint_gt(retired, 0);
        ck_assert_uint_le(retired, 4 * MIB);
        ck_assert_uint_eq(stats_of(&p).disk_capacity_bytes, 16 * MIB - retired);
        memset(p.memory, 0, PAGES * PAGE);
        pages_move(&p, false, 64);
        ck_assert_uint_eq(p.failed, 0);
        pages_check(&p, 3);
        while (store_alloc(p.store, 1, &first))
                written++;
        ck_assert_uint_eq(PAGES + written, (16 * MIB - retired) / PAGE);
        pages_end(&p);
        kit_end(&kit);
}
END_TEST

static void refused(const struct medium_nbd_config *config, int code, const char *text)
{
        struct medium *m = NULL;
        struct error e = { 0 };

        ck_assert_int_eq(medium_nbd_open(config, &m, &e), code);
        ck_assert_ptr_null(m);
        ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" is not in: %s", text, e.text);
}

START_TEST(test_open)
{
        struct medium_nbd_config config;
        struct medium *m = NULL;
        struct error e = { 0 };
        struct kit kit;

        kit_start(&kit, "unix:s", "memory", "64M", NULL);
        config = config_of(&kit, MINUTE);
        config.size = 65 * MIB;
        refused(&config, -ENOSPC, "is more than");
        config.size = MIB - 1;
        refused(&config, -EINVAL, "too small");
        config.size = 0;
        ck_assert_int_eq(medium_nbd_open(&config, &m, &e), 0);
        ck_assert_uint_eq(m->units, 64 * MIB / 512);
        ck_assert(!medium_is_away(m));
        medium_destroy(m);
        kit_end(&kit);
        refused(&config, -ECONNREFUSED, "cannot use the NBD server");
}
END_TEST

START_TEST(test_uris)
{
        struct error e = { 0 };

        ck_assert(medium_nbd_is_uri("nbd://host"));
        ck_assert(medium_nbd_is_uri("nbds+unix:///x?socket=/y"));
        ck_assert(medium_nbd_is_uri("nbd+ftp://x"));
        ck_assert(!medium_nbd_is_uri("/dev/nbd0"));
        ck_assert(!medium_nbd_is_uri("nbd.store"));
        ck_assert_int_eq(medium_nbd_check_uri("t", "nbd://host:1/x", &e), 0);
        ck_assert_int_eq(medium_nbd_check_uri("t", "nbds+unix://u@/x?socket=/y", &e), 0);
        ck_assert_int_eq(medium_nbd_check_uri("t", "nbd+ftp://x", &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "there are nbd://"));
        e = (struct error){ 0 };
        ck_assert_int_eq(medium_nbd_check_uri("t", "nbd+unix:///x", &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "names no socket"));
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("medium");

#ifndef HAVE_LIBNBD
        puts("built without libnbd");
        return 77;
#endif
        nbd_skip();
        tcase_set_timeout(tc, 120);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_pages, 0, 3);
        tcase_add_test(tc, test_late_writes);
        tcase_add_loop_test(tc, test_trims, 0, 2);
        tcase_add_test(tc, test_late_trim);
        tcase_add_test(tc, test_open);
        tcase_add_test(tc, test_uris);
        return unit_run("medium-nbd", tc);
}
