/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_REGION_H
#define MODEL_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A set of address ranges, kept sorted, disjoint and joined where they touch: the ranges of a client that are
 * registered with its userfaultfd as far as the daemon knows. (The kernel knows better: a mapping that grows in place
 * or is moved takes its registration along, so a fault may come from outside of the set.)
 */
struct region {
        uint64_t start, end; /* bytes, page-aligned, end exclusive */
};

struct region_set {
        struct region *v;
        size_t n, room;
};

/* Adds a range (what is there already is no error). Returns 0 or -ENOMEM, then the set is unchanged. */
int region_add(struct region_set *s, uint64_t start, uint64_t end);

/* Takes a range out; parts that are not there are no error. Returns 0 or -ENOMEM, then the set is unchanged. */
int region_remove(struct region_set *s, uint64_t start, uint64_t end);

/* Makes `to`, which is empty, hold what `from` does. Returns 0 or -ENOMEM, then it is empty. */
int region_copy(struct region_set *to, const struct region_set *from);

/* The range that holds addr, or else the first one after it, or NULL. */
const struct region *region_at_or_after(const struct region_set *s, uint64_t addr);

/* Whether all of [start, end) is in the set. */
bool region_holds(const struct region_set *s, uint64_t start, uint64_t end);

/* Whether any of [start, end) is in the set. */
bool region_touches(const struct region_set *s, uint64_t start, uint64_t end);

/* Frees the set: empty afterwards. */
void region_clear(struct region_set *s);

#endif
