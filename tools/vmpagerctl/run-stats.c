// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "run --stats FILE". A reader sees the old file or all of the new one: it is written beside its place and renamed. A
 * symbolic link is followed first, and what is no regular file (/dev/stderr, a fifo) is written to where it stands,
 * since a rename would put a file in its place.
 */
#include "vmpagerctl/run-stats.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/grant.h"

/* Where the bytes are to go in the end. */
struct place {
        char path[PATH_MAX];
        bool in_place; /* not by rename */
};

static int find_place(const char *path, struct place *out, struct error *e)
{
        struct stat st;

        if (strlen(path) >= sizeof(out->path))
                return error_set(e, -ENAMETOOLONG, "--stats: the path is too long");
        strcpy(out->path, path);
        out->in_place = false;
        if (stat(path, &st) < 0)
                return errno == ENOENT ? 0 : error_sys(e, -errno, "--stats %s", path);
        if (S_ISDIR(st.st_mode))
                return error_set(e, -EISDIR, "--stats %s: is a directory; name a file", path);
        out->in_place = !S_ISREG(st.st_mode);
        if (!out->in_place && !realpath(path, out->path))
                return error_sys(e, -errno, "--stats %s", path);
        return 0;
}

int run_stats_check(const char *path, struct error *e)
{
        char dir[PATH_MAX];
        struct place at;
        int r = find_place(path, &at, e);

        if (r < 0)
                return r;
        if (at.in_place)
                return access(path, W_OK) < 0 ? error_sys(e, -errno, "--stats %s", path) : 0;
        strcpy(dir, at.path);
        if (access(dirname(dir), W_OK | X_OK) < 0) {
                strcpy(dir, at.path);
                return error_sys(e, -errno, "--stats %s: cannot make a file in %s", path, dirname(dir));
        }
        return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
        while (len) {
                ssize_t n = write(fd, text, len);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        text += n;
                        len -= (size_t)n;
                }
        }
        return 0;
}

static int write_in_place(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

static int write_by_rename(const char *path, const char *text)
{
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) char *temporary = NULL;
        int r;

        if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
                return -ENOMEM;
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        if (!r && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                unlink(temporary);
        return r;
}

/* The daemon's text, checked and laid out; to be freed. */
static int lay_out(const char *json, char **out, struct error *e)
{
        struct json_object *o = json_tokener_parse(json);
        int r = 0;

        if (!o)
                return error_set(e, -EPROTO, "--stats: vmpagerd sent what is not JSON");
        if (asprintf(out, "%s\n",
                     json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
                r = error_set(e, -ENOMEM, "out of memory");
        json_object_put(o);
        return r;
}

int run_stats_write(int fd, const char *path, struct error *e)
{
        _cleanup_(freep) char *json = NULL;
        _cleanup_(freep) char *text = NULL;
        struct place at;
        int r;

        if ((r = grant_stats(fd, &json, e)) < 0 || (r = lay_out(json, &text, e)) < 0 ||
            (r = find_place(path, &at, e)) < 0)
                return r;
        r = at.in_place ? write_in_place(path, text) : write_by_rename(at.path, text);
        return r < 0 ? error_sys(e, r, "--stats: cannot write %s", path) : 0;
}
