/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store on media that are files in a temporary directory, with a loop, a port and memory. Every page is filled with
 * its location and a generation, so that a page from the wrong place or time is noticed.
 */
#ifndef TESTS_PAGE_RIG_H
#define TESTS_PAGE_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "numbered.h"
#include "store/medium-file.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "store/store.h"
#include "sys/loop.h"
#include "temp-dir.h"
#include "util/error.h"

#define MEMORY_PAGES 4096u

struct rig {
        struct store *store;
        struct loop *loop;
        struct store_port *port;
        unsigned char *memory;
        int buffer;                /* of memory; -1: not registered */
        struct store_owner *owner; /* of what is written */
        bool submitting;
        unsigned pending;
};

struct io {
        struct store_io io; /* first */
        struct rig *rig;
        bool done;
        int result;
};

/* The file of medium number i. */
static inline const char *rig_path(unsigned i)
{
        char name[32];

        snprintf(name, sizeof(name), "store%u.%d", i, (int)getpid()); /* each test has a process of its own */
        return temp_path(name);
}

/* Of the media that are made. */
static enum medium_discard rig_discard = MEDIUM_DISCARD_AUTO;

/* A store on n files of that size in bytes each, in units of `unit` bytes, with weights of 1, 2, 3 and so on. */
static inline struct store *rig_store_of(const struct page_store_config *config, unsigned n, uint64_t size,
                                         uint32_t unit)
{
        static const char *const names[8] = { "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7" };
        struct page_store_medium media[8];
        struct error e = { 0 };
        struct store *store = NULL;

        for (unsigned i = 0; i < n; i++) {
                struct medium_file_config file = {
                        .name = names[i], .path = rig_path(i), .size = size, .unit = unit,
                        .discard = rig_discard, .unlink_on_close = true
                };

                ck_assert_msg(medium_file_open(&file, &media[i].medium, &e) == 0, "%s", e.text);
                media[i].weight = i + 1;
        }
        ck_assert_msg(page_store_new(config, media, n, &store, &e) == 0, "%s", e.text);
        ck_assert_ptr_nonnull(store);
        return store;
}

static inline struct store *rig_store(unsigned n, uint64_t size)
{
        return rig_store_of(&(struct page_store_config){ 0 }, n, size, STORE_PAGE);
}

static inline struct rig rig_on(struct store *store, bool registered)
{
        struct rig rig = { .store = store, .buffer = -1 };
        struct error e = { 0 };

        ck_assert_msg(loop_new(&rig.loop, &e) == 0, "%s", e.text);
        ck_assert_int_eq(store_port_open(rig.store, rig.loop, &rig.port), 0);
        ck_assert_int_eq(posix_memalign((void **)&rig.memory, STORE_PAGE, MEMORY_PAGES * STORE_PAGE), 0);
        memset(rig.memory, 0, MEMORY_PAGES * STORE_PAGE);
        if (registered) {
                rig.buffer = loop_register_buffer(rig.loop, rig.memory, MEMORY_PAGES * STORE_PAGE);
                ck_assert_int_ge(rig.buffer, 0);
        }
        return rig;
}

static inline struct rig rig_new(unsigned n, uint64_t size, bool registered)
{
        return rig_on(rig_store(n, size), registered);
}

static inline void rig_end(struct rig *rig)
{
        ck_assert_uint_eq(rig->pending, 0);
        store_owner_free(rig->store, rig->owner);
        store_port_close(rig->port);
        if (rig->buffer >= 0)
                loop_unregister_buffer(rig->loop, rig->buffer);
        loop_free(rig->loop);
        store_destroy(rig->store);
        free(rig->memory);
        ck_assert_int_eq(access(rig_path(0), F_OK), -1);
}

static inline void io_done(struct store_io *sio, int result)
{
        struct io *io = (struct io *)sio;

        if (io->rig->submitting || io->done)
                ck_abort_msg("done() was called %s", io->done ? "twice" : "inside submit");
        io->done = true;
        io->result = result;
        io->rig->pending--;
}

static inline unsigned char *rig_page(struct rig *rig, unsigned page)
{
        return rig->memory + (size_t)page * STORE_PAGE;
}

/* Starts an I/O between the store and the rig's memory from page `page` on; a write's room is as in struct store_io. */
static inline void io_start_in(struct rig *rig, struct io *io, bool write, store_loc loc, uint32_t pages, unsigned page,
                               struct portions *room)
{
        ck_assert_uint_le(page + pages, MEMORY_PAGES);
        *io = (struct io){ .rig = rig };
        io->io = (struct store_io){ .done = io_done,
                                    .write = write,
                                    .pages = pages,
                                    .loc = loc,
                                    .buffer = rig->buffer,
                                    .memory = rig_page(rig, page),
                                    .owner = write ? rig->owner : NULL,
                                    .room = room };
        rig->pending++;
        rig->submitting = true;
        store_submit(rig->port, &io->io);
        rig->submitting = false;
}

static inline void io_start(struct rig *rig, struct io *io, bool write, store_loc loc, uint32_t pages, unsigned page)
{
        io_start_in(rig, io, write, loc, pages, page, NULL);
}

static inline void rig_wait(struct rig *rig)
{
        while (rig->pending)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

static inline int io_run(struct rig *rig, bool write, store_loc loc, uint32_t pages, unsigned page)
{
        struct io io;

        io_start(rig, &io, write, loc, pages, page);
        rig_wait(rig);
        return io.result;
}

#endif
