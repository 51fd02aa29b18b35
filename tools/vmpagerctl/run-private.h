/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_PRIVATE_H
#define VMPAGERCTL_RUN_PRIVATE_H

#include <sys/types.h>

struct error;
struct run_options;

/* A vmpagerd for one command. */
struct run_private {
        pid_t warden;     /* the process that looks after it; 0: none */
        int hold, report; /* pipes to it */
        char dir[32];     /* its directory */
        char store[480];  /* its store, for a message */
        char library[64]; /* the preload library's name in there */
};

#define RUN_PRIVATE_NONE ((struct run_private){ .hold = -1, .report = -1 })

/*
 * Starts a private daemon and waits until it serves. `library` is the preload library's absolute path. 0, or a
 * negative errno; then e has a text, unless the daemon itself has said on stderr why. Nothing is left behind
 * then.
 */
int run_private_start(const struct run_options *options, const char *library, struct run_private *out, struct error *e);

/*
 * Lets it go: waits until daemon, directory and store are gone. Where programs are left that it pages, it stays
 * until these have ended, which is said on stderr, and not waited for.
 */
void run_private_stop(struct run_private *p);

/* After the warden has ended by itself: ends the programs that stood under it, and clears what is left. */
void run_private_lost(struct run_private *p);

#endif
