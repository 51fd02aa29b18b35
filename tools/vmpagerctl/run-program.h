/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_PROGRAM_H
#define VMPAGERCTL_RUN_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;

struct run_program {
        const char *path;      /* what is executed */
        char **argv;           /* as it was typed */
        const char *library;   /* to be preloaded */
        bool own_daemon;       /* the library finds its daemon by its own path: nothing else may name one */
        sigset_t mask;         /* of this process before run_program_start(), which the program gets */
        struct sigaction chld; /* likewise its SIGCHLD action */
        pid_t pid;
};

/*
 * Starts the program, and blocks from here on the signals that run_program_wait() passes on. 0 with pid filled
 * in; or what exec said, with a text in e.
 */
int run_program_start(struct run_program *p, struct error *e);

/*
 * Waits until the program ends, passing signals on to it, and returns its status as a shell has it. When the child
 * `other` (0: none) ends first, it is reaped and -ECHILD is returned; the program goes on.
 */
int run_program_wait(struct run_program *p, pid_t other);

/* Kills the program and waits for it. */
void run_program_kill(struct run_program *p);

#endif
