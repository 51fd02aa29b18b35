// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "vmpagerctl version": the tool's own, and the daemon's where one answers. That none does is no failure.
 */
#include "vmpagerctl/command.h"

#include <json-c/json.h>
#include <stdio.h>

#include <vmpager/protocol.h>

#include "util/error.h"
#include "vmpagerctl/control.h"
#include "vmpagerctl/endpoint.h"
#include "vmpagerctl/message.h"

static const char *text(struct json_object *of, const char *name)
{
        struct json_object *o;

        return json_object_object_get_ex(of, name, &o) && o ? json_object_get_string(o) : "-";
}

static int version_main(const struct command *self, int argc, char **argv)
{
        struct json_object *reply = NULL;
        struct error e = { 0 };
        struct endpoint at;
        int r;

        if (argc > 1)
                return command_misused(self, EXIT_USAGE, "it takes no argument such as \"%s\"", argv[1]);
        printf("vmpagerctl %s, protocol %d.%d\n", PACKAGE_VERSION, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR);
        r = endpoint_control(&at, &e);
        if (!r)
                r = control_ask(&at, "version", 0, &reply, &e);
        if (!r)
                printf("vmpagerd %s, protocol %s, at %s\n", text(reply, "version"), text(reply, "protocol"), at.path);
        else if (!e.code)
                printf("vmpagerd: none answers at %s\n", at.path);
        else
                printf("vmpagerd: %s\n", e.text);
        json_object_put(reply);
        if (fflush(stdout) || ferror(stdout)) {
                message("cannot write to stdout: %m");
                return 1;
        }
        return 0;
}

const struct command command_version = {
        .name = "version",
        .synopsis = "",
        .summary = "print the version of the tool, and of the daemon where one answers",
        .help = "",
        .main = version_main,
};
