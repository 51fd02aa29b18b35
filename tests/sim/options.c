// SPDX-License-Identifier: GPL-2.0-or-later
/* See options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SEED, STEPS, ALL, TRACE, EPISODE, BUG };

static const struct option known[] = {
        { "seed", required_argument, NULL, SEED },
        { "steps", required_argument, NULL, STEPS },
        { "all", no_argument, NULL, ALL },
        { "trace", no_argument, NULL, TRACE },
        { "episode", required_argument, NULL, EPISODE },
        { "bug", required_argument, NULL, BUG },
        { NULL, 0, NULL, 0 },
};

static uint64_t number(const char *text)
{
        char *end;
        uint64_t n = strtoull(text, &end, 0);

        if (end == text || *end) {
                fprintf(stderr, "%s is no number\n", text);
                exit(2);
        }
        return n;
}

struct sim_options sim_options_parse(int argc, char **argv, uint64_t steps)
{
        struct timespec now;
        struct sim_options o = { .steps = steps };
        int c;

        clock_gettime(CLOCK_REALTIME, &now);
        o.seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
        while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
                switch (c) {
                case SEED:
                        o.seed = number(optarg);
                        break;
                case STEPS:
                        o.steps = number(optarg);
                        break;
                case ALL:
                        o.all = true;
                        break;
                case TRACE:
                        o.trace = true;
                        break;
                case EPISODE:
                        o.has_episode = true;
                        o.episode = number(optarg);
                        break;
                case BUG:
                        o.bug = optarg;
                        break;
                default:
                        exit(2);
                }
        }
        if (optind < argc) {
                fprintf(stderr, "%s: what is \"%s\"? (options: --seed N, --steps N)\n", argv[0], argv[optind]);
                exit(2);
        }
        printf("--seed %llu --steps %llu\n", (unsigned long long)o.seed, (unsigned long long)o.steps);
        fflush(stdout);
        return o;
}
