/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_WARDEN_H
#define VMPAGERCTL_RUN_WARDEN_H

#include <signal.h>

struct run_options;

/* What a warden tells, one write(2) each. */
enum warden_news {
        WARDEN_READY = 1,   /* the daemon serves; dir and text (what its store is) are filled in */
        WARDEN_FAILED = 2,  /* it never will; text says why, "" where the daemon has said it on stderr */
        WARDEN_LINGERS = 3, /* asked to end, but programs go on under its daemon */
};

struct warden_report {
        enum warden_news news;
        char dir[32];
        char text[480];
};

struct warden_job {
        const struct run_options *options;
        const char *daemon;  /* program to run as the daemon */
        const char *library; /* absolute path */
        int hold;            /* a pipe: at its end of file the warden is to end */
        int report;          /* a pipe that takes struct warden_report */
        sigset_t mask;       /* signal mask to go back to */
};

/* The whole life of the warden, in a process of its own: it takes leave of the terminal first. */
void warden_main(const struct warden_job *job) __attribute__((noreturn));

#endif
