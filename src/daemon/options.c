/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPT_CHECK = 256, OPT_READY_FD, OPT_VERSION };

static const char usage[] =
        "Usage: vmpagerd [OPTION...]\n"
        "Pages the memory of programs that were started under it, see vmpager(7).\n"
        "\n"
        "  -c, --config FILE   read this configuration instead of " VMPAGER_SYSCONFDIR "/vmpager/vmpager.conf\n"
        "  -f, --foreground    stay in the foreground\n"
        "      --check         read the configuration, say what is wrong with it, and end\n"
        "      --ready-fd N    write a byte to descriptor N, and close it, when clients can connect\n"
        "  -h, --help          print this and end\n"
        "      --version       print the version and end\n";

static int bad(const char *text)
{
        fprintf(stderr, "vmpagerd: %s: see vmpagerd --help\n", text);
        return -EINVAL;
}

int options_parse(int argc, char **argv, struct options *out)
{
        static const struct option longs[] = {
                { "config", required_argument, NULL, 'c' },     { "foreground", no_argument, NULL, 'f' },
                { "check", no_argument, NULL, OPT_CHECK },      { "ready-fd", required_argument, NULL, OPT_READY_FD },
                { "help", no_argument, NULL, 'h' },             { "version", no_argument, NULL, OPT_VERSION },
                { NULL, 0, NULL, 0 },
        };
        struct options o = { .ready_fd = -1 };
        char *end;
        int c;

        while ((c = getopt_long(argc, argv, "c:fh", longs, NULL)) != -1) {
                switch (c) {
                case 'c':
                        o.config = optarg;
                        break;
                case 'f':
                        o.foreground = true;
                        break;
                case OPT_CHECK:
                        o.check = true;
                        break;
                case OPT_READY_FD:
                        o.ready_fd = (int)strtol(optarg, &end, 10);
                        if (*end || end == optarg || o.ready_fd < 0)
                                return bad("--ready-fd takes the number of a descriptor");
                        if (fcntl(o.ready_fd, F_GETFD) < 0)
                                return bad("--ready-fd names a descriptor that is not open");
                        break;
                case 'h':
                        fputs(usage, stdout);
                        return 1;
                case OPT_VERSION:
                        puts("vmpagerd " PACKAGE_VERSION);
                        return 1;
                default:
                        return bad("the command line is not understood");
                }
        }
        if (optind < argc)
                return bad("no arguments are taken, only options");
        *out = o;
        return 0;
}
