/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_CHECKSUM_H
#define STORE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct checksums;

/* One for each of `locations` locations. Returns 0 or -ENOMEM; *out is untouched on failure. */
int checksums_new(uint64_t locations, struct checksums **out);
void checksums_free(struct checksums *c);

/* Takes down what `pages` pages at memory (STORE_PAGE bytes each) are that go to adjacent locations from first on. */
void checksums_set(struct checksums *c, uint64_t first, const void *memory, uint32_t pages);

/* The number of the first of them that is not what was taken down for its location; `pages`: all are. */
uint32_t checksums_check(const struct checksums *c, uint64_t first, const void *memory, uint32_t pages);

/* What was taken down for a location: for somebody who has no part in it, and reads it while it cannot change. */
struct checksum {
        uint64_t low, high;
};
struct checksum checksums_get(const struct checksums *c, uint64_t location);

/* Whether a page is what was taken down for that location. */
bool checksum_fits(const struct checksum *sum, uint64_t location, const void *page);

#endif
