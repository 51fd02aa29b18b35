/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_PLACE_H
#define VMPAGERCTL_RUN_PLACE_H

struct error;
struct run_options;
struct run_store;

/* Where a private daemon's directory is made. */
#define RUN_PLACE_PARENT "/run"

/* The name of the library in there. */
#define RUN_PLACE_LIBRARY "libvmpager-preload.so"

struct run_place {
        char dir[32];    /* "" : none */
        char config[64]; /* path of the configuration file */
};

/*
 * Makes the directory of a private daemon: its configuration, and a link to the library, which finds the
 * daemon's socket beside that. Fills in *store as well. 0, or a negative errno with a text in e and nothing
 * left behind.
 */
int run_place_make(const struct run_options *options, const char *library, struct run_place *place,
                   struct run_store *store, struct error *e);

/* Removes a directory of run_place_make() with all that is in it; "" for none. */
void run_place_remove(const char *dir);

/*
 * Kills every process that was started with the library of that directory: their daemon is gone for good, and
 * each would wait for ever for the next page it has not got.
 */
void run_place_kill(const char *dir);

#endif
