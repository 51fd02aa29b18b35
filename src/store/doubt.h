/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units of a medium that must not be written again: a server may still carry out a write of theirs that was repeated or
 * given up (nbd-link.h), at any later time. Once in doubt a unit stays so until the medium is closed.
 *
 * Any thread may call these. A unit is put in doubt before its write is said to have ended, and thus before it can be
 * free.
 */
#ifndef STORE_DOUBT_H
#define STORE_DOUBT_H

#include <stdint.h>

struct doubt;

/* For a medium of `units` units, none in doubt. 0 or -ENOMEM. */
int doubt_new(uint64_t units, struct doubt **out);
void doubt_free(struct doubt *d); /* takes NULL */

/* Puts units in doubt. It needs no memory beyond what doubt_new() has set aside. */
void doubt_add(struct doubt *d, uint64_t at, uint64_t units);

/* How many units are in doubt. */
uint64_t doubt_count(const struct doubt *d);

/* The units from `at` on that are all in doubt, or all not (*is tells which): how many, at most `units`. */
uint64_t doubt_run(const struct doubt *d, uint64_t at, uint64_t units, int *is);

#endif
