/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

struct error;

/*
 * Goes to the background: returns in the daemon, in a session of its own; the process that was started waits until
 * background_ready() is called, and ends with status 0 then, or with 1 when the daemon ended before. *ready is a
 * descriptor for background_ready(); one that was given with --ready-fd keeps its meaning.
 */
int background_enter(int *ready, struct error *e);

/* Writes a byte to the descriptor and closes it; -1 for none. */
void background_ready(int ready);

#endif
