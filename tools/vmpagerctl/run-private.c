// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A private daemon as "run" sees it: a warden process that does the work (run-warden.c), held by one pipe and heard
 * by another.
 */
#include "vmpagerctl/run-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/endpoint.h"
#include "vmpagerctl/message.h"
#include "vmpagerctl/run-place.h"
#include "vmpagerctl/run-warden.h"

#define STOP_MS 40000 /* more than the warden takes at most */

static const char *daemon_path(void)
{
        const char *path = getenv("VMPAGERD"); /* for the tests of a build that is not installed */

        return path && *path ? path : VMPAGER_SBINDIR "/vmpagerd";
}

static void reap(struct run_private *p)
{
        while (p->warden && waitpid(p->warden, NULL, 0) < 0 && errno == EINTR)
                ;
        p->warden = 0;
}

static void forget(struct run_private *p)
{
        closep(&p->hold);
        closep(&p->report);
        *p = RUN_PRIVATE_NONE;
}

/* The terminal's signals are held off until the warden has left the terminal's session. */
static int start_warden(const struct run_options *options, const char *library, struct run_private *p, struct error *e)
{
        struct warden_job job = { .options = options, .daemon = daemon_path(), .library = library };
        int hold[2], report[2], r = 0;
        sigset_t all;

        if (pipe2(hold, O_CLOEXEC) < 0)
                return error_sys(e, -errno, "cannot make a pipe");
        if (pipe2(report, O_CLOEXEC) < 0) {
                r = error_sys(e, -errno, "cannot make a pipe");
                close(hold[0]);
                close(hold[1]);
                return r;
        }
        job.hold = hold[0];
        job.report = report[1];
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &job.mask);
        p->warden = fork();
        if (p->warden == 0)
                warden_main(&job);
        if (p->warden < 0) {
                r = error_sys(e, -errno, "cannot start a process");
                p->warden = 0;
        }
        sigprocmask(SIG_SETMASK, &job.mask, NULL);
        close(hold[0]);
        close(report[1]);
        p->hold = hold[1];
        p->report = report[0];
        return r;
}

static int hear(struct run_private *p, struct error *e)
{
        struct warden_report report;
        ssize_t n = TEMP_FAILURE_RETRY(read(p->report, &report, sizeof(report)));

        if (n != (ssize_t)sizeof(report))
                return error_set(e, -ECHILD, "the start of a private vmpagerd was interrupted");
        if (report.news != WARDEN_READY)
                return *report.text ? error_set(e, -ECHILD, "%s", report.text) : -ECHILD;
        memcpy(p->dir, report.dir, sizeof(p->dir));
        memcpy(p->store, report.text, sizeof(p->store));
        snprintf(p->library, sizeof(p->library), "%s/" RUN_PLACE_LIBRARY, p->dir);
        return 0;
}

int run_private_start(const struct run_options *options, const char *library, struct run_private *out, struct error *e)
{
        struct run_private p = RUN_PRIVATE_NONE;
        int r;

        if (access(daemon_path(), X_OK) < 0)
                return error_sys(e, -errno, "cannot start a private vmpagerd: %s", daemon_path());
        r = start_warden(options, library, &p, e);
        if (!r)
                r = hear(&p, e);
        if (r < 0) {
                reap(&p);
                forget(&p);
                return r;
        }
        *out = p;
        return 0;
}

void run_private_stop(struct run_private *p)
{
        struct warden_report report;
        int64_t deadline = endpoint_deadline(STOP_MS);
        int r;

        if (!p->warden)
                return;
        closep(&p->hold);
        p->hold = -1;
        r = endpoint_wait(p->report, POLLIN, deadline);
        if (r < 0)
                message("the private vmpagerd does not end; its files are in %s", p->dir);
        else if (TEMP_FAILURE_RETRY(read(p->report, &report, sizeof(report))) == (ssize_t)sizeof(report))
                message("programs that were left behind go on: their private vmpagerd stays until they end");
        else
                reap(p);
        forget(p);
}

void run_private_lost(struct run_private *p)
{
        run_place_kill(p->dir);
        run_place_remove(p->dir);
        p->warden = 0;
        forget(p);
}
