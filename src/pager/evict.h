/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_EVICT_H
#define PAGER_EVICT_H

#include "pager/space.h"

/* Posts as many batches as the budget wants and the ring has room for. Cheap when there is nothing to do. */
void evict_kick(struct space *s);

/* The agent's eventfd was raised: takes the results of completed batches. */
void evict_completed(struct space *s);

/* Takes the results of completed batches, and does no more: faults that waited for them are to be tried again. */
void evict_collect(struct space *s);

/* The agent has ended: takes what it completed; what it has not begun stays the program's. */
void evict_abandon(struct space *s);

/*
 * Whether the agent is about a batch, so that nobody knows which of its pages are out. If not, and evict_cancel() was
 * called before, no page of a batch that is not completed is out or will be.
 */
bool evict_is_half_done(const struct space *s);

/* Chooses pages: up to max of them as runs (at most VMPAGER_BATCH_PAGES). Returns how many pages; 0 is not the end. */
uint32_t evict_pick(struct space *s, struct vmpager_run *runs, uint32_t max, uint32_t *n_runs);

/* Looks, when it is time to, which pages must stay. Returns 0 or a negative errno: nothing can be taken now. */
int evict_keep_look(struct space *s);

/* Whether the page must stay. */
bool evict_keeps(const struct space *s, uint64_t addr);

/* Whether the search has been everywhere and found nothing; it begins anew then. */
bool evict_pick_is_futile(struct space *s);

/* Whether waiting for room is in vain: a whole round found nothing that can be detached, or there is no agent now. */
bool evict_is_hopeless(const struct space *s);

/* The page that an EVICTING entry's index names. */
struct evict_item *evict_item_at(struct space *s, uint32_t index);

/* An event took the page of an EVICTING entry away: its bytes are not wanted, its faults are to be routed again. */
void evict_item_drop(struct space *s, uint32_t index);

/* Orders that the agent has not carried out yet are void: their addresses may mean other memory now. */
void evict_cancel(struct space *s);

/* The same, if any of them is for a page in [start, end). */
void evict_cancel_in(struct space *s, uint64_t start, uint64_t end);

/* The page whose bytes are in the slot is in the program again, or gone: the slot is freed as soon as it can be. */
void evict_slot_recall(struct space *s, uint32_t slot);

/* Writes the slots in [first, first + n) that have an owner and are not being written to the store. */
void evict_write(struct space *s, uint32_t first, uint32_t n);

/* The store has no room, or none in one piece: notes it, and says so the first time. */
void evict_full(struct space *s);

/* The store takes no writes, by this error: as if it were full. */
void evict_refused(struct space *s, int error);

/*
 * A page was fetched from a location and is in the program again. Takes over the entry's reference to the location, and
 * notes it or gives it back.
 */
void evict_clean_note(struct space *s, uint64_t addr, store_loc loc);

/* Pages in the slots [first, first + n) that the store has as they are become STORED there, and their slots free. */
void evict_clean(struct space *s, uint32_t first, uint32_t n);

/* Gives back what is noted of [start, end); of all, with the memory for it. */
void evict_clean_forget(struct space *s, uint64_t start, uint64_t end);
void evict_clean_forget_all(struct space *s);

/* The store wants room: gives back what is noted of all clients. Returns whether that was anything. */
bool evict_clean_yield(struct pager *p);

/* Looks whether the store has room for what is only noted; if not, it gets it back. */
void evict_clean_look(struct pager *p);

/* Tries again to write what the store had no room for. */
void evict_write_again(struct space *s);

/* A write to the store has ended. */
void evict_release(struct store_io *io, int result);

#endif
