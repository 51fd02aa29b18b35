// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line of "run". Options end at the first word that is none, so that those of CMD stay CMD's.
 */
#include "vmpagerctl/run-options.h"

#include <getopt.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "util/size.h"
#include "vmpagerctl/command.h"
#include "vmpagerctl/message.h"

static int check_limit(const char *text, uint64_t *out)
{
        uint64_t limit, memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        char least[32], most[32];

        if (size_parse(text, &limit) < 0) {
                message("--limit %s: not a size; give bytes, or a number with K, M, G or T, such as 256M", text);
                return EXIT_SELF;
        }
        if (limit < RUN_LIMIT_LEAST) {
                message("--limit %s: too small; the least is %s", text,
                        size_format(RUN_LIMIT_LEAST, least, sizeof(least)));
                return EXIT_SELF;
        }
        if (limit > memory) {
                message("--limit %s: this machine has %s of memory, a limit above that would never be reached", text,
                        size_format(memory, most, sizeof(most)));
                return EXIT_SELF;
        }
        *out = limit;
        return -1;
}

static int check_swap(const char *text, uint64_t *out)
{
        uint64_t swap;

        if (size_parse(text, &swap) < 0) {
                message("--swap %s: not a size; give bytes, or a number with K, M, G or T, such as 1G", text);
                return EXIT_SELF;
        }
        if (swap < VMPAGER_SWAP_LEAST) {
                message("--swap %s: too small; the least is 1M", text);
                return EXIT_SELF;
        }
        *out = swap;
        return -1;
}

static int check_store_size(const char *text, uint64_t *out)
{
        uint64_t size;

        if (size_parse(text, &size) < 0 || !size) {
                message("--store-size %s: not a size; give bytes, or a number with K, M, G or T, such as 4G", text);
                return EXIT_SELF;
        }
        *out = size;
        return -1;
}

static int check_path(const char *option, const char *text, const char **out)
{
        if (!*text) {
                message("%s: the path is empty", option);
                return EXIT_SELF;
        }
        *out = text;
        return -1;
}

int run_options_read(const struct command *self, int argc, char **argv, struct run_options *out)
{
        static const struct option options[] = {
                { "limit", required_argument, NULL, 'l' }, { "swap", required_argument, NULL, 'w' },
                { "store", required_argument, NULL, 's' }, { "store-size", required_argument, NULL, 'z' },
                { "private", no_argument, NULL, 'p' },     { "stats", required_argument, NULL, 't' },
                { "help", no_argument, NULL, 'h' },        { 0 },
        };
        int c, status = -1;

        *out = (struct run_options){ 0 };
        opterr = 0;
        while (status < 0 && (c = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
                switch (c) {
                case 'l':
                        status = check_limit(optarg, &out->limit);
                        break;
                case 'w':
                        status = check_swap(optarg, &out->swap);
                        break;
                case 's':
                        status = check_path("--store", optarg, &out->store);
                        break;
                case 'z':
                        status = check_store_size(optarg, &out->store_size);
                        break;
                case 'p':
                        out->private = true;
                        break;
                case 't':
                        status = check_path("--stats", optarg, &out->stats);
                        break;
                case 'h':
                        return command_help(self);
                case ':':
                        return command_misused(self, EXIT_SELF, "%s needs a value", argv[optind - 1]);
                default:
                        return command_misused(self, EXIT_SELF, "\"%s\" is not an option", argv[optind - 1]);
                }
        }
        if (status >= 0)
                return status;
        if (optind >= argc)
                return command_misused(self, EXIT_SELF, "there is no CMD to run");
        /* A store belongs to a daemon: to name one is to ask for a daemon that has it. */
        if (out->store || out->store_size)
                out->private = true;
        out->argv = argv + optind;
        return -1;
}
