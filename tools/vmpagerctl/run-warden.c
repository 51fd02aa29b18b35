// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The warden of a private daemon: a process between "vmpagerctl run" and its vmpagerd that outlives the first
 * and buries the second.
 *
 *     vmpagerctl run ──── hold, report ────> warden ────> vmpagerd
 *            └──> CMD
 *
 * vmpagerctl may be killed at any moment, and only another process can clean up then: the warden sees it by the
 * end of file on `hold`, whose other end nobody else has. It does not end the daemon while one of its programs
 * lives: their pages are in the store, and they would stand still for ever. That is so as well when CMD has
 * ended and left processes behind. Should the warden be killed, the daemon gets SIGTERM by its parent-death
 * signal (prctl(2)).
 *
 * It has a session of its own, so that the terminal's signals are not for it or the daemon, and keeps nothing
 * of the caller's open but stderr, where the daemon's log goes.
 */
#include "vmpagerctl/run-warden.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/size.h"
#include "vmpagerctl/control.h"
#include "vmpagerctl/endpoint.h"
#include "vmpagerctl/run-options.h"
#include "vmpagerctl/run-place.h"
#include "vmpagerctl/run-store.h"

#define READY_MS 60000 /* for the daemon to serve: it reserves its store first */
#define STOP_MS  10000 /* from SIGTERM to SIGKILL */
#define LOOK_MS  250   /* between looks at whether programs are left */

struct warden {
        const struct warden_job *job;
        struct run_place place;
        struct run_store store;
        pid_t daemon; /* 0: none, or reaped */
        int pidfd;    /* of the daemon */
        int ready;    /* pipe: a byte once the daemon serves, or the end of file */
        bool served;
};

static void tell(const struct warden *w, enum warden_news news, const char *text)
{
        struct warden_report report = { .news = news };

        snprintf(report.dir, sizeof(report.dir), "%s", w->place.dir);
        snprintf(report.text, sizeof(report.text), "%s", text);
        if (write(w->job->report, &report, sizeof(report)) < 0)
                return; /* vmpagerctl is gone, which `hold` says as well */
}

/* Closes all but stderr and the two pipes. */
static void take_leave(const struct warden_job *job)
{
        unsigned low = (unsigned)(job->hold < job->report ? job->hold : job->report);
        unsigned high = (unsigned)(job->hold < job->report ? job->report : job->hold);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        setsid();
        prctl(PR_SET_NAME, "vmpager-warden");
        umask(022);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                _exit(1);
        if (low > 3)
                close_range(3, low - 1, 0);
        if (high > low + 1)
                close_range(low + 1, high - 1, 0);
        close_range(high + 1, ~0u, 0);
        signal(SIGPIPE, SIG_IGN);
        sigprocmask(SIG_SETMASK, &job->mask, NULL);
}

static void __attribute__((noreturn)) become_daemon(const struct warden *w, int ready, pid_t parent)
{
        char number[16];

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) /* it ended before that was set */
                _exit(1);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        unsetenv("VMPAGER_SOCKET");
        snprintf(number, sizeof(number), "%d", ready);
        if (fcntl(ready, F_SETFD, 0) == 0)
                execl(w->job->daemon, "vmpagerd", "--foreground", "--config", w->place.config, "--ready-fd", number,
                      (char *)NULL);
        dprintf(STDERR_FILENO, "vmpagerctl: cannot run %s: %m\n", w->job->daemon);
        _exit(1);
}

static int start_daemon(struct warden *w, struct error *e)
{
        pid_t self = getpid();
        int ready[2];

        if (pipe2(ready, O_CLOEXEC) < 0)
                return error_sys(e, -errno, "cannot make a pipe");
        w->ready = ready[0];
        w->daemon = fork();
        if (w->daemon == 0)
                become_daemon(w, ready[1], self);
        close(ready[1]);
        if (w->daemon < 0) {
                w->daemon = 0;
                return error_sys(e, -errno, "cannot start a process");
        }
        w->pidfd = (int)syscall(SYS_pidfd_open, w->daemon, 0);
        return w->pidfd < 0 ? error_sys(e, -errno, "cannot watch the private vmpagerd") : 0;
}

/* Waits until the daemon has ended, at most `ms` (-1: for ever). */
static bool daemon_ends(struct warden *w, int ms)
{
        struct pollfd p = { .fd = w->pidfd, .events = POLLIN };

        if (w->daemon && w->pidfd >= 0 && TEMP_FAILURE_RETRY(poll(&p, 1, ms)) <= 0)
                return false;
        if (w->daemon && TEMP_FAILURE_RETRY(waitpid(w->daemon, NULL, 0)) == w->daemon)
                w->daemon = 0;
        return true;
}

