/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_HEIR_H
#define PAGER_HEIR_H

#include "pager/space.h"

/*
 * A forked child's mappings were just looked at, and nothing is changing: forgets what is noted of pages that it does
 * not have. Returns 1 when what is left is right; 0 when it cannot be told yet.
 */
int heir_settle(struct space *s);

#endif
