// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The whole pager, src/model and src/pager as they are, between a simulated kernel (kernel.h), a program with threads
 * and an agent (client.h, agent.c) and a store (store.c). What does what next is drawn at random; whatever the order,
 * every read returns what was written last or, where the store has lost it, SIGBUS; every thread goes on; and nothing
 * is left at the end.
 *
 *     sim-pager [--seed N] [--steps N] [--episode N [--trace]] [--all]
 *
 * With --all there is also what model/order.c is known not to tell apart (world.h).
 * An episode that fails, or a shorter one that fails in the same way, is shown in as few steps as are needed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hunt.h"
#include "options.h"
#include "world.h"

int main(int argc, char **argv)
{
        struct sim_options o = sim_options_parse(argc, argv, 20000000);
        bool good;

        hunt_begin();
        world.all = o.all;
        if (o.has_episode && o.trace)
                return hunt_trace(o.seed, o.episode) ? EXIT_SUCCESS : EXIT_FAILURE;
        good = hunt(o.seed, o.has_episode ? o.episode : 0, o.has_episode ? 1 : o.steps);
        if (!good) {
                hunt_explain(o.seed);
                printf("again: sim-pager --seed %llu --episode %llu\n", (unsigned long long)o.seed,
                       (unsigned long long)sim_result->episode);
                return EXIT_FAILURE;
        }
        printf("%llu episodes: %llu faults, %llu pages evicted, %llu without a write, %llu read ahead, %llu SIGBUS, "
               "%llu "
               "EFAULT, %llu forks, %llu clients ended\n",
               (unsigned long long)sim_result->episodes, (unsigned long long)sim_result->faulted,
               (unsigned long long)sim_result->evicted, (unsigned long long)sim_result->clean,
               (unsigned long long)sim_result->ahead, (unsigned long long)sim_result->sigbus,
               (unsigned long long)sim_result->efault, (unsigned long long)sim_result->forks,
               (unsigned long long)sim_result->kills);
        printf("seed %llu: %llu steps\n", (unsigned long long)o.seed, (unsigned long long)sim_result->steps);
        return EXIT_SUCCESS;
}
