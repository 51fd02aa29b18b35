/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_COMMAND_H
#define VMPAGERCTL_COMMAND_H

/*
 * One command of the tool. `main` gets its own name as argv[0] and returns the exit status; main.c has printed the
 * help already where it was asked for before the command's own operands.
 */
struct command {
        const char *name;
        const char *synopsis; /* behind the name in the usage line; "" for none */
        const char *summary;  /* one line, for the list of commands */
        const char *help;     /* the rest of its help; ends with a newline */
        int (*main)(const struct command *self, int argc, char **argv);
};

extern const struct command command_run;
extern const struct command command_stats;
extern const struct command command_version;

/* Writes a command's help to stdout. Returns the exit status. */
int command_help(const struct command *command);

/* Says that the command was misused, in one line on stderr. Returns `status`. */
int command_misused(const struct command *command, int status, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
