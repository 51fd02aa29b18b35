/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Third on the way of an eviction: the slots of a batch go to the store, as long runs of adjacent slots to adjacent
 * locations, straight from the ring. Slots whose page was wanted back meanwhile are left out, and those whose page the
 * store has already (evict-clean.c).
 */
#include "pager/evict.h"

#include <stdlib.h>

#include "util/log.h"

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

/* Starts a write of up to n slots from first. Returns how many it covers, 0 where the store is full. */
static uint32_t start(struct space *s, uint32_t first, uint32_t n)
{
        struct evict_io *io = new_io(s);
        store_loc loc;
        uint32_t got = io ? store_alloc(s->pager->store, n, &loc) : 0;

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
                        .owner = s->owner },
                .space = s,
                .first_slot = first,
        };
        for (uint32_t i = first; i < first + got; i++)
                s->ring_slots.v[i].writing = 1;
        s->writes++;
        store_submit(s->pager->store_port, &io->io);
        return got;
}

/* Eviction waits from now on. Returns whether it did not before. */
static bool begin_to_wait(struct space *s)
{
        if (s->store_is_full)
                return false;
        s->stats.store_full++;
        s->store_is_full = true;
        return true;
}

void evict_full(struct space *s)
{
        if (begin_to_wait(s))
                log_warning("client %d: the store is full: eviction waits until pages come back or go away; give the "
                            "store more room, or the client a higher limit",
                            s->pid);
}

void evict_refused(struct space *s, int error)
{
        if (begin_to_wait(s))
                log_error("client %d: the store takes no writes (error %d): eviction waits until it does; see to its "
                          "device, filesystem or server",
                          s->pid, error);
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
                        evict_full(s);
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
