// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of the rig that work when they are told to: the store and the agent; see pager-rig.h. */
#include <stddef.h>
#include <string.h>

#include "pager-rig.h"

/* The store: locations from 0 to capacity - 1, the lowest free run first. */
static struct rig *of_store(struct store *s)
{
        return (struct rig *)((char *)s - offsetof(struct rig, store));
}

static uint32_t fake_alloc(struct store *s, uint32_t pages, store_loc *first)
{
        struct rig *r = of_store(s);

        for (uint32_t at = 0; at < r->capacity; at++) {
                uint32_t n = 0;

                while (n < pages && at + n < r->capacity && r->refs[at + n] == 0)
                        r->refs[at + n++] = 1;
                if (n) {
                        *first = at;
                        r->allocated += n;
                        return n;
                }
        }
        return 0;
}

static int fake_ref(struct store *s, store_loc loc)
{
        ck_assert_uint_gt(of_store(s)->refs[loc]++, 0);
        return 0;
}

static void fake_unref(struct store *s, store_loc first, uint32_t pages)
{
        while (pages--) {
                ck_assert_msg(first < RIG_LOCS && of_store(s)->refs[first] > 0, "location %llu is not in use",
                              (unsigned long long)first);
                of_store(s)->refs[first++]--;
        }
}

static void fake_submit(struct store_port *port, struct store_io *io)
{
        struct rig *r = of_store(port->store);

        ck_assert_uint_lt(r->n_ios, RIG_IOS);
        for (uint32_t i = 0; i < io->pages; i++)
                ck_assert_msg(r->refs[io->loc + i], "I/O on a location that is not in use");
        r->io[r->n_ios++] = io;
}

const struct store_ops rig_store_ops = {
        .alloc = fake_alloc,
        .ref = fake_ref,
        .unref = fake_unref,
        .submit = fake_submit,
};

static bool fake_same(struct store *s, store_loc loc, const void *page)
{
        ck_assert_uint_gt(of_store(s)->refs[loc], 0);
        return memcmp(of_store(s)->stored + loc * PAGE_SIZE_, page, PAGE_SIZE_) == 0;
}

static void fake_stats(struct store *s, struct store_stats *out)
{
        *out = (struct store_stats){ .disk_capacity_bytes = of_store(s)->capacity * PAGE_SIZE_ };
        for (unsigned i = 0; i < RIG_LOCS; i++)
                out->disk_bytes += of_store(s)->refs[i] ? PAGE_SIZE_ : 0;
}

const struct store_ops rig_comparing_store_ops = {
        .alloc = fake_alloc,
        .ref = fake_ref,
        .unref = fake_unref,
        .submit = fake_submit,
        .stats = fake_stats,
        .same = fake_same,
};

static unsigned fake_parts(const struct store *s)
{
        (void)s;
        return RIG_PARTS;
}

static uint32_t fake_part(struct store *s, store_loc loc, uint32_t n, unsigned *part)
{
        uint32_t left = RIG_PART_LOCS - loc % RIG_PART_LOCS;

        ck_assert_uint_gt(of_store(s)->refs[loc], 0);
        *part = loc / RIG_PART_LOCS < RIG_PARTS ? (unsigned)(loc / RIG_PART_LOCS) : RIG_PARTS;
        return n < left ? n : left;
}

const struct store_ops rig_parted_store_ops = {
        .alloc = fake_alloc,
        .ref = fake_ref,
        .unref = fake_unref,
        .submit = fake_submit,
        .parts = fake_parts,
        .part = fake_part,
};

static void end_io(struct rig *r, unsigned which, int result)
{
        struct store_io *io = r->io[which];
        unsigned char *at;

        r->n_ios--;
        memmove(&r->io[which], &r->io[which + 1], (r->n_ios - which) * sizeof(r->io[0]));
        at = r->stored + io->loc * PAGE_SIZE_;
        for (uint32_t i = 0; i < io->pages; i++)
                ck_assert_msg(r->refs[io->loc + i], "a location was freed while its I/O was under way");
        if (result == 0)
                memcpy(io->write ? at : io->memory, io->write ? io->memory : at, io->pages * PAGE_SIZE_);
        else if (!io->write)
                memset(io->memory, 0xee, io->pages * PAGE_SIZE_);
        io->done(io, result);
}

void rig_store_one(struct rig *r, int result)
{
        ck_assert_uint_gt(r->n_ios, 0);
        end_io(r, 0, result);
}

bool rig_store_part(struct rig *r, unsigned part)
{
        for (unsigned i = 0; i < r->n_ios; i++)
                if (r->io[i]->loc / RIG_PART_LOCS == part) {
                        end_io(r, i, 0);
                        return true;
                }
        return false;
}

void rig_store(struct rig *r, int result)
{
        while (r->n_ios)
                rig_store_one(r, result);
}

uint32_t rig_refs(const struct rig *r)
{
        uint32_t n = 0;

        for (unsigned i = 0; i < RIG_LOCS; i++)
                n += r->refs[i];
        return n;
}

/* The agent. */
static uint8_t move_page(struct rig *r, unsigned page, uint32_t slot)
{
        struct rig_page *p = &r->page[page];
        static const unsigned char zeros[4096];

        if (p->result)
                return p->result;
        if (!p->present)
                return VMPAGER_RES_ABSENT;
        p->present = false;
        p->marked = !r->no_marks;
        if (memcmp(rig_bytes(r, page), zeros, PAGE_SIZE_) == 0)
                return r->no_marks ? VMPAGER_RES_BARE_ZERO : VMPAGER_RES_ZERO;
        ck_assert_uint_lt(slot, RIG_SLOTS);
        memcpy(r->space.slots + (uint64_t)slot * VMPAGER_PAGE, rig_bytes(r, page), PAGE_SIZE_);
        return r->no_marks ? VMPAGER_RES_BARE : VMPAGER_RES_MOVED;
}

void rig_move(struct rig *r)
{
        for (; r->moved != atomic_load(&r->ring->posted); r->moved++) {
                struct vmpager_batch *b = &r->ring->batch[r->moved % VMPAGER_RING_BATCHES];
                bool cancelled = b->epoch != atomic_load(&r->ring->epoch);
                uint32_t n = 0, slot = b->first_slot;

                atomic_store(&r->ring->busy, 1);
                for (uint32_t i = 0; i < b->n_runs; i++) {
                        ck_assert_uint_ge(b->run[i].pages, 1);
                        for (uint32_t k = 0; k < b->run[i].pages; k++, n++) {
                                unsigned page = rig_number(b->run[i].addr) + k;

                                b->result[n] = cancelled ? VMPAGER_RES_CANCELLED : move_page(r, page, slot);
                                slot += b->result[n] == VMPAGER_RES_MOVED || b->result[n] == VMPAGER_RES_BARE;
                        }
                }
                ck_assert_uint_eq(n, b->n_pages);
                ck_assert_uint_le(n, VMPAGER_BATCH_PAGES);
        }
}

void rig_complete(struct rig *r)
{
        atomic_store(&r->ring->completed, r->moved);
        atomic_store(&r->ring->busy, 0);
        evict_completed(&r->space);
}

void rig_agent(struct rig *r)
{
        rig_move(r);
        rig_complete(r);
}
