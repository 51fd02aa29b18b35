/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers of the simulations (splitmix64): small, and any number is a good seed. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include <stdint.h>

struct sim_random {
        uint64_t state;
};

static inline uint64_t sim_random_next(struct sim_random *r)
{
        uint64_t x = r->state += UINT64_C(0x9e3779b97f4a7c15);

        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

/* The seed of part `number` of what has a seed itself. */
static inline uint64_t sim_random_seed(uint64_t seed, uint64_t number)
{
        struct sim_random r = { seed ^ number * UINT64_C(0xd6e8feb86659fd93) };

        return sim_random_next(&r);
}

/* 0 .. n - 1 */
static inline unsigned sim_random_any(struct sim_random *r, unsigned n)
{
        return (unsigned)((sim_random_next(r) >> 32) * n >> 32);
}

#endif
