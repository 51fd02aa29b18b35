/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * To look at each 2 MiB of a sanitizer's shadow, or of a reservation for a heap, would take the hand minutes a round.
 * The kernel's page tables say at once that there is nothing. They are long where pages are out, though, and chunks
 * that have any are noted in the table: there it ends.
 */
#include "pager/sparse.h"

#define SPARSE_MOST ((uint64_t)1 << PTABLE_SPAN_SHIFT)

uint64_t sparse_skip(struct space *s, uint64_t start, uint64_t end)
{
        struct procfs_run run;
        uint64_t next, stop = end - start < SPARSE_MOST ? end : start + SPARSE_MOST;
        int n;

        stop = ptable_next(&s->table, start, stop);
        if (stop - start <= PTABLE_CHUNK_SIZE)
                return start;
        n = s->port->ops->present(s->port, start, stop, &run, 1, 1, &next);
        if (n < 0)
                return start;
        if (n > 0)
                stop = run.start;
        return stop == end ? end : stop & ~(PTABLE_CHUNK_SIZE - 1);
}
