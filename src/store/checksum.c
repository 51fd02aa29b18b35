// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was written to each location, in 16 bytes, kept in memory and so outside of what they vouch for: a device that
 * returns other bytes without an error is found out, whether they are damaged, old (a write that was lost) or another
 * location's (a write or read that was misdirected; each location has a seed of its own, so that the same page at
 * two places differs).
 *
 * XXH3, 128 bits (xxHash 0.8, "XXH3 stable"): not against somebody who can write to the device on purpose, for which
 * one encrypts, but one damaged page in 2^128 passes. So much is wanted where a page is not written, since it is the
 * same as one that was (store_same()): with 64 bits a million comparisons a second of pages that differ would be wrong
 * once in 600,000 years on one machine, and oftener on many; 128 bits leave nothing to reckon with. They cost what 64
 * cost, some 0.3 us a page (4 KiB in cache, 2026), where a read from a disk takes 60 and more.
 *
 * No locks: a location is written by who allocated it, and read by who was given it by that one.
 */
#include "store/checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <xxhash.h>

#include "store/store.h"

struct checksums {
        XXH128_hash_t *v;
        size_t bytes;
};

int checksums_new(uint64_t locations, struct checksums **out)
{
        struct checksums *c = calloc(1, sizeof(*c));
        void *v;

        if (!c)
                return -ENOMEM;
        c->bytes = locations * sizeof(c->v[0]);
        /* Not calloc(): of a large store much may never be used, and the daemon's memory is locked as it is touched. */
        v = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (v == MAP_FAILED) {
                free(c);
                return -ENOMEM;
        }
        c->v = v;
        *out = c;
        return 0;
}

void checksums_free(struct checksums *c)
{
        if (!c)
                return;
        munmap(c->v, c->bytes);
        free(c);
}

static XXH128_hash_t sum(uint64_t location, const void *page)
{
        return XXH3_128bits_withSeed(page, STORE_PAGE, location);
}

void checksums_set(struct checksums *c, uint64_t first, const void *memory, uint32_t pages)
{
        for (uint32_t i = 0; i < pages; i++)
                c->v[first + i] = sum(first + i, (const char *)memory + (size_t)i * STORE_PAGE);
}

uint32_t checksums_check(const struct checksums *c, uint64_t first, const void *memory, uint32_t pages)
{
        uint32_t i = 0;

        while (i < pages &&
               XXH128_isEqual(c->v[first + i], sum(first + i, (const char *)memory + (size_t)i * STORE_PAGE)))
                i++;
        return i;
}

struct checksum checksums_get(const struct checksums *c, uint64_t location)
{
        return (struct checksum){ c->v[location].low64, c->v[location].high64 };
}

bool checksum_fits(const struct checksum *of, uint64_t location, const void *page)
{
        XXH128_hash_t is = sum(location, page);

        return is.low64 == of->low && is.high64 == of->high;
}