static void stop_daemon(struct warden *w)
{
        if (!w->daemon)
                return;
        kill(w->daemon, SIGTERM);
        if (daemon_ends(w, STOP_MS))
                return;
        kill(w->daemon, SIGKILL);
        daemon_ends(w, -1);
}

/* The daemon removes what it made; this is for one that could not. */
static void clean_up(struct warden *w)
{
        stop_daemon(w);
        run_place_remove(w->place.dir);
        /* A file that the user named is known to have been this daemon's once it served, not before. */
        if (w->store.made && (w->served || !w->job->options->store))
                unlink(w->store.path);
}

static bool hold_ended(const struct warden *w)
{
        struct pollfd p = { .fd = w->job->hold, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* 0 once the daemon serves. */
static int await_ready(struct warden *w, struct error *e)
{
        struct pollfd p[2] = { { .fd = w->ready, .events = POLLIN }, { .fd = w->job->hold, .events = POLLIN } };
        int64_t deadline = endpoint_deadline(READY_MS), left;
        char byte;

        do {
                left = deadline - endpoint_deadline(0);
                if (left <= 0)
                        return error_set(e, -ETIMEDOUT, "the private vmpagerd has not been ready for %d s",
                                         READY_MS / 1000);
                if (poll(p, 2, (int)left) < 0 && errno != EINTR)
                        return error_sys(e, -errno, "cannot wait for the private vmpagerd");
                if (p[1].revents)
                        return -ECANCELED;
        } while (!p[0].revents);
        return TEMP_FAILURE_RETRY(read(w->ready, &byte, 1)) == 1 ? 0 : -ECHILD; /* it has said why on stderr */
}

/* Whether a process is more than a zombie. 0 is a forked child that the daemon has, and does not know by number yet. */
static bool is_alive(int pid)
{
        char path[32], line[256];
        _cleanup_(fclosep) FILE *f = NULL;
        const char *state;

        if (pid == 0)
                return true;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        if (!f || !fgets(line, sizeof(line), f))
                return false;
        state = strrchr(line, ')'); /* proc(5): PID (COMM) STATE, and COMM may hold anything */
        return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

static bool programs_left(const struct warden *w)
{
        struct json_object *reply = NULL, *stats, *clients, *pid;
        struct error e = { 0 };
        struct endpoint at;
        bool left = false;

        snprintf(at.path, sizeof(at.path), "%s/" VMPAGER_CONTROL_NAME, w->place.dir);
        if (control_ask(&at, "stats", 0, &reply, &e) < 0)
                return false;
        if (json_object_object_get_ex(reply, "stats", &stats) &&
            json_object_object_get_ex(stats, "clients", &clients) && json_object_is_type(clients, json_type_array))
                for (size_t i = 0; !left && i < json_object_array_length(clients); i++)
                        if (json_object_object_get_ex(json_object_array_get_idx(clients, i), "pid", &pid))
                                left = is_alive(json_object_get_int(pid));
        json_object_put(reply);
        return left;
}

static void say_ready(struct warden *w)
{
        char text[sizeof(((struct warden_report *)NULL)->text)], size[32];

        w->served = true;
        snprintf(text, sizeof(text), "store %.400s, %s", w->store.path,
                 w->store.size ? size_format(w->store.size, size, sizeof(size)) : "all of it");
        tell(w, WARDEN_READY, text);
}

/* Until vmpagerctl is gone and no program is left. False: the daemon ended before. */
static bool watch(struct warden *w)
{
        struct pollfd p[2] = { { .fd = w->pidfd, .events = POLLIN }, { .fd = w->job->hold, .events = POLLIN } };
        bool said = false;

        while (!hold_ended(w)) {
                poll(p, 2, -1);
                if (p[0].revents)
                        return hold_ended(w);
        }
        while (programs_left(w)) {
                if (!said)
                        tell(w, WARDEN_LINGERS, "");
                said = true;
                if (daemon_ends(w, LOOK_MS))
                        return false;
        }
        return true;
}

void warden_main(const struct warden_job *job)
{
        struct warden w = { .job = job, .pidfd = -1, .ready = -1 };
        struct error e = { 0 };
        bool well;
        int r;

        take_leave(job);
        r = run_place_make(job->options, job->library, &w.place, &w.store, &e);
        if (!r && chdir("/") < 0) /* where a relative --store has been found by now */
                r = error_sys(&e, -errno, "cannot go to /");
        if (!r)
                r = start_daemon(&w, &e);
        if (!r)
                r = await_ready(&w, &e);
        if (r < 0) {
                clean_up(&w);
                tell(&w, WARDEN_FAILED, e.text);
                _exit(1);
        }
        say_ready(&w);
        well = watch(&w);
        if (!well && hold_ended(&w)) /* with vmpagerctl there it does that itself, and CMD first */
                run_place_kill(w.place.dir);
        clean_up(&w);
        _exit(well ? 0 : 1);
}
