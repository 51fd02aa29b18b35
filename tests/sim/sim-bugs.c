// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the simulation can fail: the pager with one deliberate bug (util/bug.h) after the other, each of which has to
 * be found.
 *
 *     sim-bugs [--seed N] [--steps N] [--bug NAME]
 *
 * With --bug there is only that one, and how it shows in as few steps as are needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hunt.h"
#include "options.h"
#include "util/bug.h"
#include "world.h"

static const struct {
        const char *name, *text;
} known[] = {
#define KNOWN(name, text) { #name, text },
        { "NONE", "" }, BUGS(KNOWN)
};

enum bug bug_chosen;

/* Returns whether it was found. */
static bool look_for(enum bug b, const struct sim_options *o)
{
        bool found;

        bug_chosen = b;
        found = !hunt(o->seed, 0, o->steps);
        if (found)
                printf("%-22s found after %llu steps: %s\n", known[b].name, (unsigned long long)sim_result->steps,
                       sim_result->text);
        else
                printf("%-22s NOT FOUND in %llu steps: %s\n", known[b].name, (unsigned long long)sim_result->steps,
                       known[b].text);
        fflush(stdout);
        return found;
}

int main(int argc, char **argv)
{
        struct sim_options o = sim_options_parse(argc, argv, 2000000000);
        unsigned found = 0;

        hunt_begin();
        for (unsigned b = 1; o.bug && b < N_BUGS; b++)
                if (strcmp(o.bug, known[b].name) == 0) {
                        if (!look_for((enum bug)b, &o))
                                return EXIT_FAILURE;
                        hunt_explain(o.seed);
                        return EXIT_SUCCESS;
                }
        if (o.bug) {
                fprintf(stderr, "sim-bugs: there is no bug %s\n", o.bug);
                return 2;
        }
        for (unsigned b = 1; b < N_BUGS; b++)
                found += look_for((enum bug)b, &o);
        printf("seed %llu: bugs: %u of %u caught\n", (unsigned long long)o.seed, found, N_BUGS - 1);
        return found == N_BUGS - 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
