/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_RUN_CHECK_H
#define VMPAGERCTL_RUN_CHECK_H

struct error;

/*
 * Finds a command as execvp(3) does: by itself where it has a slash, otherwise along `search` (a PATH; NULL:
 * the system's default). On success *out is its path, to be freed. -ENOENT: there is none; -EACCES and others:
 * there is one that cannot be executed. e has a text then.
 */
int run_check_find(const char *command, const char *search, char **out, struct error *e);

/*
 * Whether the dynamic linker would load the preload library into what execve(2) of `path` runs: for a script
 * its interpreter is looked at. Returns 0, also where the file may not be read; or -ENOEXEC, -EPERM with a text
 * in e that says why it cannot be paged.
 */
int run_check_loadable(const char *path, struct error *e);

#endif
