// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/place.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

int places_new(uint64_t n, struct place **out)
{
        /* Not calloc(): of a large store much may never be used, and the daemon's memory is locked as it is touched. */
        void *p = mmap(NULL, n * sizeof(struct place), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED)
                return -ENOMEM;
        *out = p;
        return 0;
}

void places_free(struct place *places, uint64_t n)
{
        if (places)
                munmap(places, n * sizeof(*places));
}
