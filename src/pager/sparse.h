/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address space that is reserved and not used, of which some programs have terabytes. */
#ifndef PAGER_SPARSE_H
#define PAGER_SPARSE_H

#include "pager/space.h"

/*
 * Where to go on behind chunks of which nothing is present and nothing is noted: the start of a later chunk below end,
 * or end; `start` itself, the start of a chunk, if it is none of those. One call passes by 16 GiB at most.
 */
uint64_t sparse_skip(struct space *s, uint64_t start, uint64_t end);

#endif
