/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_HIST_H
#define UTIL_HIST_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * A log-linear histogram: each power of two in HIST_SUB equal steps, so a value read back is at most
 * 1/HIST_SUB too high. One thread adds; any thread may read at the same time and sees each counter
 * whole (relaxed atomics), the set of them perhaps a moment apart.
 */
#define HIST_SUB_BITS 4
#define HIST_SUB      (1u << HIST_SUB_BITS)
#define HIST_BUCKETS  ((64 - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
        _Atomic uint64_t count;
        _Atomic uint64_t sum;
        _Atomic uint64_t max;
        _Atomic uint64_t bucket[HIST_BUCKETS];
};

/* Adds one value. */
void hist_add(struct hist *h, uint64_t value);

/* Adds all of `from` to `to`. */
void hist_merge(struct hist *to, const struct hist *from);

/*
 * The value that `part` (0 .. 1) of all values do not exceed: the upper edge of its bucket, but never more than
 * the largest value added. 0 for an empty histogram.
 */
uint64_t hist_quantile(const struct hist *h, double part);

/* How many values were added, and the largest of them (0 when there is none). */
uint64_t hist_count(const struct hist *h);
uint64_t hist_max(const struct hist *h);

/* The bucket of a value, and the lowest and highest value of a bucket. */
unsigned hist_bucket(uint64_t value);
uint64_t hist_bucket_low(unsigned bucket);
uint64_t hist_bucket_high(unsigned bucket);

#endif
