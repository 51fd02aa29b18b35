/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_OPTIONS_H
#define VMPAGERCTL_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct command;

/* The least limit that is accepted, in bytes: below it a program's own working set and the ring leave no room. */
#define RUN_LIMIT_LEAST (16ull << 20)

struct run_options {
        uint64_t limit;      /* bytes; 0: the daemon's default class */
        uint64_t swap;       /* bytes in the store; 0: the daemon's default class */
        uint64_t store_size; /* bytes; 0: not given */
        const char *store;   /* NULL: not given */
        const char *stats;   /* file for the statistics; NULL: none */
        bool private;        /* a daemon of its own, even where one answers */
        char **argv;         /* CMD and its arguments, NULL-terminated */
};

/*
 * Reads the command line of "run" (argv[0] is "run"). Returns -1 when CMD is to be run, otherwise the status to
 * exit with: help was asked for, or something is wrong and was said.
 */
int run_options_read(const struct command *self, int argc, char **argv, struct run_options *out);

#endif
