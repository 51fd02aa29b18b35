/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_EVENT_H
#define PAGER_EVENT_H

#include "pager/space.h"

/* Acts on one event message, between the reading of its batch and the batch's faults. */
void event_act(struct space *s, const struct uffd_msg *msg);

/* Carries an event out, or writes it down to be carried out by event_settle(). The gate is closed (fault-receive.c). */
void event_note(struct space *s, const struct uffd_msg *msg);

/* Whether events wait to be carried out. */
static inline bool event_are_waiting(const struct space *s)
{
        return s->journal.n || s->journal.n_forks;
}

/* Whether an event about a page is in the journal: what is noted of it is older than the client. */
static inline bool event_is_noted(const struct space *s, uint64_t addr)
{
        return s->journal.n && region_touches(&s->journal.ranges, addr, addr + PAGE_SIZE_);
}

/* Whether what is noted of a page must not be changed for that reason, or since a child is to get it. */
static inline bool event_is_pending(const struct space *s, uint64_t addr)
{
        return s->journal.n_forks || event_is_noted(s, addr);
}

/*
 * Whether what is noted of a child may have to be mended by what its parent tells. Until then none of it is acted on:
 * faults on what is out wait, nothing is evicted, and its own events wait in its journal.
 */
static inline bool event_is_unsettled(const struct space *s)
{
        return s->unsettled || s->orphan;
}

/*
 * Every message was read, and the gate is closed (fault-receive.c): carries out what was written down, if nothing is
 * changing. Returns whether what is noted of the client is what it is now.
 */
bool event_settle(struct space *s);

/* As many runs of marks come from one walk of the kernel's, for which it holds the lock on the mappings throughout. */
#define EVENT_JUDGE_RUNS 256u

/* Compares outcomes with what the client's page tables show. */
struct event_judge {
        struct space *space;
        const struct region_set *touched; /* what the events in the journal are about */
        struct region_set marked;         /* what is marked there */
        uint64_t n_marked;                /* pages */
        bool has_looked;
        bool lenient; /* notes without a mark may be of pages that the client has not */
        int error;    /* of the look: -EAGAIN when something was changing all the time, or another negative errno */
        struct procfs_run run[EVENT_JUDGE_RUNS];
};

/* Makes a judge of the events in the space's journal. event_judge_clear() frees what it has. */
void event_judge_init(struct event_judge *j, struct space *s);
void event_judge_clear(struct event_judge *j);

/*
 * Reads the marks at a moment at which nothing is changing, if that was not done. Returns 0; -EAGAIN when something was
 * changing all the time, or another negative errno.
 */
int event_judge_look(struct event_judge *j);

/* The judge function of struct order_question (model/order.h); arg is the judge. */
uint64_t event_judge(void *arg, const struct pieces *outcome);

/* Marks pages that are out and have no mark yet. */
void event_mark_bare(struct space *s);

/* Takes the marks of pages away that event_remove() has dropped. To be called when no event is to be carried out. */
void event_unmark(struct space *s);

/* madvise(DONTNEED, FREE), a hole punched: the pages are to be zeros, now or in a moment. */
void event_remove(struct space *s, uint64_t start, uint64_t end);

/*
 * Ends the CLEARED state of pages in [start, end) that are absent now: what was to be zapped is. `present` are the
 * runs that are present there, in order.
 */
void event_settle_absent(struct space *s, uint64_t start, uint64_t end, const struct procfs_run *present, int n);

/* munmap, or another mapping in its place: the pages are gone. */
void event_unmap(struct space *s, uint64_t start, uint64_t end);

/* mremap: the pages are at another address now. */
void event_remap(struct space *s, uint64_t from, uint64_t to, uint64_t len);

/*
 * fork: fd is the child's userfaultfd. The child's space is made, and what is out in the parent's is shared with it.
 * half_done: the agent has ended in the middle of a batch, perhaps, and what it was about is lost; else it has nothing
 * half done (evict_is_half_done()). Returns the child's space, or NULL when there is none.
 */
struct space *event_fork(struct space *s, int fd, bool half_done);

/*
 * The child may also have what a REMAP has brought, which was carried out since: where something else is noted it is
 * found out which of the two. chained: another REMAP was about the same places, so that it cannot be.
 */
void event_fork_more(struct space *s, struct space *child, const struct order_event *e, bool chained);

/* Something was done to what the parent had in [start, end), perhaps before the fork: pages without a mark are lost. */
void event_fork_doubt(struct space *s, struct space *child, uint64_t start, uint64_t end);

/*
 * The parent of an orphan may have moved memory just before the fork, and has ended before it could tell. Then at least
 * one page that is noted to be out has no mark at its place: the source of the move that came last. If there is none,
 * what is noted is right, and 1 returned. If there is, the child is ended, and 0 returned. -ESRCH: it is not known
 * which process it is, and it stays an orphan until then. Nothing is changing.
 */
int event_fork_trust(struct space *s);

/*
 * The space ends. Children whose fork was not carried out yet get what is noted now; its own parent, if that may yet
 * have to tell it something, need not.
 */
void event_fork_end(struct space *s);

/* Lets go of what an entry holds (slot, location, fetch, order), and gives it the state `to`. */
void event_drop_page(struct space *s, uint64_t addr, enum page_state to);

#endif
