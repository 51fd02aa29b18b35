/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_STATS_H
#define VMPAGERCTL_RUN_STATS_H

struct error;

/*
 * Whether the statistics can be written to `path` in the end; asked before the program is started. 0, or a
 * negative errno with a text in e. Changes nothing.
 */
int run_stats_check(const char *path, struct error *e);

/*
 * Asks for the statistics of the grant on `fd` (grant_open()) and writes them to `path`: to a new file that then
 * takes its place, or as it is where it is no regular file. 0, or a negative errno with a text in e.
 */
int run_stats_write(int fd, const char *path, struct error *e);

#endif
