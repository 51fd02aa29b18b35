/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A space: one client's memory, as the pager keeps it. All of it belongs to one worker thread.
 *
 *     fault-receive -> fault-route -> fault-fill                                         the way of a fault
 *                                  -> fault-fetch (fault-ahead) -> fault-arrive -> fault-install
 *     evict-pick -> evict-detach -> evict-write -> evict-release                         the way of an eviction
 *     event-remove, event-unmap, event-remap, event-fork                                 what the client did
 *     pressure                                                                          when to do what
 */
#ifndef PAGER_SPACE_H
#define PAGER_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmpager/protocol.h>
#include <vmpager/ring.h>

#include "model/budget.h"
#include "model/clean.h"
#include "model/order.h"
#include "model/portions.h"
#include "model/ptable.h"
#include "model/readahead.h"
#include "model/region.h"
#include "model/ring-slots.h"
#include "model/runs.h"
#include "model/stream.h"
#include "pager/port.h"
#include "store/store.h"
#include "util/hist.h"

struct idle_ops;
struct space;

/* Where a fault was served from. STALE: the page was there already, or had gone with its mapping. */
enum fault_kind { FAULT_ZERO, FAULT_STANDBY, FAULT_RAM, FAULT_DISK, FAULT_STALE, FAULT_N_KINDS };

/* A fault that was read and not answered yet. */
struct fault {
        struct fault *next;
        uint64_t addr;  /* page-aligned */
        uint64_t since; /* ns */
        uint32_t tid;
        bool write;
        bool looked; /* it is from outside of what is certain, and the mappings are looked at for its sake */
};

struct fault_list {
        struct fault *head, **tail; /* tail is set up by fault_list_init() */
};

/*
 * A page that is being read from the store. Its number is in the page's entry, and the number of its buffer. Pages that
 * are read together have numbers that follow each other; from the end of the read on each goes its own way.
 */
struct fetch {
        struct store_io io;  /* of the first of those that are read together */
        struct space *space; /* NULL: the client went away meanwhile */
        uint64_t addr;
        store_loc loc;
        uint32_t part;        /* of the store, as store_part() has it */
        bool dropped;         /* the page went away meanwhile (REMOVE, UNMAP) */
        bool arrived;         /* the bytes are here, their installation has to be tried again */
        bool asked;           /* a fault was about the page; else it was brought along */
        int result;           /* of the read: 0, or a negative errno */
        enum fault_kind kind; /* where it was read from */
        struct fault_list faults;
        struct fetch *next; /* in the list of the arrived */
};

#define PAGER_FETCHES    RUNS_MOST
#define PAGER_ZERO_BYTES (STREAM_MAX_RUN * PAGE_SIZE_)

/* What the spaces of one worker share. */
struct pager {
        struct store *store;
        struct store_port *store_port;
        struct store_owner_config owner; /* how clients' pages are kept */
        uint64_t ram_bytes;              /* that a client's packed pages may have in memory, */
        unsigned ram_percent;            /* and how many hundredths of its limit; the less of both holds */
        const struct idle_ops *idle;
        char *buffers;     /* PAGER_FETCHES pages, registered with the loop */
        int buffers_index; /* -1: not registered */
        const char *zeros; /* PAGER_ZERO_BYTES */
        struct fetch fetch[PAGER_FETCHES];
        struct runs fetches;    /* the numbers of those that are in use */
        struct portions parts;  /* of them, by part of the store: one that hangs does not have all */
        uint32_t starved;       /* parts whose fetch a fault waits for: bits */
        uint32_t readahead;     /* pages that are brought along at most; 0: none */
        bool store_is_low;      /* it has no room for what is only noted, see evict-clean.c */
        bool grow_when_full;    /* the store: clients go beyond their limits then, else faults at the limit wait */
        struct space *spaces;   /* utlist, DL */
        uint64_t sharing_after; /* when what is shared may be counted again */
};

