/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages are cold. A tracker answers for chunks of 2 MiB; it keeps what it knows of one in 16 bits
 * of the page table (struct chunk, `idle`), and is told what the pager sees anyway.
 */
#ifndef IDLE_IDLE_H
#define IDLE_IDLE_H

#include <stdbool.h>
#include <stddef.h>

struct chunk;

struct idle_ops {
        const char *name;

        /* Whether this kernel has what the tracker needs: 0, or a negative errno. */
        int (*probe)(void);

        /* A page of the chunk that had been evicted was wanted back. */
        void (*refault)(struct chunk *chunk);

        /*
         * Eviction has come to the chunk on its round: whether its pages are cold now. A tracker that says no must
         * say yes after a bounded number of rounds without refaults.
         */
        bool (*is_cold)(struct chunk *chunk);
};

extern const struct idle_ops idle_standby;

/*
 * The best tracker that this kernel has, or the one named `force` (NULL: the best). NULL when there is none of that
 * name or it cannot work here.
 */
const struct idle_ops *idle_choose(const char *force);

#endif
