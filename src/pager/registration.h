/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_REGISTRATION_H
#define PAGER_REGISTRATION_H

#include "pager/space.h"

/*
 * Registers what is not registered yet, if mappings have come since the last look, or that was long ago; mapped is the
 * size of all of them in bytes.
 */
void registration_extend(struct space *s, uint64_t mapped);

/*
 * Nothing is changing: finds out what of space.regions is certain, and registers what is new. Returns 1 when all of
 * it is, 0 when not all; -EAGAIN when something has begun to change, or another negative errno.
 */
int registration_confirm(struct space *s);

/* The page at addr was found to be of memory that is not registered: looks for such memory again. */
void registration_lost(struct space *s, uint64_t addr);

/* Gives mappings that hold nothing of ours back to the kernel. */
void registration_shrink(struct space *s);

#endif
