/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_EVENT_H
#define PAGER_EVENT_H

#include "pager/space.h"

/* Acts on one event message, between the reading of its batch and the batch's faults. */
void event_act(struct space *s, const struct uffd_msg *msg);

/*
 * Carries REMOVE, UNMAP and REMAP out in the order of their operations, which can be another than the order in
 * which they were read.
 */
void event_in_order(struct space *s, const struct uffd_msg *msg);

/* Every message was read: ends the waiting of events if the kernel has no more under way. */
void event_settle_order(struct space *s);

/* madvise(DONTNEED, FREE), a hole punched: the pages are to be zeros, now or in a moment. */
void event_remove(struct space *s, uint64_t start, uint64_t end);

/*
 * Ends the CLEARED state of pages in [start, end) that are absent now: what was to be zapped is. `present` are the
 * runs that are present there, in order.
 */
void event_settle(struct space *s, uint64_t start, uint64_t end, const struct procfs_run *present, int n);

/* munmap, or another mapping in its place: the pages are gone. */
void event_unmap(struct space *s, uint64_t start, uint64_t end);

/* mremap: the pages are at another address now. */
void event_remap(struct space *s, uint64_t from, uint64_t to, uint64_t len);

/* fork: fd is the child's userfaultfd. */
void event_fork(struct space *s, int fd);

/* Lets go of what an entry holds (slot, location, fetch, order), and gives it the state `to`. */
void event_drop_page(struct space *s, uint64_t addr, enum page_state to);

#endif
