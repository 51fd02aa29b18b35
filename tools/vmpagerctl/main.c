// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmpagerctl: the table of commands, and which of them is meant. Each command has a file of its own.
 */
#include "vmpagerctl/command.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmpagerctl/message.h"

/* The preload library leaves a program alone that has this symbol: the tool is not to be paged by what it starts. */
extern int vmpager_no_preload;
__attribute__((visibility("default"), used)) int vmpager_no_preload = 1;

static int help_main(const struct command *self, int argc, char **argv);

static const struct command command_show_help = {
        .name = "help",
        .synopsis = "[COMMAND]",
        .summary = "say how the tool, or one of its commands, is used",
        .help = "",
        .main = help_main,
};

static const struct command *const commands[] = {
        &command_run,
        &command_stats,
        &command_version,
        &command_show_help,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
        for (size_t i = 0; i < N_COMMANDS; i++)
                if (!strcmp(commands[i]->name, name))
                        return commands[i];
        return NULL;
}

static int finish_stdout(void)
{
        if (fflush(stdout) || ferror(stdout)) {
                message("cannot write to stdout: %m");
                return 1;
        }
        return 0;
}

static int overview(void)
{
        printf("Usage: vmpagerctl COMMAND [OPTION]... [ARGUMENT]...\n"
               "Runs programs under a memory limit, their cold pages in a store, and shows how they fare.\n"
               "\n"
               "Commands:\n");
        for (size_t i = 0; i < N_COMMANDS; i++)
                printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
        printf("\n"
               "\"vmpagerctl COMMAND --help\" says more about a command; vmpagerctl(1) says all.\n");
        return finish_stdout();
}

int command_help(const struct command *command)
{
        printf("Usage: vmpagerctl %s%s%s\n%c%s.\n", command->name, *command->synopsis ? " " : "", command->synopsis,
               command->summary[0] - 'a' + 'A', command->summary + 1);
        if (*command->help)
                printf("\n%s", command->help);
        return finish_stdout();
}

int command_misused(const struct command *command, int status, const char *format, ...)
{
        char text[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        message("%s: %s; see \"vmpagerctl %s --help\"", command->name, text, command->name);
        return status;
}

static int help_main(const struct command *self, int argc, char **argv)
{
        const struct command *command;

        if (argc < 2)
                return overview();
        if (argc > 2)
                return command_misused(self, EXIT_USAGE, "one COMMAND at most");
        command = find(argv[1]);
        if (!command)
                return command_misused(self, EXIT_USAGE, "there is no command \"%s\"", argv[1]);
        return command_help(command);
}

/*
 * A caller may have closed stdin, stdout or stderr: then a socket of ours would get that number and receive what was
 * meant for them. The place-holders are closed by exec, so CMD finds what the caller left.
 */
static void hold_standard_fds(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
}

int main(int argc, char **argv)
{
        const struct command *command;

        hold_standard_fds();
        if (argc < 2) {
                message("no command given; see \"vmpagerctl --help\"");
                return EXIT_USAGE;
        }
        if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
                return overview();
        if (!strcmp(argv[1], "--version"))
                return command_version.main(&command_version, 1, argv + 1);

        command = find(argv[1]);
        if (!command) {
                message("there is no command \"%s\"; see \"vmpagerctl --help\"", argv[1]);
                return EXIT_USAGE;
        }
        if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h")))
                return command_help(command);
        return command->main(command, argc - 1, argv + 1);
}
