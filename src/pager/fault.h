/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_FAULT_H
#define PAGER_FAULT_H

#include "pager/space.h"

/* After how long what met EAGAIN is tried again, if no message comes before. */
#define FAULT_RETRY_NS 250000ull

/* The userfaultfd is readable (or may be): reads a batch of messages and acts on it, events first. */
void fault_receive(struct space *s);

/* The agent left the gate, perhaps: reads what had to wait for it. */
void fault_gate_open(struct space *s);

/* Takes a fault the way that its page's state says. */
void fault_route(struct space *s, struct fault *f);
void fault_route_list(struct space *s, struct fault_list *list);

/* Gives zeroes to a page that holds nothing, and to those behind it while the access is sequential. */
void fault_fill(struct space *s, struct fault *f);

/* Begins to read a page from the store, and others that are likely to be wanted. */
void fault_fetch(struct space *s, struct fault *f);

/* Of the fetches of a worker one in so many is kept for what is asked for. */
#define FAULT_ASKED_SHARE 4u

/* The fetch is over: another may have it. */
void fault_fetch_free(struct pager *p, struct fetch *fetch);

/* Begins the read of the pages of n fetches that follow each other, all set up. */
void fault_fetch_submit(struct space *s, uint32_t number, uint32_t n);

/*
 * Which pages are to be read along with that of a fault: puts their addresses into out, READAHEAD_MOST at most, in the
 * order in which they are expected to be wanted. Returns how many; room is reserved for them, and there are fetches.
 */
uint32_t fault_ahead(struct space *s, const struct fault *f, uint64_t *out);

/* A read of one or more pages has ended: store_done_fn. */
void fault_arrived(struct store_io *io, int result);

/* Tries again to install what fetches brought and met EAGAIN. */
void fault_fetch_retry(struct space *s);

/* Forgets about a fetch's page (REMOVE, UNMAP), or follows it (REMAP). */
void fault_fetch_drop(struct space *s, uint32_t number);

/*
 * Installs pages that nobody waits for, n from addr on, in one go. Returns how many of them are there now, which may be
 * fewer: it goes on behind those; 0 or negative: the next cannot be installed now.
 */
int fault_install_run(struct space *s, uint64_t addr, const void *bytes, uint32_t n);

/* Answers a fault on a page in the ring. */
void fault_install_slot(struct space *s, struct fault *f, uint32_t slot);

/*
 * Installs one page of bytes. Returns 1 when the page is there now (its entry is then for the caller to set,
 * waiting threads are awake), 0 when it has to be tried again after the next events, negative when the client is
 * gone.
 */
int fault_install(struct space *s, uint64_t addr, const void *bytes);

/*
 * Adds a fault to a list of those that wait, and takes it over. A thread that a signal woke from its wait asks again:
 * the fault that is there already stands for both.
 */
void fault_wait(struct space *s, struct fault_list *list, struct fault *f);

/* Waits for room, or for the next events. Takes the fault over. */
void fault_stall(struct space *s, struct fault *f);
void fault_retry(struct space *s, struct fault *f);

/* Counts a page that is given although there is no room and nothing can be evicted, and says so now and then. */
void fault_beyond(struct space *s, const struct fault *f);

/* Goes on with faults that waited for room. */
void fault_unstall(struct space *s);

/*
 * Whether the fault is the agent's own: it must wait neither for the agent nor for room. It has some when it takes
 * pages back from a fork (VMPAGER_BATCH_RECLAIM) that were discarded meanwhile.
 */
static inline bool fault_is_of_agent(const struct space *s, const struct fault *f)
{
        return f->tid != 0 && f->tid == atomic_load_explicit(&s->ring->tid, memory_order_relaxed);
}

/* The fault is answered: counts it and frees it. */
void fault_done(struct space *s, struct fault *f, enum fault_kind kind);
void fault_done_list(struct space *s, struct fault_list *list, enum fault_kind kind);

/* A fault to be filled in by the caller, NULL without memory. fault_done() takes it back. */
struct fault *fault_new(struct space *s);
/* Frees all faults of a space that has ended, answered or not. */
void fault_free_all(struct space *s);

static inline void fault_list_init(struct fault_list *l)
{
        l->head = NULL;
        l->tail = &l->head;
}

static inline void fault_list_add(struct fault_list *l, struct fault *f)
{
        f->next = NULL;
        *l->tail = f;
        l->tail = &f->next;
}

static inline struct fault *fault_list_take(struct fault_list *l)
{
        struct fault *f = l->head;

        if (f) {
                l->head = f->next;
                if (!l->head)
                        l->tail = &l->head;
        }
        return f;
}

/* Moves all of `from` to the end of `to`. */
static inline void fault_list_move(struct fault_list *to, struct fault_list *from)
{
        if (!from->head)
                return;
        *to->tail = from->head;
        to->tail = from->tail;
        fault_list_init(from);
}

#endif
