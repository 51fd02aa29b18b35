// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a private daemon keeps pages. Unless the user says otherwise it is a file of at most 16 GiB that takes
 * no more than half of the free space: the program's own files have to go somewhere too.
 */
#include "vmpagerctl/run-store.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "util/error.h"
#include "util/size.h"

#define SIZE_MOST  (16ull << 30)
#define SIZE_LEAST (64ull << 20)
#define SIZE_STEP  (1ull << 20)
#define PATH_MOST  192u /* bytes: with its key, a line of the daemon's configuration */

/* The daemon leaves our working directory; inih strips blanks, and takes what follows " ;" for a comment. */
static int absolute(const char *path, char *out, struct error *e)
{
        char dir[PATH_MAX], base[PATH_MAX], real[PATH_MAX];

        if (strlen(path) >= sizeof(dir))
                return error_set(e, -ENAMETOOLONG, "--store: the path is too long");
        strcpy(dir, path);
        strcpy(base, path);
        if (!realpath(dirname(dir), real))
                return error_sys(e, -errno, "--store %s: cannot use its directory", path);
        if (snprintf(out, PATH_MAX, "%s/%s", strcmp(real, "/") ? real : "", basename(base)) >= PATH_MAX)
                return error_set(e, -ENAMETOOLONG, "--store: the path is too long");
        if (strlen(out) > PATH_MOST)
                return error_set(e, -ENAMETOOLONG, "--store %s: the path has %zu bytes, %u are the most", out,
                                 strlen(out), PATH_MOST);
        if (strpbrk(out, "\n\r") || strstr(out, " ;") || strstr(out, "\t;") || out[strlen(out) - 1] == ' ' ||
            out[strlen(out) - 1] == '\t')
                return error_set(e, -EINVAL,
                                 "--store: the path cannot stand in a configuration file; name one without "
                                 "line breaks, \" ;\" or a blank at its end");
        return 0;
}

static int choose_size(const char *path, uint64_t *size, struct error *e)
{
        char dir[PATH_MAX], have[32], least[32];
        struct statvfs fs;
        uint64_t half;

        strcpy(dir, path);
        if (statvfs(dirname(dir), &fs) < 0)
                return error_sys(e, -errno, "cannot learn the free space of %s", dir);
        half = (uint64_t)fs.f_bavail * fs.f_frsize / 2;
        half -= half % SIZE_STEP;
        if (half < SIZE_LEAST)
                return error_set(e, -ENOSPC,
                                 "the store would be %s, half of the free space in %s, and %s is the least; free "
                                 "some, or use --store and --store-size",
                                 size_format(half, have, sizeof(have)), dir,
                                 size_format(SIZE_LEAST, least, sizeof(least)));
        *size = half < SIZE_MOST ? half : SIZE_MOST;
        return 0;
}

int run_store_choose(const char *path, uint64_t size, const char *dir, const char *id, struct run_store *out,
                     struct error *e)
{
        struct run_store s = { .size = size };
        struct stat st;
        int r = 0;

        if (!path)
                snprintf(s.path, sizeof(s.path), "%s/%s.store", dir, id);
        else
                r = absolute(path, s.path, e);
        if (r < 0)
                return r;

        if (stat(s.path, &st) < 0) {
                if (errno != ENOENT)
                        return error_sys(e, -errno, "--store %s", s.path);
                s.made = true;
        } else if (S_ISBLK(st.st_mode)) {
                *out = s;
                return 0;
        } else if (S_ISREG(st.st_mode) && st.st_size && !s.size) {
                return error_set(
                        e, -EEXIST,
                        "--store %s: there is a file of %llu bytes, which would be overwritten; name another, or "
                        "give its size with --store-size to use it",
                        s.path, (unsigned long long)st.st_size);
        }
        if (!s.size)
                r = choose_size(s.path, &s.size, e);
        if (r < 0)
                return r;
        *out = s;
        return 0;
}
