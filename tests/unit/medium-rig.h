/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A medium in a temporary directory, with a loop, a port and memory, for the tests of its I/O. Units are of a page
 * here. Each is filled with its number and a generation, so that one from the wrong place or time is noticed.
 */
#ifndef TESTS_MEDIUM_RIG_H
#define TESTS_MEDIUM_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "numbered.h"
#include "store/medium-file.h"
#include "store/medium.h"
#include "store/store.h"
#include "sys/loop.h"
#include "temp-dir.h"
#include "util/error.h"

static inline struct medium *open_medium(const struct medium_file_config *config)
{
        struct error e = { 0 };
        struct medium *medium = NULL;

        ck_assert_msg(medium_file_open(config, &medium, &e) == 0, "%s", e.text);
        ck_assert_ptr_nonnull(medium);
        return medium;
}

#define MEMORY_PAGES 4096u

struct rig {
        struct medium *medium;
        struct loop *loop;
        struct medium_port *port;
        unsigned char *memory;
        int buffer; /* of memory; -1: not registered */
        bool submitting;
        unsigned pending;
};

struct io {
        struct medium_io io; /* first */
        struct rig *rig;
        bool done;
        int result;
};

static inline struct rig rig_on(const struct medium_file_config *config, bool registered)
{
        struct rig rig = { .buffer = -1 };
        struct error e = { 0 };

        rig.medium = open_medium(config);
        ck_assert_msg(loop_new(&rig.loop, &e) == 0, "%s", e.text);
        ck_assert_int_eq(medium_port_open(rig.medium, rig.loop, &rig.port), 0);
        ck_assert_int_eq(posix_memalign((void **)&rig.memory, STORE_PAGE, MEMORY_PAGES * STORE_PAGE), 0);
        memset(rig.memory, 0, MEMORY_PAGES * STORE_PAGE);
        if (registered) {
                rig.buffer = loop_register_buffer(rig.loop, rig.memory, MEMORY_PAGES * STORE_PAGE);
                ck_assert_int_ge(rig.buffer, 0);
        }
        return rig;
}

/* On a new file. */
static inline struct rig rig_new(uint64_t size, bool registered)
{
        struct medium_file_config config = {
                .name = "t", .path = temp_path("store"), .size = size, .unit = STORE_PAGE, .unlink_on_close = true
        };

        return rig_on(&config, registered);
}

static inline void rig_close(struct rig *rig)
{
        ck_assert_uint_eq(rig->pending, 0);
        medium_port_close(rig->port);
        if (rig->buffer >= 0)
                loop_unregister_buffer(rig->loop, rig->buffer);
        loop_free(rig->loop);
        medium_destroy(rig->medium);
        free(rig->memory);
}

/* Of rig_new(): its file is gone. */
static inline void rig_end(struct rig *rig)
{
        rig_close(rig);
        ck_assert_int_eq(access(temp_path("store"), F_OK), -1);
}

static inline void io_done(struct medium_io *sio, int result)
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

/* Starts an I/O between the store and the rig's memory from page `page` on. */
static inline void io_start(struct rig *rig, struct io *io, bool write, uint64_t at, uint32_t pages, unsigned page)
{
        ck_assert_uint_le(page + pages, MEMORY_PAGES);
        *io = (struct io){ .rig = rig };
        io->io = (struct medium_io){ .done = io_done,
                                     .write = write,
                                     .units = pages,
                                     .at = at,
                                     .buffer = rig->buffer,
                                     .memory = rig_page(rig, page) };
        rig->pending++;
        rig->submitting = true;
        medium_submit(rig->port, &io->io);
        rig->submitting = false;
}

static inline void rig_wait(struct rig *rig)
{
        while (rig->pending)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

static inline int io_run(struct rig *rig, bool write, uint64_t at, uint32_t pages, unsigned page)
{
        struct io io;

        io_start(rig, &io, write, at, pages, page);
        rig_wait(rig);
        return io.result;
}

#endif
