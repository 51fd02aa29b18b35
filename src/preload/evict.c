/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One batch of an eviction, in the agent.
 *
 *     evict_take      copy the order out of the ring and check it
 *     evict_reclaim   where a fork has shared pages: make those that are ours alone again known as such
 *     evict_open      register the staging area with our userfaultfd, see that it is empty
 *     evict_move      UFFDIO_MOVE each page to its place in staging, through the move gate
 *     evict_copy      copy what was moved to the ring's slots
 *     evict_close     unregister and drop staging
 *
 * Page k of a batch, in the order of its runs, has place k in staging. A page that was moved is the
 * program's no longer: whatever happens next, its bytes must reach a slot. So all that can fail is
 * done before the first MOVE; memory for the slots is there, and so is what it takes to read staging.
 *
 * Staging is registered while a batch is going on (MOVE demands it), and a read of a place where no
 * page was moved would wait for ever: only MOVED pages are read.
 */
#include <errno.h>
#include <sys/mman.h>
#include <vmpager/uffd-compat.h>

#include "preload.h"
#include "syscall.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Most pages moved in one hold of the gate: the daemon cannot read events meanwhile. */
#define EVICT_HOLD_PAGES 64

/* How often a MOVE is tried that met a changing mapping, and how long the agent pauses in between. */
#define EVICT_TRIES  8
#define EVICT_PAUSES 200

/* How long the agent looks at a closed gate before it sleeps, and how long it sleeps before it looks
 * whether the daemon that closed it is still there. */
#define GATE_PAUSES  400
#define GATE_LOOK_MS 100

/* No address in user space is as high, on any machine: sums of address and size cannot overflow. The
 * kernel knows the limit itself. */
#define EVICT_ADDRESS_END ((uint64_t)1 << 56)

enum gate {
        GATE_ENTERED,
        GATE_CANCELLED, /* the mappings changed since the batch was posted, or the daemon is gone */
};

static void gate_leave(struct agent *a)
{
        atomic_store(&a->ring->moving, 0);
        if (atomic_load(&a->ring->reading))
                agent_notify(a);
}

/* Waits until the daemon has read its events. False when it is gone. */
static bool gate_wait(struct agent *a)
{
        _Atomic uint32_t *reading = &a->ring->reading;

        for (int i = 0; i < GATE_PAUSES; i++) {
                if (!atomic_load(reading))
                        return true;
                sys_pause();
        }
        while (atomic_load(reading)) {
                if (sys_futex_wait(reading, 1, GATE_LOOK_MS) == -ETIMEDOUT && agent_daemon_gone(a))
                        return false;
        }
        return true;
}

/* The agent's side of the gate in vmpager/ring.h. Every entry is followed by gate_leave(). */
static enum gate gate_enter(struct agent *a, uint32_t epoch)
{
        for (;;) {
                atomic_store(&a->ring->moving, 1);
                if (!atomic_load(&a->ring->reading))
                        break;
                gate_leave(a);
                if (!gate_wait(a))
                        return GATE_CANCELLED;
        }
        if (atomic_load(&a->ring->epoch) == epoch)
                return GATE_ENTERED;
        gate_leave(a);
        return GATE_CANCELLED;
}

static bool evict_overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
        return start < other_end && other_start < end;
}

static bool evict_run_valid(const struct agent *a, const struct vmpager_run *run, uint32_t pages_left)
{
        uint64_t end = run->addr + (uint64_t)run->pages * VMPAGER_PAGE;
        uint64_t ring = (uintptr_t)a->ring;

        return run->pages >= 1 && run->pages <= pages_left && run->addr % VMPAGER_PAGE == 0 &&
               run->addr < EVICT_ADDRESS_END && !evict_overlaps(run->addr, end, a->own.start, a->own.end) &&
               !evict_overlaps(run->addr, end, ring, ring + a->ring_bytes);
}

