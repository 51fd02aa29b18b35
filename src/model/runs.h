/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_RUNS_H
#define MODEL_RUNS_H

#include <stdint.h>

/*
 * The numbers 0 .. n - 1, of which runs are given out; each comes back on its own. For what is adjacent in memory and
 * used together, as the pages that one read fills.
 */
#define RUNS_MOST 1024u

struct runs {
        uint64_t taken[RUNS_MOST / 64];
        uint32_t n, n_free;
        uint32_t cursor; /* where the next search begins */
};

/* n numbers, RUNS_MOST at most, all free. */
void runs_init(struct runs *r, uint32_t n);

/*
 * Takes up to `want` adjacent numbers: all of them where there are so many, else the longest run there is. Returns how
 * many (0: none is free), *first is the first.
 */
uint32_t runs_take(struct runs *r, uint32_t want, uint32_t *first);

/* Gives one back. */
void runs_give(struct runs *r, uint32_t number);

#endif
