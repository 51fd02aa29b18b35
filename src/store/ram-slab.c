// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Slabs are cut from regions of 4 MiB, which are mapped as they are needed and stay mapped. A slab that is not needed
 * any more stays warm for a while: one in 32 of those in use, and 16, may be so; the others' memory is given back to
 * the system, and only their addresses are kept. So under a load that comes and goes nothing is given back and forth,
 * and of a large store that has become empty nothing stays.
 *
 * The daemon's memory is locked as it is touched: there MADV_DONTNEED is refused, and MADV_DONTNEED_LOCKED is needed
 * (madvise(2), Linux 5.18).
 */
#include "store/ram-slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <utlist.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define REGION_SLABS 256u
#define REGION_BYTES ((REGION_SLABS + 1) * (size_t)SLAB_BYTES) /* one more, to align */
#define WARM_LEAST   16u
#define WARM_SHARE   32u

struct slab_region {
        void *memory;
        struct slab_region *prev, *next;
};

/* Room in both lists of free slabs for all there are, so that slabs_put() needs none. */
static int grow_lists(struct slabs *s, size_t all)
{
        void **warm = realloc(s->warm, all * sizeof(*warm)), **cold;

        if (!warm)
                return -1;
        s->warm = warm;
        cold = realloc(s->cold, all * sizeof(*cold));
        if (!cold)
                return -1;
        s->cold = cold;
        return 0;
}

static int region_new(struct slabs *s)
{
        struct slab_region *region = malloc(sizeof(*region));
        char *first;

        if (!region)
                return -1;
        region->memory = MAP_FAILED;
        if (grow_lists(s, s->all + REGION_SLABS) == 0)
                region->memory = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region->memory == MAP_FAILED) {
                free(region);
                return -1;
        }
        /* Huge pages would take memory for slabs that are not in use. A kernel without them refuses. */
        madvise(region->memory, REGION_BYTES, MADV_NOHUGEPAGE);
        DL_APPEND(s->regions, region);
        first = (char *)(((uintptr_t)region->memory + SLAB_BYTES - 1) / SLAB_BYTES * SLAB_BYTES);
        for (size_t i = REGION_SLABS; i > 0; i--)
                s->cold[s->n_cold++] = first + (i - 1) * SLAB_BYTES;
        s->all += REGION_SLABS;
        return 0;
}

void *slabs_get(struct slabs *s)
{
        if (!s->n_warm && !s->n_cold && region_new(s) < 0)
                return NULL;
        s->used++;
        return s->n_warm ? s->warm[--s->n_warm] : s->cold[--s->n_cold];
}

void slabs_put(struct slabs *s, void *slab)
{
        size_t most;

        s->used--;
        s->warm[s->n_warm++] = slab;
        most = s->used / WARM_SHARE > WARM_LEAST ? s->used / WARM_SHARE : WARM_LEAST;
        while (s->n_warm > most) {
                void *last = s->warm[s->n_warm - 1];

                if (madvise(last, SLAB_BYTES, MADV_DONTNEED_LOCKED) < 0 && madvise(last, SLAB_BYTES, MADV_DONTNEED) < 0)
                        return;
                s->n_warm--;
                s->cold[s->n_cold++] = last;
        }
}

size_t slabs_resident(const struct slabs *s)
{
        return (s->used + s->n_warm) * SLAB_BYTES;
}

void slabs_clear(struct slabs *s)
{
        struct slab_region *region, *next;

        DL_FOREACH_SAFE(s->regions, region, next) {
                munmap(region->memory, REGION_BYTES);
                free(region);
        }
        free(s->warm);
        free(s->cold);
        *s = (struct slabs){ 0 };
}