/* Copies the order, reading each word of the ring once. False when it makes no sense. */
static bool evict_copy_order(const struct agent *a, const struct vmpager_batch *shared, struct order *o)
{
        const volatile struct vmpager_batch *from = shared;
        uint32_t pages = 0;

        o->epoch = from->epoch;
        o->n_runs = from->n_runs;
        o->n_pages = from->n_pages;
        o->first_slot = from->first_slot;
        o->flags = from->flags;
        if (o->n_pages > a->staging_pages || o->n_runs > o->n_pages || o->first_slot > a->n_slots ||
            o->n_pages > a->n_slots - o->first_slot)
                return false;
        for (uint32_t i = 0; i < o->n_runs; i++) {
                o->run[i].addr = from->run[i].addr;
                o->run[i].pages = from->run[i].pages;
                if (!evict_run_valid(a, &o->run[i], o->n_pages - pages))
                        return false;
                pages += o->run[i].pages;
        }
        return pages == o->n_pages && pages > 0;
}

static size_t evict_staging_bytes(const struct agent *a)
{
        return (size_t)a->staging_pages * VMPAGER_PAGE;
}

static long evict_register(struct agent *a)
{
        struct uffdio_register reg = {
                .range = { .start = (uintptr_t)a->staging, .len = evict_staging_bytes(a) },
                .mode = UFFDIO_REGISTER_MODE_MISSING,
        };

        return sys_ioctl(a->uffd, UFFDIO_REGISTER, &reg);
}

/* Unregisters before it drops: a drop of registered memory waits for the daemon to read an event. */
static void evict_close(struct agent *a)
{
        struct uffdio_range range = { .start = (uintptr_t)a->staging, .len = evict_staging_bytes(a) };

        sys_ioctl(a->uffd, UFFDIO_UNREGISTER, &range);
        sys_call(SYS_madvise, a->staging, evict_staging_bytes(a), MADV_DONTNEED);
}

/* mlockall(2) in the program reaches staging too: it fills it, and MOVE refuses a locked destination. */
static void evict_unlock_staging(struct agent *a)
{
        sys_call(SYS_munlock, a->staging, evict_staging_bytes(a));
}

static bool evict_staging_empty(const struct agent *a)
{
        uint8_t present[VMPAGER_BATCH_PAGES];
        uint8_t any = 0;

        if (sys_call(SYS_mincore, a->staging, evict_staging_bytes(a), present) < 0)
                return false;
        for (uint32_t i = 0; i < a->staging_pages; i++)
                any |= present[i];
        return !(any & 1);
}

/* What is in staging was moved there, whatever MOVE said of it (see evict_result_of()). */
static void evict_trust_staging(const struct agent *a, struct order *o)
{
        uint8_t present[VMPAGER_BATCH_PAGES];

        if (sys_call(SYS_mincore, a->staging, evict_staging_bytes(a), present) < 0)
                return;
        for (uint32_t k = 0; k < o->n_pages; k++)
                if ((present[k] & 1) && o->result[k] != VMPAGER_RES_MOVED)
                        o->result[k] = VMPAGER_RES_BARE;
}

/*
 * Readies slots and staging. Slots get their memory here, since running out of it while copying would
 * be a SIGBUS. Staging is known to be empty once it is registered and was seen empty: from then on only
 * a MOVE can fill it (see EEXIST below).
 */
static bool evict_open(struct agent *a, const struct order *o)
{
        if (sys_call(SYS_madvise, a->slots + (size_t)o->first_slot * VMPAGER_PAGE, (size_t)o->n_pages * VMPAGER_PAGE,
                     MADV_POPULATE_WRITE) < 0)
                return false;
        for (int tries = 0; tries < 2; tries++) {
                if (evict_register(a) < 0)
                        return false;
                if (evict_staging_empty(a))
                        return true;
                evict_unlock_staging(a);
                evict_close(a);
        }
        return false;
}

/*
 * One MOVE. Returns 0 or a negative errno, and the number of pages that were moved in *moved: with some
 * moved the error is always EAGAIN and says nothing; the next MOVE tells the reason. The kernel's
 * `move` field holds bytes or the negative errno, and is untouched by some errors before Linux 6.15.
 */
static long evict_move_pages(const struct agent *a, uint64_t from, uint32_t to, uint32_t pages, uint32_t *moved)
{
        struct uffdio_move move = {
                .dst = (uintptr_t)a->staging + (uint64_t)to * VMPAGER_PAGE,
                .src = from,
                .len = (uint64_t)pages * VMPAGER_PAGE,
                .mode = UFFDIO_MOVE_MODE_DONTWAKE,
        };
        long error = sys_ioctl(a->uffd, UFFDIO_MOVE, &move);

        *moved = move.move > 0 ? (uint32_t)(move.move / VMPAGER_PAGE) : 0;
        return error;
}

