/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order did it happen? Userfaultfd events carry neither order nor thread. The kernel queues an event after
 * its operation is done and the lock on the mappings dropped (mm/mmap.c, mm/mremap.c, fs/userfaultfd.c), so those of
 * two threads can be read in the other order than their operations; and one mremap(A -> B) tells REMAP(A -> B)
 * first, and UNMAP(A) when that was read.
 */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/pieces.h"
#include "model/region.h"

enum order_kind { ORDER_REMOVE, ORDER_UNMAP, ORDER_REMAP };

struct order_event {
        enum order_kind kind;
        uint64_t start, end; /* the range; for REMAP where it was */
        uint64_t to;         /* REMAP: where it is now */
};

struct order_question {
        const struct order_event *events; /* as they were read, and all there are: no operation is under way */
        size_t n;
        const struct region_set
                *certain; /* registered before the first of them, beyond doubt; all that is out is there */
        const struct region_set *perhaps; /* what may have been, and the rest of it */
        bool on_the_way; /* of orders with one outcome the likeliest is wanted: a child has what was there between */

        /*
         * Whether memory that has gone where the pieces say agrees with what the client's page tables show. Returns 0
         * if it does not, otherwise a number that is the same for the same places of all that matters.
         */
        uint64_t (*judge)(void *arg, const struct pieces *outcome);
        void *arg;
};

/*
 * Finds the order. Writes the events' numbers to order (room for q->n) and how many there are to *n_order; the UNMAP
 * that belongs to a REMAP is left out, since it says nothing more. Returns 1, or 0 when no outcome agrees with the page
 * tables, or several that differ do: where marks may be left over, the one that explains most of them need not be the
 * right one. Or -ENOMEM.
 */
int order_find(const struct order_question *q, uint32_t *order, size_t *n_order);

#endif