/* One page of a batch that the agent has. */
struct evict_item {
        uint64_t addr;
        bool dropped; /* the page went away meanwhile: its bytes are not wanted */
        struct fault_list faults;
};

struct evict_batch {
        uint32_t n_pages, first_slot, n_slots, epoch;
        struct evict_item item[VMPAGER_BATCH_PAGES];
};

/* A run of slots that is being written to the store. */
struct evict_io {
        struct store_io io;
        struct space *space;
        uint32_t first_slot;
        struct evict_io *next; /* in the list of free ones */
};

/* Events that were read and not carried out yet, in the order in which they were read. */
struct event_journal {
        struct order_event *v;
        size_t n, room;
        size_t remaps;            /* of them */
        struct region_set ranges; /* what they are about */
        int *fork;                /* userfaultfds of children whose fork was not carried out yet */
        size_t n_forks, forks_room;
        struct space **child; /* whose fork was, since something was changing all the time; they are `unsettled` */
        size_t n_children, children_room;
};

/* Where counting what is shared after a fork has come to (sharing.c). */
struct sharing {
        uint64_t hand;  /* address */
        uint64_t found; /* bytes */
};

/* Counters; one thread adds, others may read a copy taken in that thread. */
struct space_stats {
        uint64_t faults;                /* messages read */
        uint64_t served[FAULT_N_KINDS]; /* faults answered, by where from */
        uint64_t evicted_pages, written_pages, poisoned_pages;
        uint64_t clean_evictions; /* evicted without a write: the store had them as they were */
        uint64_t events_remove, events_unmap, events_remap, events_fork;
        uint64_t stalls;        /* faults that had to wait for room */
        uint64_t store_full;    /* times that the store was found full */
        uint64_t swap_full;     /* times that the client was found to have as much out as it may */
        uint64_t over_limit;    /* pages given beyond the limit, since nothing could be evicted */
        uint64_t not_evictable; /* pages that the agent could not detach */
};

struct space {
        struct space *prev, *next; /* in pager->spaces */
        struct pager *pager;
        struct port *port;
        int pid;     /* for messages */
        bool shares; /* it has forked or was: pages may be shared, or not known to be its own again */

        struct vmpager_ring *ring;
        char *slots;               /* the ring's */
        int slots_buffer;          /* index of the registered buffer, -1: not registered */
        struct store_owner *owner; /* of what is written of it */

        struct ptable table;
        struct region_set regions;
        struct region_set certain; /* the part of regions that is so beyond doubt: pages are evicted from there alone */
        struct region_set unmark;  /* pages that were discarded, and may have a mark yet */
        uint64_t stray_marks;      /* pages that may have a mark and are not out, at most */
        struct event_journal journal;                     /* what is noted of its ranges is older than the client */
        struct region excluded[VMPAGER_MAX_EXCLUDED + 2]; /* the agent's memory */
        unsigned n_excluded;
        struct budget budget;
        struct sharing sharing;
        struct streams streams;
        struct readahead readahead;
        struct ring_slots ring_slots;
        struct portions room; /* of the slots, by part of the store that they are written to */
        struct space_stats stats;
        struct hist service; /* ns from the message being read to the page being there */

        /* Faults. */
        struct fault *free_fault;
        struct fault_list stalled; /* wait for room, in order */
        struct fault_list retry;   /* met EAGAIN: again after the next events */
        struct fetch *arrived;     /* fetches that met EAGAIN */
        bool read_pending;         /* the agent was in the gate */
        uint64_t gate_since;       /* ns: it has been there at each look since; 0: it was not at the last */
        bool doubtful;             /* regions holds more than certain, perhaps */
        struct space *unsettled;   /* the parent, events of which may yet be about what this child has; or NULL */
        bool orphan;               /* that one has ended before it had told them */
        bool of_one_thread;        /* it had one thread alone when it forked this child */
        bool adopted;              /* that one has ended, and what its own parent tells concerns this child */
        bool forks_alone;          /* and now, as it was when messages were read last, if its library told of a fork */
        bool bereft;               /* a page of this child has no mark, and is not where it is noted to be, perhaps */
        bool heir;                 /* a forked child: what is noted may be of pages that it does not have (heir.c) */