static long evict_protect(const struct agent *a, uint64_t from, uint32_t pages, uint64_t mode)
{
        struct uffdio_writeprotect wp = {
                .range = { .start = from, .len = (uint64_t)pages * VMPAGER_PAGE },
                .mode = mode,
        };

        return sys_ioctl(a->uffd, UFFDIO_WRITEPROTECT, &wp);
}

/*
 * Whether all that is mapped there is registered: MOVE takes pages from memory that is not, too, and they would read
 * as zeros afterwards. Nothing is protected by this call. Returns 0, or a negative errno, -ENOENT if not all is
 * registered. What it finds holds in this hold of the gate: a change to registered memory makes MOVE fail.
 */
static long evict_check_registered(const struct agent *a, uint64_t from, uint32_t pages)
{
        return evict_protect(a, from, pages, 0);
}

/* Marks places that pages were moved from. False when the mappings are changing. */
static bool evict_mark(const struct agent *a, uint64_t from, uint32_t pages)
{
        return evict_protect(a, from, pages, UFFDIO_WRITEPROTECT_MODE_WP) == 0;
}

/*
 * What an error at one page means. EEXIST says that the page's place in staging is taken. It was empty,
 * and only we move pages there, so the page was moved: where a transient condition, such as compaction of
 * memory, makes Linux 6.18 start over within a MOVE, it moves pages and leaves them out of its count (move_pages()
 * in mm/userfaultfd.c keeps the EAGAIN of the first try). Taking it for a refusal would lose the page.
 */
static enum vmpager_result evict_result_of(long error)
{
        switch (error) {
        case -ENOENT:
        case -EFAULT: /* a mark, or another entry that is no page */
                return VMPAGER_RES_ABSENT;
        case -EBUSY:
                return VMPAGER_RES_BUSY;
        case -EEXIST:
                return VMPAGER_RES_BARE;
        default:
                return VMPAGER_RES_REFUSED;
        }
}

/* True when the error is about the first page of the range, false when a part of it may yet be moved. */
static bool evict_error_is_of_page(long error)
{
        return error == -ENOENT || error == -EFAULT || error == -EBUSY || error == -EEXIST;
}

/*
 * Moves one run, whose first page has place `to`. Pages that it does not get to stay CANCELLED. False
 * when the rest of the batch is cancelled as well.
 */
static bool evict_move_run(struct agent *a, struct order *o, const struct vmpager_run *run, uint32_t to)
{
        uint32_t done = 0, most = EVICT_HOLD_PAGES, tries = 0;

        while (done < run->pages) {
                uint32_t pages = run->pages - done < most ? run->pages - done : most;
                uint64_t from = run->addr + (uint64_t)done * VMPAGER_PAGE;
                uint32_t moved = 0;
                bool marked, registered;

                if (gate_enter(a, o->epoch) != GATE_ENTERED)
                        return false;
                long error = evict_check_registered(a, from, pages);
                registered = error == 0;
                if (registered)
                        error = evict_move_pages(a, from, to + done, pages, &moved);
                marked = moved > 0 && evict_mark(a, from, moved);
                gate_leave(a);

                if (moved > 0) {
                        for (uint32_t i = 0; i < moved; i++)
                                o->result[to + done++] = marked ? VMPAGER_RES_MOVED : VMPAGER_RES_BARE;
                        most = most < EVICT_HOLD_PAGES ? most * 2 : EVICT_HOLD_PAGES;
                        tries = 0;
                } else if (error == -EAGAIN || error == -EINTR) {
                        if (++tries == EVICT_TRIES)
                                return true;
                        for (int i = 0; i < EVICT_PAUSES; i++)
                                sys_pause();
                } else if (pages > 1 && !(registered && evict_error_is_of_page(error))) {
                        most = pages / 2; /* the run may reach over the end of a mapping, or of what is registered */
                } else {
                        o->result[to + done++] = (uint8_t)(registered ? evict_result_of(error) : VMPAGER_RES_FOREIGN);
                }
        }
        return true;
}

static void evict_move(struct agent *a, struct order *o)
{
        uint32_t to = 0;

        for (uint32_t i = 0; i < o->n_runs; i++) {
                if (!evict_move_run(a, o, &o->run[i], to))
                        return;
                to += o->run[i].pages;
        }
}

