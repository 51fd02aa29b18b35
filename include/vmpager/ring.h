/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring: the memfd that a client's agent and vmpagerd share. The daemon posts batches of pages to
 * be evicted; the agent detaches them from the program (UFFDIO_MOVE into its staging area), copies
 * them into the slots and completes the batch. See ARCHITECTURE.md, "The way of an eviction".
 *
 *     offset 0                     struct vmpager_ring
 *     VMPAGER_RING_SLOTS_AT(b)     slots, VMPAGER_PAGE bytes each
 *
 * The client creates the memfd with the size that the OFFER named; the daemon fills in the header
 * before it answers READY. Neither side trusts a number the other can change: the daemon keeps its
 * own copy of all it wrote and reads results once; the agent checks what it is told to move.
 *
 * Batches are a single-producer single-consumer queue: batch number n uses batch[n % VMPAGER_RING_BATCHES].
 * `posted` is the number of batches posted and the futex that the agent sleeps on; `completed` the
 * number completed, in order. After raising `completed` the agent adds 1 to its eventfd.
 *
 * The move gate. A userfaultfd's "mapping is changing" counter makes MOVE fail while an UNMAP or REMAP
 * event is unread, but not from the moment it was read: then a new mapping may stand at the same
 * address, and a MOVE from an older order would take pages out of it behind the program's back. So the
 * daemon never reads events while a MOVE is going on, and the agent never begins one while the
 * daemon reads:
 *
 *     agent:   moving = 1;  if (reading) { moving = 0; add 1 to the eventfd; wait until !reading; again }
 *              if (epoch != batch's epoch) cancel, else MOVE, and mark the place that was left
 *              moving = 0;  if (reading) add 1 to the eventfd
 *     daemon:  reading = 1; if (moving) try again when the eventfd says so
 *              read(userfaultfd), and raise epoch if a mapping went away or moved
 *              reading = 0; futex wake on reading
 *
 * The mark is a write protection, which an absent page keeps in its page table entry, wherever mremap takes it and
 * until it is unmapped, discarded or installed again: so the program's own page tables say which pages are out.
 *
 * All four steps are sequentially consistent, so at least one side sees the other (Dekker).
 *
 * Fork. A child gets the pages that are the program's at that moment, so it must be known of each whether it was out.
 * When the daemon learns of a fork it raises epoch and then looks at `busy`: if that is 0, whatever is not completed
 * was not begun and is void. The agent begins no batch while `forks` is not 0 (src/preload/fork.c). While it is, what
 * other threads discard or unmap may be in the child all the same, although their events are read first.
 */
#ifndef VMPAGER_RING_H
#define VMPAGER_RING_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define VMPAGER_PAGE           4096u
#define VMPAGER_RING_MAGIC     0x31474e52474d56ull /* "VMGRNG1" */
#define VMPAGER_RING_BATCHES   8u
#define VMPAGER_BATCH_PAGES    256u /* most pages in one batch, and the size of the staging area */
#define VMPAGER_RING_SLOTS_MAX 16384u

/* What became of a page that was to be evicted. */
enum vmpager_result {
        VMPAGER_RES_NONE = 0,      /* not written: the daemon treats it as a fault of the agent's */
        VMPAGER_RES_MOVED = 1,     /* in the next slot of the batch */
        VMPAGER_RES_ZERO = 2,      /* detached; it was all zeros and takes no slot */
        VMPAGER_RES_ABSENT = 3,    /* nothing there (ENOENT) */
        VMPAGER_RES_BUSY = 4,      /* pinned, or shared by fork (EBUSY); still the program's */
        VMPAGER_RES_CANCELLED = 5, /* epoch had moved on, or the mapping was changing (EAGAIN) */
        VMPAGER_RES_REFUSED = 6,   /* cannot be moved: locked, read-only, a hole (EINVAL and others) */
        VMPAGER_RES_BARE = 7,      /* as MOVED, but the place it left could not be marked (EAGAIN) */
        VMPAGER_RES_BARE_ZERO = 8, /* as ZERO, in the same way */
        VMPAGER_RES_FOREIGN = 9,   /* not in memory that is registered */
};

/*
 * The pages may be ones that a fork had shared, and that are this process's alone again: the agent writes to them
 * (MADV_POPULATE_WRITE) before it moves them, since the kernel does not move them otherwise (EBUSY).
 */
#define VMPAGER_BATCH_RECLAIM 1u

/* A run of adjacent pages of the program. */
struct vmpager_run {
        uint64_t addr;  /* bytes, page-aligned */
        uint32_t pages; /* at least 1 */
        uint32_t reserved;
};

struct vmpager_batch {
        uint32_t epoch;      /* value of ring.epoch when it was posted */
        uint32_t n_runs;     /* 1 .. VMPAGER_BATCH_PAGES */
        uint32_t n_pages;    /* sum of the runs' pages, at most VMPAGER_BATCH_PAGES */
        uint32_t first_slot; /* n_pages slots from here are the batch's; the agent uses the first
                              * of them, one for each MOVED page, in order */
        struct vmpager_run run[VMPAGER_BATCH_PAGES];
        uint8_t result[VMPAGER_BATCH_PAGES]; /* enum vmpager_result, by page in the runs' order */
        uint32_t flags;                      /* VMPAGER_BATCH_* */
        uint8_t reserved[4096 * 2 - 20 - 16 * VMPAGER_BATCH_PAGES - VMPAGER_BATCH_PAGES];
};

struct vmpager_ring {
        /* Written by the daemon before READY, constant afterwards. */
        uint64_t magic;
        uint32_t n_slots;
        uint32_t slots_at; /* bytes from the start of the ring */
        uint8_t pad0[64 - 16];

        /* Written by the daemon. */
        _Atomic uint32_t posted;  /* futex */
        _Atomic uint32_t reading; /* gate; futex */
        _Atomic uint32_t epoch;
        uint8_t pad1[64 - 12];

        /* Written by the agent. */
        _Atomic uint32_t completed;
        _Atomic uint32_t moving; /* gate */
        _Atomic uint32_t busy;   /* 1 from before a batch is begun until it is completed */
        _Atomic uint32_t away;   /* 1 while there is no agent: the program makes a call that only one thread may make */
        _Atomic uint32_t tid;    /* the agent's, as gettid(2) told it: its own faults wait for nothing of its own */
        _Atomic uint32_t forks;  /* under way in the program, from before the call until after it; futex */
        uint8_t pad2[4096 - 64 * 2 - 24];

        struct vmpager_batch batch[VMPAGER_RING_BATCHES];
};

static_assert(sizeof(struct vmpager_run) == 16, "wire");
static_assert(sizeof(struct vmpager_batch) == 8192, "wire");
static_assert(sizeof(struct vmpager_ring) == 4096 + 8192 * VMPAGER_RING_BATCHES, "wire");

/* Where the slots begin, and how large a ring with that many slots is, in bytes. */
#define VMPAGER_RING_SLOTS_AT ((uint32_t)sizeof(struct vmpager_ring))
#define VMPAGER_RING_BYTES(n) ((uint64_t)VMPAGER_RING_SLOTS_AT + (uint64_t)(n)*VMPAGER_PAGE)

#endif
