// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "vmpagerctl stats": asks the daemon, and prints what it says, as it came (--json) or as a person likes to read it.
 */
#include "vmpagerctl/command.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/error.h"
#include "vmpagerctl/control.h"
#include "vmpagerctl/endpoint.h"
#include "vmpagerctl/message.h"
#include "vmpagerctl/stats-print.h"

static int fetch(int pid, struct json_object **reply)
{
        struct error e = { 0 };
        struct endpoint at;
        int r = endpoint_control(&at, &e);

        if (!r)
                r = control_ask(&at, "stats", pid, reply, &e);
        if (r < 0 && !e.code)
                message("no vmpagerd answers at %s: start vmpagerd, or name its socket with VMPAGER_SOCKET", at.path);
        else if (r < 0)
                message("%s", e.text);
        return r;
}

static int show(struct json_object *reply, int pid, bool json)
{
        struct json_object *stats, *clients;

        if (!json_object_object_get_ex(reply, "stats", &stats)) {
                message("vmpagerd sent no statistics");
                return 1;
        }
        if (pid && json_object_object_get_ex(stats, "clients", &clients) && !json_object_array_length(clients)) {
                message("no program with pid %d is paged by this vmpagerd", pid);
                return 1;
        }
        if (json)
                puts(json_object_to_json_string_ext(stats, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        else
                stats_print(stdout, stats);
        if (fflush(stdout) || ferror(stdout)) {
                message("cannot write to stdout: %m");
                return 1;
        }
        return 0;
}

static int stats_main(const struct command *self, int argc, char **argv)
{
        static const struct option options[] = {
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        struct json_object *reply = NULL;
        bool json = false;
        long pid = 0;
        char *end;
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
                if (c == 'h')
                        return command_help(self);
                if (c != 'j')
                        return command_misused(self, EXIT_USAGE, "\"%s\" is not an option", argv[optind - 1]);
                json = true;
        }
        if (argc - optind > 1)
                return command_misused(self, EXIT_USAGE, "one PID at most");
        if (argc > optind) {
                errno = 0;
                pid = strtol(argv[optind], &end, 10);
                if (errno || end == argv[optind] || *end || pid <= 0 || pid > INT_MAX)
                        return command_misused(self, EXIT_USAGE, "\"%s\" is not a process id", argv[optind]);
        }

        if (fetch((int)pid, &reply) < 0)
                return 1;
        c = show(reply, (int)pid, json);
        json_object_put(reply);
        return c;
}

const struct command command_stats = {
        .name = "stats",
        .synopsis = "[PID] [--json]",
        .summary = "show what vmpagerd does for its programs, or for one of them",
        .help = "  --json  print the statistics as JSON; what is not measured is null\n",
        .main = stats_main,
};