typedef uint64_t block __attribute__((vector_size(16), may_alias));

/* Copies a page unless it is all zeros; returns whether it did. Both are page-aligned. */
static bool evict_copy_page(void *to, const void *from)
{
        const block *source = from;
        unsigned int i;

        for (i = 0; i < VMPAGER_PAGE / sizeof(block); i += 4) {
                block any = source[i] | source[i + 1] | source[i + 2] | source[i + 3];

                if (any[0] | any[1])
                        break;
        }
        if (i == VMPAGER_PAGE / sizeof(block))
                return false;
#if defined(__x86_64__)
        unsigned long words = VMPAGER_PAGE / sizeof(uint64_t);

        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
#else
        for (i = 0; i < VMPAGER_PAGE / sizeof(block); i++)
                ((volatile block *)to)[i] = source[i];
#endif
        return true;
}

/* Copies page k of the batch, which was at addr, to a slot; returns whether it needed one. */
static bool evict_copy_one(struct agent *a, struct order *o, uint32_t k, uint64_t addr, void *slot)
{
        const uint8_t *page = a->staging + (size_t)k * VMPAGER_PAGE;

        if (o->result[k] != VMPAGER_RES_MOVED && o->result[k] != VMPAGER_RES_BARE)
                return false;
        if (!evict_copy_page(slot, page)) {
                o->result[k] = o->result[k] == VMPAGER_RES_MOVED ? VMPAGER_RES_ZERO : VMPAGER_RES_BARE_ZERO;
                return false;
        }
        ends_note(a, page, addr);
        return true;
}

static void evict_copy(struct agent *a, struct order *o)
{
        uint8_t *slot = a->slots + (size_t)o->first_slot * VMPAGER_PAGE;
        uint32_t k = 0;

        for (const struct vmpager_run *run = o->run; run < o->run + o->n_runs; run++)
                for (uint64_t addr = run->addr; addr < run->addr + (uint64_t)run->pages * VMPAGER_PAGE;
                     addr += VMPAGER_PAGE)
                        if (evict_copy_one(a, o, k++, addr, slot))
                                slot += VMPAGER_PAGE;
}

/* Sets all results, in a way that the compiler does not turn into a call of memset(). */
static void evict_set_results(volatile uint8_t *result, uint32_t n, enum vmpager_result value)
{
        for (uint32_t k = 0; k < n; k++)
                result[k] = (uint8_t)value;
}

bool evict_take(const struct agent *a, struct vmpager_batch *shared, struct order *o)
{
        if (evict_copy_order(a, shared, o))
                return true;
        evict_set_results(shared->result, VMPAGER_BATCH_PAGES, VMPAGER_RES_REFUSED);
        return false;
}

/*
 * Writing to a page that fork left shared and that nobody else has any more makes it exclusive, without a copy
 * (wp_can_reuse_anon_folio() in mm/memory.c). vmpagerd has seen that each is mapped here alone. A page that was
 * discarded since is a fault, which vmpagerd answers: nothing may be held back here meanwhile, not even `busy`.
 */
void evict_reclaim(const struct agent *a, const struct order *o)
{
        if (!(o->flags & VMPAGER_BATCH_RECLAIM))
                return;
        for (uint32_t i = 0; i < o->n_runs; i++)
                if (atomic_load(&a->ring->epoch) == o->epoch)
                        sys_call(SYS_madvise, o->run[i].addr, (size_t)o->run[i].pages * VMPAGER_PAGE,
                                 MADV_POPULATE_WRITE);
}

void evict_carry_out(struct agent *a, struct vmpager_batch *shared, struct order *o)
{
        bool refused = false;

        evict_set_results(o->result, o->n_pages, VMPAGER_RES_CANCELLED);
        if (evict_open(a, o)) {
                evict_move(a, o);
                evict_trust_staging(a, o);
                evict_copy(a, o);
                evict_close(a);
        }
        for (uint32_t k = 0; k < o->n_pages; k++) {
                ((volatile uint8_t *)shared->result)[k] = o->result[k];
                refused |= o->result[k] == VMPAGER_RES_REFUSED;
        }
        if (refused)
                evict_unlock_staging(a);
}
