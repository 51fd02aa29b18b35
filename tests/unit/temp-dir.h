/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory for a test's files: under TMPDIR (default: the working directory) or where it says. make and remove
 * are unchecked fixtures: they run in check's own process, so that a failing test does not leave it behind.
 */
#ifndef TESTS_TEMP_DIR_H
#define TESTS_TEMP_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char temp_dir[256];

/* The path of a file in it. Four of them can be in use at a time. */
static inline char *temp_path(const char *name)
{
        static char path[4][512];
        static unsigned turn;
        char *p = path[turn++ % 4];

        snprintf(p, sizeof(path[0]), "%s/%s", temp_dir, name);
        return p;
}

static inline void temp_dir_make_in(const char *where)
{
        snprintf(temp_dir, sizeof(temp_dir), "%s/vmpager-test.XXXXXX", where);
        if (!mkdtemp(temp_dir)) {
                perror(temp_dir);
                exit(EXIT_FAILURE);
        }
}

static inline void temp_dir_make(void)
{
        temp_dir_make_in(getenv("TMPDIR") ? getenv("TMPDIR") : ".");
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        (void)st;
        (void)flag;
        (void)ftw;
        return remove(path);
}

static inline void temp_dir_remove(void)
{
        nftw(temp_dir, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
