/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>

struct options {
        const char *config; /* NULL: the default file, if it exists */
        bool foreground;
        bool check; /* read the configuration, say what is wrong with it, and end */
        int ready_fd; /* a byte is written there when the daemon serves; -1: none */
};

/*
 * Reads the command line. Returns 0 to go on, 1 when all is done (--help, --version), or -EINVAL after a line on
 * stderr that says what is wrong.
 */
int options_parse(int argc, char **argv, struct options *out);

#endif
