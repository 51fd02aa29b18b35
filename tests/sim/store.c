// SPDX-License-Identifier: GPL-2.0-or-later
/* The store: some locations, I/O that ends in any order and may fail; it knows what must not be done to it. */
#include <errno.h>
#include <string.h>

#include "world.h"

static uint64_t slot_content(const struct store_io *io, unsigned i)
{
        uint64_t content;

        memcpy(&content, (const char *)io->memory + i * PAGE_SIZE_, sizeof(content));
        return content;
}

static bool is_under_way(store_loc loc)
{
        for (unsigned i = 0; i < world.n_ios; i++)
                if (loc >= world.io[i].io->loc && loc < world.io[i].io->loc + world.io[i].io->pages)
                        return true;
        return false;
}

static uint32_t fake_alloc(struct store *s, uint32_t pages, store_loc *first)
{
        unsigned from = sim_any(world.config.capacity);

        (void)s;
        for (unsigned k = 0; k < world.config.capacity; k++) {
                unsigned at = (from + k) % world.config.capacity, n = 0;

                while (n < pages && at + n < world.config.capacity && world.refs[at + n] == 0) {
                        if (is_under_way(at + n))
                                sim_fail("location %u was freed while I/O was under way there", at + n);
                        world.refs[at + n] = 1;
                        world.stored[at + n++] = SIM_GARBAGE;
                }
                if (n == 0)
                        continue;
                *first = at;
                return n;
        }
        return 0;
}

static int fake_ref(struct store *s, store_loc loc)
{
        (void)s;
        if (world.refs[loc] == 0)
                sim_fail("location %llu is not in use, and is to have another user", (unsigned long long)loc);
        world.refs[loc]++;
        return 0;
}

static void fake_unref(struct store *s, store_loc first, uint32_t pages)
{
        (void)s;
        for (; pages--; first++) {
                if (first >= SIM_LOCS || world.refs[first] == 0)
                        sim_fail("location %llu is not in use, and is freed", (unsigned long long)first);
                if (--world.refs[first] == 0)
                        world.stored[first] = SIM_GARBAGE;
        }
}

static void fake_submit(struct store_port *port, struct store_io *io)
{
        struct sim_io *own = &world.io[world.n_ios++];

        (void)port;
        if (world.n_ios > SIM_IOS || io->pages > SIM_SLOTS)
                sim_fail("too much I/O at once");
        own->io = io;
        sim_say("daemon: %s %u pages at location %llu", io->write ? "writes" : "reads", io->pages,
                (unsigned long long)io->loc);
        for (unsigned i = 0; i < io->pages; i++) {
                own->content[i] = slot_content(io, i);
                if (world.refs[io->loc + i] == 0)
                        sim_fail("I/O is begun at location %llu, which is not in use", (unsigned long long)io->loc + i);
        }
}

static bool fails(const struct store_io *io)
{
        unsigned one_in = io->write ? world.config.write_errors : world.config.read_errors;

        return one_in && !world.draining && sim_any(one_in) == 0;
}

static void end_page(const struct sim_io *own, unsigned i, bool failed)
{
        const struct store_io *io = own->io;
        uint64_t *stored = &world.stored[io->loc + i];
        uint64_t content = failed && !io->write ? SIM_GARBAGE : *stored;

        if (world.refs[io->loc + i] == 0)
                sim_fail("location %llu was freed before its I/O had ended", (unsigned long long)io->loc + i);
        if (io->write && slot_content(io, i) != own->content[i])
                sim_fail("what is written to location %llu has changed meanwhile", (unsigned long long)io->loc + i);
        if (io->write)
                *stored = failed ? SIM_GARBAGE : own->content[i];
        else
                memcpy((char *)io->memory + i * PAGE_SIZE_, &content, sizeof(content));
        /* That many could not be read says nothing of one of them. */
        if (!io->write && failed && io->pages == 1 && *stored >> 56 == SIM_TAG >> 56)
                world.lost[*stored & ~SIM_TAG] = true;
}

void store_end_one(unsigned which)
{
        struct sim_io own = world.io[which];
        bool failed = fails(own.io);

        world.io[which] = world.io[--world.n_ios];
        sim_say("store: %s %u pages at location %llu has %s", own.io->write ? "writing" : "reading", own.io->pages,
                (unsigned long long)own.io->loc, failed ? "failed" : "ended");
        for (unsigned i = 0; i < own.io->pages; i++)
                end_page(&own, i, failed);
        own.io->done(own.io, failed ? -EIO : 0);
}

static bool fake_same(struct store *s, store_loc loc, const void *page)
{
        uint64_t content;

        (void)s;
        if (world.refs[loc] == 0)
                sim_fail("location %llu is not in use, and is compared", (unsigned long long)loc);
        memcpy(&content, page, sizeof(content));
        return world.stored[loc] == content;
}

static void fake_stats(struct store *s, struct store_stats *out)
{
        (void)s;
        *out = (struct store_stats){ .disk_capacity_bytes = world.config.capacity * PAGE_SIZE_ };
        for (unsigned i = 0; i < SIM_LOCS; i++)
                out->disk_bytes += world.refs[i] ? PAGE_SIZE_ : 0;
}

/* Two parts, of which one begins where the other ends, and some pages are in none. */
static unsigned fake_parts(const struct store *s)
{
        (void)s;
        return SIM_PARTS;
}

static uint32_t fake_part(struct store *s, store_loc loc, uint32_t n, unsigned *part)
{
        uint32_t left = SIM_PART_LOCS - loc % SIM_PART_LOCS;

        (void)s;
        if (world.refs[loc] == 0)
                sim_fail("location %llu is not in use, and is looked for", (unsigned long long)loc);
        *part = loc / SIM_PART_LOCS % (SIM_PARTS + 1);
        return n < left ? n : left;
}

const struct store_ops sim_store_ops = {
        .alloc = fake_alloc,
        .ref = fake_ref,
        .unref = fake_unref,
        .submit = fake_submit,
        .stats = fake_stats,
        .same = fake_same,
        .parts = fake_parts,
        .part = fake_part,
};
