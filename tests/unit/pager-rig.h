/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A space with nothing real around it: a client of RIG_PAGES pages in memory of the test's, with the kernel's rules for
 * userfaultfd (an unread event makes COPY fail, a woken thread that still misses its page faults again), an agent
 * that carries out batches when it is told to, and a store whose I/O ends when it is told to. Pages have numbers.
 *
 * What is in a page is told by a seed: 0 is zeros, all others a pattern of page number and seed.
 */
#ifndef TESTS_PAGER_RIG_H
#define TESTS_PAGER_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "idle/idle.h"
#include "model/page.h"
#include "pager/event.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "pager/space.h"
#include "unit-run.h"

#define RIG_MIB    (UINT64_C(1) << 20)
#define RIG_PAGES  1024u /* two chunks */
#define RIG_MAPPED 512u  /* pages 0 .. RIG_MAPPED - 1 are mapped at first, the others are room for a REMAP */
#define RIG_SLOTS  512u
#define RIG_LOCS   4096u
#define RIG_IOS    1024u
#define RIG_MSGS   2048u
#define RIG_BASE   UINT64_C(0x7f1200000000)
#define RIG_LIMIT  (64 * RIG_MIB)
#define RIG_MAIN   100u /* the thread that rig_touch() is */

struct rig_page {
        bool mapped, present, poisoned;
        bool enlisted;
        bool guard;            /* absent, and not to be touched: a run of zeros that goes over it fails the test */
        bool marked;           /* absent, and out */
        bool not_for_children; /* MADV_DONTFORK or MADV_WIPEONFORK */
        uint8_t result;        /* what the agent is to answer for it; VMPAGER_RES_NONE: what is true */
        uint32_t waiting;      /* threads */
        uint32_t tid;          /* the last of them */
        bool write;
        uint32_t segv; /* threads that were woken where nothing is mapped any more */
};

struct rig {
        struct port port; /* first */
        struct store_port store_port;
        struct store store;
        struct pager pager;
        struct space space;
        struct vmpager_ring *ring;
        unsigned char *memory;
        struct rig_page page[RIG_PAGES];
        uint64_t ballast;    /* bytes that count as resident beside the pages */
        uint64_t thread_end; /* the kernel needs 24 bytes here when the client's thread ends; 0: it has none */
        uint64_t now, timer_at;
        bool again, gone;
        bool no_marks;     /* the agent cannot set them */
        bool alone;        /* it has one thread */
        bool ends;         /* as soon as its messages are read */
        bool ending;       /* and what its threads were about is not told */
        bool changing;     /* a call is between two of its events */
        unsigned looks;    /* at what is present */
        unsigned counts;   /* of what is shared, */
        uint64_t count_ns; /* and how long one takes */
        unsigned killed, kicks, ungates, reads, forked, enlisted, discharged, zeropages;
        int forked_fd;
        struct rig *child;      /* who a fork makes; NULL: there is no room for one */
        bool shared[RIG_PAGES]; /* another process has the page too */
        int copy_error;         /* COPY fails with it, copy_errors times */
        unsigned copy_errors;
        unsigned protected_from; /* the page from which on nothing may be touched, not 0 */
        bool no_query;           /* the kernel cannot be asked for one mapping */

        struct uffd_msg msg[RIG_MSGS];
        unsigned n_msgs;

        uint32_t moved; /* batches whose pages the agent has moved; ring->completed follows */

        uint32_t refs[RIG_LOCS];
        unsigned char *stored;
        uint32_t capacity, allocated;
        struct store_io *io[RIG_IOS];
        unsigned n_ios;
};

extern const struct port_ops rig_port_ops;
extern const struct store_ops rig_store_ops;
extern const struct store_ops rig_comparing_store_ops; /* that can tell what is in a location, see store_same() */

/* That has RIG_PARTS parts, of RIG_PART_LOCS locations each; what is beyond is in none. */
#define RIG_PARTS     2u
#define RIG_PART_LOCS 256u
extern const struct store_ops rig_parted_store_ops;

/* A client with a limit, gated, all of its memory registered, nothing evicted, nothing under way. */
struct rig *rig_new(void);

/* Ends the client, whatever is under way, and checks that no location is in use after the last I/O. */
void rig_free(struct rig *r);

/*
 * Readies a child of r, with r's pager and store, that the next fork makes: rig_fork() is that. rig_free() frees it
 * with its parent; rig_end() ends one of them whose relatives live on.
 */
struct rig *rig_child(struct rig *r);
void rig_fork(struct rig *r);
void rig_end(struct rig *r);

static inline uint64_t rig_addr(unsigned page)
{
        return RIG_BASE + page * PAGE_SIZE_;
}

/* The number of the page at an address, the memory behind a page, and the message that its thread waits. */
unsigned rig_number(uint64_t addr);
unsigned char *rig_bytes(const struct rig *r, unsigned page);
void rig_fault(struct rig *r, unsigned page);

/* The client. put: the page is present with these bytes. holds: it is present, and has them. */
void rig_put(struct rig *r, unsigned page, unsigned seed);
void rig_put_many(struct rig *r, unsigned first, unsigned n, unsigned seed);
bool rig_holds(const struct rig *r, unsigned page, unsigned seed);
bool rig_holds_many(const struct rig *r, unsigned first, unsigned n, unsigned seed);

/* A thread touches a page: nothing if it is present, else a message, which rig_receive() makes the pager read. */
void rig_touch_as(struct rig *r, uint32_t tid, unsigned page, bool write);
void rig_touch(struct rig *r, unsigned page);
void rig_receive(struct rig *r);

/* Events. REMOVE comes in two steps, as the kernel does it: the message, and the zap at some time after it was read. */
void rig_remove(struct rig *r, unsigned first, unsigned n);
void rig_zap(struct rig *r, unsigned first, unsigned n);
void rig_unmap(struct rig *r, unsigned first, unsigned n);
void rig_remap(struct rig *r, unsigned from, unsigned to, unsigned n);
void rig_unmap_echo(struct rig *r, unsigned first, unsigned n); /* the UNMAP that is told after a REMAP */

/* Time and pressure. press: no room is left, batches are posted. relax: growth is gated, nothing is to be evicted. */
void rig_tick(struct rig *r, uint64_t ns);
void rig_press(struct rig *r);
void rig_relax(struct rig *r);

/* The agent: moves the pages of all posted batches; says so; both, and the pager takes the answer. */
void rig_move(struct rig *r);
void rig_complete(struct rig *r);
void rig_agent(struct rig *r);

/* The store: ends all I/O that is under way, or the oldest one, with a result of 0 or a negative errno. */
void rig_store(struct rig *r, int result);
void rig_store_one(struct rig *r, int result);
bool rig_store_part(struct rig *r, unsigned part); /* the oldest of a part, well; false: there is none */
uint32_t rig_refs(const struct rig *r);

enum page_state rig_state(const struct rig *r, unsigned page);

/* Checks the state of n pages. */
void rig_expect(const struct rig *r, unsigned first, unsigned n, enum page_state state);

/* Takes what is present from first on to a state, EVICTING, STANDBY or STORED, and takes the pressure off. */
void rig_evict_to(struct rig *r, unsigned first, unsigned n, enum page_state state);

#endif
