/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that each simulation takes: "tests/run sim OPTION..." hands the same ones to all of them. */
#ifndef TESTS_SIM_OPTIONS_H
#define TESTS_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct sim_options {
        uint64_t seed;  /* of the whole run; by the clock if none is given */
        uint64_t steps; /* at least so many */

        /* One simulation's own; the others ignore them. */
        bool all;         /* sim-order, sim-pager: --all, also what is known to go wrong */
        bool trace;       /* sim-pager, sim-bugs: --trace, says each step */
        bool has_episode; /* sim-pager, sim-bugs: --episode N, that one alone */
        uint64_t episode;
        const char *bug; /* sim-bugs: --bug NAME, that one alone */
};

/* Parses, prints the seed, and exits with 2 when an option is not known. `steps` is what is done by default. */
struct sim_options sim_options_parse(int argc, char **argv, uint64_t steps);

#endif