        /* Evictions. */
        struct evict_batch *batch; /* VMPAGER_RING_BATCHES of them */
        uint32_t posted, completed;
        uint32_t epoch;
        uint64_t hand;          /* address at which picking goes on */
        unsigned rounds;        /* since it last found something */
        uint64_t hand_chunk;    /* end of the chunk that the hand has come to; 0: none */
        uint64_t in_flight;     /* pages in posted batches */
        uint64_t unwritten;     /* standby pages for which the store had no room or a write failed */
        uint64_t swap;          /* pages that it may have in the store; UINT64_MAX: as many as there is room for */
        uint64_t writing;       /* pages that are being written */
        bool store_is_full;     /* a write found no room, or none ends well, and not all has been written since */
        uint64_t refused_since; /* ns: a write failed, and none has ended well after it; 0: there is none such */
        const char *full_why;   /* of store_is_full, in words */
        bool swap_said;         /* that was logged, of it or of who forked it */
        uint64_t futile_until;  /* ns: a whole round found nothing evictable, or the agent could take none of it */
        uint64_t futile_size;   /* bytes: the resident size at that time */
        uint64_t vain;          /* pages in a row that the agent could not take, and no event is why; UINT64_MAX: all */
        struct region_set kept[2]; /* pages that must stay: seen of late, and before that, see evict-keep.c */
        uint64_t kept_since, keep_look_after; /* ns */
        struct clean clean;                   /* where pages that have come back are in the store */
        struct evict_io *free_io;
        uint32_t writes; /* evict_io under way */

        /* Pressure. */
        uint64_t mapped;                    /* size of all mappings at the last look, 0: look again */
        uint64_t look_after, confirm_after; /* ns: the mappings are not looked at again before, see registration.c */
        uint64_t looked_at;                 /* ns: when they were looked at last */
        uint64_t seen;                      /* resident size at the last tick */
        uint64_t quiet_ns;                  /* time between ticks while gated */
        uint64_t calm_since;                /* ns: growth has not been gated since; 0: it is */

        bool dying;
};

/*
 * Sets up a space for a client. ring is mapped and its header filled in; table_memory is zeroed memory for the page
 * table (table_bytes of address space, touched as needed). All of it stays the caller's, and must stay until
 * space_busy() is false after space_end(). Returns 0 or -ENOMEM.
 */
int space_init(struct space *s, struct pager *pager, struct port *port, struct vmpager_ring *ring, uint32_t n_slots,
               void *table_memory, uint64_t table_bytes);

/* The client is gone: drops all that is stored for it. I/O that is under way goes on for a moment. */
void space_end(struct space *s);

/* Whether I/O from or to the space's memory is still under way. */
bool space_busy(const struct space *s);

/* Frees what space_init() allocated; only when the space is not busy. */
void space_clear(struct space *s);

/* Sets the limit in bytes, 0 for none. */
void space_set_limit(struct space *s, uint64_t limit);

/*
 * Sets how many bytes of its pages, of 4 KiB each whatever they are packed to, may be in the store at once; 0: as many
 * as there is room for. When it has as many the store is full for it, and for nobody else. What a fork makes a child
 * share may be more: then nothing of the child is written until enough has come back or gone.
 */
void space_set_swap(struct space *s, uint64_t bytes);

/* The timer that the space asked its port for has fired: looks at the client's size, and acts on it. */
void space_tick(struct space *s);

/* Sets up what the spaces of a worker share; buffers as in struct pager. */
void pager_init(struct pager *p, struct store *store, struct store_port *port, const struct idle_ops *idle,
                char *buffers, int buffers_index, const char *zeros);

#endif
