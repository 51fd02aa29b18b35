/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts and frees of pages in a map of units, as compressed pages make them, at 90 % full: what an allocation costs, and
 * in how many pieces a batch comes, at the start and at the end.
 */
#ifndef TESTS_CHURN_H
#define TESTS_CHURN_H

#include <stdint.h>

struct churn_config {
        uint64_t units;
        uint64_t pages; /* as many are put, and as many freed, once it is 90 % full */
        uint64_t seed;
        double moves; /* units that may be moved for each that is put (drain.h); 0: nothing is moved */
};

/* What was seen in a part of the run. */
struct churn_phase {
        uint64_t allocations;
        uint64_t alloc_ns[4]; /* mean, p50, p99, largest; of one allocation, the reading of the clock included */
        uint64_t release_ns[4];
        double ns_a_page;          /* all allocations of a batch, by its pages; without the clock */
        double pieces;             /* of a batch of 256 pages, mean */
        double piece_units;        /* units in one of its pieces, mean */
        uint64_t free_units, runs; /* when it ended: those are free, in so many runs */
        double long_share;         /* of the free units, in runs of UNIT_MAP_LONG and more */
        uint32_t longest;          /* run, units */
        double ns_of_clock;        /* of reading the clock twice */
};

struct churn_result {
        uint64_t puts, frees; /* pages */
        uint64_t batches, releases;
        uint64_t refused; /* pages for which there was no run, at 90 % */
        double moved; /* units that were moved for each that was put */
        double seconds;
        struct churn_phase start, end; /* a 20th each */
};

/*
 * Runs it. Ends the program with a line on stderr if a unit is given out twice, what the map says of itself is not so,
 * or memory is lacking.
 */
void churn_run(const struct churn_config *config, struct churn_result *out);

#endif
