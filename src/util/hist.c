// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buckets 0 .. HIST_SUB-1 hold one value each. From there on each power of two takes HIST_SUB buckets: with e the place
 * of a value's highest bit, its bucket is told by e and the HIST_SUB_BITS bits below that bit.
 *
 *     value 0 .. 15  -> bucket 0 .. 15       16, 17 .. 31 -> 16, 17 .. 31       32, 33 -> 32      34, 35 -> 33 ...
 *
 * There is one writer, so a counter is raised by a load and a store and needs no locked instruction.
 */
#include "util/hist.h"

unsigned hist_bucket(uint64_t value)
{
        unsigned shift;

        if (value < HIST_SUB)
                return (unsigned)value;
        shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
        return (shift + 1) * HIST_SUB + (unsigned)(value >> shift) - HIST_SUB;
}

static unsigned bucket_shift(unsigned bucket)
{
        return bucket < HIST_SUB ? 0 : bucket / HIST_SUB - 1;
}

uint64_t hist_bucket_low(unsigned bucket)
{
        if (bucket < HIST_SUB)
                return bucket;
        return (uint64_t)(HIST_SUB + bucket % HIST_SUB) << bucket_shift(bucket);
}

uint64_t hist_bucket_high(unsigned bucket)
{
        return hist_bucket_low(bucket) + ((UINT64_C(1) << bucket_shift(bucket)) - 1);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void raise_by(_Atomic uint64_t *counter, uint64_t n)
{
        atomic_store_explicit(counter, get(counter) + n, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *counter, uint64_t value)
{
        if (value > get(counter))
                atomic_store_explicit(counter, value, memory_order_relaxed);
}

void hist_add(struct hist *h, uint64_t value)
{
        raise_to(&h->max, value);
        raise_by(&h->bucket[hist_bucket(value)], 1);
        raise_by(&h->sum, value);
        raise_by(&h->count, 1);
}

void hist_merge(struct hist *to, const struct hist *from)
{
        raise_to(&to->max, get(&from->max));
        for (unsigned i = 0; i < HIST_BUCKETS; i++) {
                uint64_t n = get(&from->bucket[i]);

                if (n)
                        raise_by(&to->bucket[i], n);
        }
        raise_by(&to->sum, get(&from->sum));
        raise_by(&to->count, get(&from->count));
}

/* Which value in the order of size is asked for: 1 .. total. */
static uint64_t rank_of(double part, uint64_t total)
{
        double exact = part * (double)total;
        uint64_t rank;

        if (!(exact > 1)) /* NaN too */
                return 1;
        if (exact >= (double)total)
                return total;
        rank = (uint64_t)exact;
        return (double)rank < exact ? rank + 1 : rank;
}

uint64_t hist_quantile(const struct hist *h, double part)
{
        uint64_t total = 0, seen = 0, rank, max;
        unsigned i;

        /* Not h->count, which may be a moment apart from the buckets. */
        for (i = 0; i < HIST_BUCKETS; i++)
                total += get(&h->bucket[i]);
        if (!total)
                return 0;
        rank = rank_of(part, total);
        for (i = 0; i < HIST_BUCKETS - 1; i++) {
                seen += get(&h->bucket[i]);
                if (seen >= rank)
                        break;
        }
        max = get(&h->max);
        if (max < hist_bucket_low(i) || max > hist_bucket_high(i)) /* below: not yet seen here */
                return hist_bucket_high(i);
        return max;
}

uint64_t hist_count(const struct hist *h)
{
        return get(&h->count);
}

uint64_t hist_max(const struct hist *h)
{
        return get(&h->max);
}
