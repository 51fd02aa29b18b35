/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_EVENT_H
#define PAGER_EVENT_H

#include "pager/space.h"

/* Acts on one event message, between the reading of its batch and the batch's faults. */
void event_act(struct space *s, const struct uffd_msg *msg);

/* madvise(DONTNEED, FREE), a hole punched: the pages are to be zeros, now or in a moment. */
void event_remove(struct space *s, uint64_t start, uint64_t end);

/* munmap, or another mapping in its place: the pages are gone. */
void event_unmap(struct space *s, uint64_t start, uint64_t end);

/* mremap: the pages are at another address now. */
void event_remap(struct space *s, uint64_t from, uint64_t to, uint64_t len);

/* fork: fd is the child's userfaultfd. */
void event_fork(struct space *s, int fd);

/* Lets go of what an entry holds (slot, location, fetch, order), and gives it the state `to`. */
void event_drop_page(struct space *s, uint64_t addr, enum page_state to);

#endif
