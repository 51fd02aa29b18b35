/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs episodes until one fails, and finds the few of its steps that make it fail. */
#ifndef TESTS_SIM_HUNT_H
#define TESTS_SIM_HUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Room for what runs find (world.h, sim_result). To be called first. */
void hunt_begin(void);

/* Runs episodes from `first` on until so many steps are done. False: one failed, and sim_result says which and why. */
bool hunt(uint64_t seed, uint64_t first, uint64_t steps);

/* The episode of sim_result has failed: says how, in as few steps as can be found. */
void hunt_explain(uint64_t seed);

/* Runs one episode and says all that happens. False: it failed. */
bool hunt_trace(uint64_t seed, uint64_t episode);

#endif
