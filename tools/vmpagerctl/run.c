// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "vmpagerctl run": a program under a limit. In this order, so that what can go wrong does so before anything
 * is started:
 *
 *     read the options, find CMD, see that it can be preloaded        run-options.c, run-check.c
 *     find the library, and that the statistics can be written        here, run-stats.c
 *     get a grant from vmpagerd, started for this if need be          grant.c, run-private.c
 *     start CMD and wait for it                                       run-program.c
 *     write the statistics, let go of the daemon                      run-stats.c, run-private.c
 */
#include "vmpagerctl/command.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/endpoint.h"
#include "vmpagerctl/grant.h"
#include "vmpagerctl/message.h"
#include "vmpagerctl/run-check.h"
#include "vmpagerctl/run-options.h"
#include "vmpagerctl/run-private.h"
#include "vmpagerctl/run-program.h"
#include "vmpagerctl/run-stats.h"

/* What "run" has in hand. */
struct run {
        struct run_options options;
        char library[PATH_MAX]; /* absolute */
        char *program;          /* path of CMD */
        struct run_private private;
        int grant;
};

static int find_library(struct run *run, struct error *e)
{
        const char *path = getenv("VMPAGER_PRELOAD"); /* for the tests of a build that is not installed */

        if (!path || !*path)
                path = VMPAGER_PKGLIBDIR "/libvmpager-preload.so";
        if (!realpath(path, run->library) || access(run->library, R_OK) < 0)
                return error_sys(e, -errno, "cannot use the preload library %s; is vmpager installed?", path);
        /* ld.so(8): LD_PRELOAD is a list whose separators cannot be escaped. */
        if (strpbrk(run->library, ": "))
                return error_set(e, -EINVAL,
                                 "the path of the preload library has a colon or a blank in it, which "
                                 "LD_PRELOAD cannot have: %s",
                                 run->library);
        return 0;
}

/* 0, or the status to exit with. */
static int prepare(struct run *run)
{
        struct error e = { 0 };
        int status = 0, r;

        r = run_check_find(run->options.argv[0], getenv("PATH"), &run->program, &e);
        if (r < 0)
                status = r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
        else if (run_check_loadable(run->program, &e) < 0)
                status = EXIT_NOT_RUNNABLE;
        else if (find_library(run, &e) < 0 || (run->options.stats && run_stats_check(run->options.stats, &e) < 0))
                status = EXIT_SELF;
        if (status)
                message("%s", e.text);
        return status;
}

/* Starts a daemon for this run alone, and gets a grant from it. */
static int obtain_private(struct run *run, struct error *e)
{
        struct endpoint at;
        int r;

        r = run_private_start(&run->options, run->library, &run->private, e);
        if (r < 0)
                return r;
        snprintf(at.path, sizeof(at.path), "%s/" VMPAGER_SOCKET_NAME, run->private.dir);
        r = grant_open(&at, run->options.limit, run->options.swap, e);
        if (endpoint_absent(r))
                error_set(e, r, "the private vmpagerd has ended");
        return r;
}

/* Gets a grant, from the daemon that is there or from a private one. Returns its connection. */
static int obtain(struct run *run, struct error *e)
{
        struct endpoint at;
        int r;

        if (run->options.private) {
                if (geteuid() != 0)
                        return error_set(e, -EPERM,
                                         "a private vmpagerd needs root: use sudo, or a vmpagerd that is running");
                return obtain_private(run, e);
        }
        r = endpoint_client(&at, e);
        if (r < 0)
                return r;
        r = grant_open(&at, run->options.limit, run->options.swap, e);
        if (!endpoint_absent(r))
                return r;
        if (geteuid() != 0)
                return error_set(e, r,
                                 "no vmpagerd answers at %s, and a private one needs root: start vmpagerd, or use sudo",
                                 at.path);
        r = obtain_private(run, e);
        if (r >= 0)
                message("no vmpagerd answers at %s: started a private one for this command (%s)", at.path,
                        run->private.store);
        return r;
}

/* Runs CMD to its end. Returns the exit status. */
static int carry_out(struct run *run)
{
        struct run_program program = {
                .path = run->program,
                .argv = run->options.argv,
                .library = run->private.warden ? run->private.library : run->library,
                .own_daemon = run->private.warden != 0,
        };
        struct error e = { 0 };
        int r = run_program_start(&program, &e), status;

        if (r < 0) {
                message("%s", e.text);
                return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
        }
        status = run_program_wait(&program, run->private.warden);
        if (status < 0) {
                message("the private vmpagerd has ended: %s cannot go on without its memory and is killed",
                        run->program);
                run_program_kill(&program);
                run_private_lost(&run->private);
                return EXIT_SELF;
        }
        if (run->options.stats && run_stats_write(run->grant, run->options.stats, &e) < 0) {
                message("%s", e.text);
                return status ? status : EXIT_SELF;
        }
        return status;
}

static int run_main(const struct command *self, int argc, char **argv)
{
        struct run run = { .private = RUN_PRIVATE_NONE, .grant = -1 };
        struct error e = { 0 };
        int status = run_options_read(self, argc, argv, &run.options);

        if (status >= 0)
                return status;
        status = prepare(&run);
        if (!status) {
                run.grant = obtain(&run, &e);
                if (run.grant >= 0)
                        status = carry_out(&run);
                else
                        status = EXIT_SELF;
                if (run.grant < 0 && e.code)
                        message("%s", e.text);
                closep(&run.grant);
                run_private_stop(&run.private);
        }
        free(run.program);
        return status;
}

const struct command command_run = {
        .name = "run",
        .synopsis = "[--limit SIZE] [--swap SIZE] [--store PATH] [--store-size SIZE] [--private] [--stats FILE] [--] "
                    "CMD [ARG]...",
        .summary = "run a program with its memory limited, what is beyond the limit in vmpagerd's store",
        .help = "  --limit SIZE       memory that CMD, and each program it starts, may hold (default: what vmpagerd's\n"
                "                     configuration gives); bytes, or a number with K, M, G or T; at least 16M\n"
                "  --swap SIZE        what CMD, and each program it starts, may have in the store at once, in pages of "
                "4K\n"
                "                     (default: what the configuration gives, which is also the most); at least 1M\n"
                "  --private          start a vmpagerd for this command alone, which ends with it (root only); so it\n"
                "                     is also done where no vmpagerd answers\n"
                "  --store PATH       the private one's store: a file, or a block device, whose content is lost\n"
                "                     (default: a file in /var/tmp); implies --private\n"
                "  --store-size SIZE  how large that store is (default: half of the free space there, at most 16G);\n"
                "                     implies --private\n"
                "  --stats FILE       write the statistics to FILE, as JSON, when CMD has ended\n"
                "\n"
                "The exit status is CMD's, or 128+N when signal N ended it; 125 when vmpagerctl or vmpagerd failed,\n"
                "126 when CMD cannot be run or not be paged, 127 when it was not found.\n",
        .main = run_main,
};
