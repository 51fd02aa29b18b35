// SPDX-License-Identifier: GPL-2.0-or-later
/* A bit for each unit. The memory is address space until it is used, which hardly any of it ever is. */
#include "store/doubt.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BITS 64u

struct doubt {
        _Atomic uint64_t count;
        size_t bytes;
        _Atomic uint64_t *bits;
};

int doubt_new(uint64_t units, struct doubt **out)
{
        struct doubt *d = calloc(1, sizeof(*d));
        void *bits;

        if (!d)
                return -ENOMEM;
        d->bytes = (units + BITS - 1) / BITS * sizeof(*d->bits);
        bits = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (bits == MAP_FAILED) {
                free(d);
                return -ENOMEM;
        }
        d->bits = bits;
        *out = d;
        return 0;
}

void doubt_free(struct doubt *d)
{
        if (!d)
                return;
        munmap((void *)d->bits, d->bytes);
        free(d);
}

void doubt_add(struct doubt *d, uint64_t at, uint64_t units)
{
        for (uint64_t i = at; i < at + units; i++) {
                uint64_t bit = UINT64_C(1) << i % BITS;

                if (!(atomic_fetch_or(&d->bits[i / BITS], bit) & bit))
                        atomic_fetch_add(&d->count, 1);
        }
}

uint64_t doubt_count(const struct doubt *d)
{
        return atomic_load(&d->count);
}

static int is_in_doubt(const struct doubt *d, uint64_t i)
{
        return atomic_load_explicit(&d->bits[i / BITS], memory_order_relaxed) >> i % BITS & 1;
}

uint64_t doubt_run(const struct doubt *d, uint64_t at, uint64_t units, int *is)
{
        uint64_t n = 1;

        if (!doubt_count(d)) {
                *is = 0;
                return units;
        }
        for (*is = is_in_doubt(d, at); n < units && is_in_doubt(d, at + n) == *is; n++)
                ;
        return n;
}
