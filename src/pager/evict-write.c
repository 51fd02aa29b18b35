/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Third on the way of an eviction: the slots of a batch go to the store, as long runs of adjacent slots to adjacent
 * locations, straight from the ring. Slots whose page was wanted back meanwhile are left out, and those whose page the
 * store has already (evict-clean.c).
 *
 * Where the store has no room, or the client has as much in it as it may, the pages stay in the ring, and no more are
 * taken out until they are written. For what the client may have counts what it has out, what is noted of pages that
 * have come back, which is given up first, and what is being written. A page that turns from one into the other takes
 * nothing.
 *
 * A write is no longer than what each part of the store is sure of (space.room), so that what the one does not end
 * leaves slots for the others.
 */
#include "pager/evict.h"

#include <stdlib.h>

#include "util/bug.h"
#include "util/log.h"
#include "util/size.h"

static struct evict_io *new_io(struct space *s)
{
        struct evict_io *io = s->free_io;

        if (io)
                s->free_io = io->next;
        else
                io = aligned_alloc(_Alignof(struct evict_io), sizeof(*io));
        return io;
}

static bool to_be_written(const struct ring_slot *v)
{
        return v->used && v->owner != RING_SLOT_NO_OWNER && !v->writing;
}

/* How many pages more the client may have in the store. */
static uint64_t swap_left(const struct space *s)
{
        uint64_t has = s->table.count[PAGE_STORED] + s->table.count[PAGE_FETCHING] + s->clean.n;

        if (!bug(WRITING_NOT_COUNTED))
                has += s->writing;
        return has < s->swap ? s->swap - has : 0;
}

/* Starts a write of up to n slots from first. Returns how many it covers, 0 where the store is full for the client. */
static uint32_t start(struct space *s, uint32_t first, uint32_t n)
{
        struct evict_io *io;
        store_loc loc;
        uint32_t got;

        if (swap_left(s) == 0)
                evict_clean_forget(s, 0, PTABLE_END);
        if (swap_left(s) < n)
                n = (uint32_t)swap_left(s);
        if (n > s->room.each)
                n = s->room.each;
        if (n == 0)
                return 0;
        io = new_io(s);
        got = io ? store_alloc(s->pager->store, n, &loc) : 0;
        if (io && got == 0 && evict_clean_yield(s->pager))
                got = store_alloc(s->pager->store, n, &loc);
        if (got == 0) {
                if (io) {
                        io->next = s->free_io;
                        s->free_io = io;
                }
                return 0;
        }
        *io = (struct evict_io){
                .io = { .done = evict_release,
                        .write = true,
                        .pages = got,
                        .loc = loc,
                        .buffer = s->slots_buffer,
                        .memory = s->slots + (uint64_t)first * VMPAGER_PAGE,
                        .owner = s->owner,
                        .room = &s->room },
                .space = s,
                .first_slot = first,
        };
        for (uint32_t i = first; i < first + got; i++)
                s->ring_slots.v[i].writing = 1;
        s->writes++;
        s->writing += got;
        store_submit(s->pager->store_port, &io->io);
        return got;
}

/* Eviction waits from now on, for what `why` says. Returns whether it did not before. */
static bool begin_to_wait(struct space *s, const char *why)
{
        if (s->store_is_full)
                return false;
        s->store_is_full = true;
        s->full_why = why;
        return true;
}

void evict_full(struct space *s)
{
        if (!begin_to_wait(s, "the store is full"))
                return;
        s->stats.store_full++;
        log_warning("client %d: the store is full: eviction waits until pages come back or go away; give the "
                    "store more room, or the client a higher limit",
                    s->pid);
}

void evict_refused(struct space *s, int error)
{
        if (!begin_to_wait(s, "the store takes no writes"))
                return;
        s->stats.store_full++;
        log_error("client %d: the store takes no writes (error %d): eviction waits until it does; see to its "
                  "device, filesystem or server",
                  s->pid, error);
}

/* The client has as much in the store as it may. Said once of a family: it may be so for long, and again and again. */
static void swap_full(struct space *s)
{
        char size[32];

        if (!begin_to_wait(s, "it has as much in the store as it may (swap)"))
                return;
        s->stats.swap_full++;
        if (s->swap_said)
                return;
        s->swap_said = true;
        log_warning("client %d: it has %s in the store, and may not have more (swap): eviction waits until pages come "
                    "back or go away; give it more swap, or a higher limit",
                    s->pid, size_format(s->swap * PAGE_SIZE_, size, sizeof(size)));
}

void evict_write(struct space *s, uint32_t first, uint32_t n)
{
        uint32_t end = first + n;

        evict_clean(s, first, n);
        while (first < end) {
                uint32_t len = 0, got;

                while (first + len < end && to_be_written(&s->ring_slots.v[first + len]))
                        len++;
                if (len == 0) {
                        first++;
                        continue;
                }
                got = start(s, first, len);
                if (got == 0) {
                        if (swap_left(s))
                                evict_full(s);
                        else
                                swap_full(s);
                        s->unwritten += len;
                        got = len;
                }
                first += got;
        }
}

void evict_write_again(struct space *s)
{
        if (s->unwritten == 0)
                return;
        s->unwritten = 0;
        evict_write(s, 0, s->ring_slots.n);
}
