// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory of a private daemon, /run/vmpager-run-XXXXXX, mode 0711:
 *
 *     vmpager.conf              its configuration
 *     vmpager.sock              its sockets and state, which it makes and removes
 *     control.sock
 *     libvmpager-preload.so     a link to the library. LD_PRELOAD names it, and the library looks for vmpager.sock
 *                               beside the name that it was loaded by: the program's environment needs no more
 *
 * That name in LD_PRELOAD is also the mark of the daemon's programs.
 */
#include "vmpagerctl/run-place.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/run-options.h"
#include "vmpagerctl/run-store.h"

#define STORE_PARENT "/var/tmp"
#define ENVIRON_MOST (4u << 20) /* bytes; the kernel's own bound on a stack's strings is near 6 MiB by default */
#define KILL_ROUNDS  16         /* against programs that fork meanwhile */

static void closedirp(DIR **d)
{
        if (*d)
                closedir(*d);
}

static int write_config(const struct run_options *options, const struct run_place *place, const struct run_store *store,
                        struct error *e)
{
        int fd = open(place->config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        bool bad;

        if (!f) {
                closep(&fd);
                return error_sys(e, -errno, "cannot make %s", place->config);
        }
        fprintf(f, "[daemon]\nsocket = %s/%s\ncontrol = %s/%s\nstate = %s\n", place->dir, VMPAGER_SOCKET_NAME,
                place->dir, VMPAGER_CONTROL_NAME, place->dir);
        fprintf(f, "\n[store default]\npath = %s\n", store->path);
        if (store->size)
                fprintf(f, "size = %" PRIu64 "\n", store->size);
        fprintf(f, "keep = no\n\n[class default]\n");
        if (options->limit)
                fprintf(f, "limit = %" PRIu64 "\n", options->limit);
        if (options->swap)
                fprintf(f, "swap = %" PRIu64 "\n", options->swap);
        bad = ferror(f);
        return fclose(f) || bad ? error_sys(e, -errno, "cannot write %s", place->config) : 0;
}

static int fill(const struct run_options *options, const char *library, struct run_place *place,
                struct run_store *store, struct error *e)
{
        char link[64];
        int r;

        if (chmod(place->dir, 0711) < 0)
                return error_sys(e, -errno, "cannot set the mode of %s", place->dir);
        r = run_store_choose(options->store, options->store_size, STORE_PARENT, strrchr(place->dir, '/') + 1, store, e);
        if (r < 0)
                return r;
        snprintf(place->config, sizeof(place->config), "%s/vmpager.conf", place->dir);
        r = write_config(options, place, store, e);
        if (r < 0)
                return r;
        snprintf(link, sizeof(link), "%s/" RUN_PLACE_LIBRARY, place->dir);
        return symlink(library, link) < 0 ? error_sys(e, -errno, "cannot make %s", link) : 0;
}

int run_place_make(const struct run_options *options, const char *library, struct run_place *place,
                   struct run_store *store, struct error *e)
{
        struct run_place p = { .dir = RUN_PLACE_PARENT "/vmpager-run-XXXXXX" };
        int r;

        if (!mkdtemp(p.dir))
                return error_sys(e, -errno, "cannot make the private vmpagerd's directory in " RUN_PLACE_PARENT);
        r = fill(options, library, &p, store, e);
        if (r < 0) {
                run_place_remove(p.dir);
                return r;
        }
        *place = p;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
        (void)st;
        (void)type;
        (void)at;
        (void)remove(path); /* what cannot be removed does not keep the rest */
        return 0;
}

void run_place_remove(const char *dir)
{
        if (*dir)
                nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Whether the environment that a process was started with, or forked from one that was, has `mark` in it. */
static bool is_marked(const char *pid, const char *mark, char *buf)
{
        _cleanup_(closep) int fd = -1;
        char path[64];
        size_t used = 0;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        while (used < ENVIRON_MOST && (n = read(fd, buf + used, ENVIRON_MOST - used)) > 0)
                used += (size_t)n;
        return memmem(buf, used, mark, strlen(mark)) != NULL;
}

void run_place_kill(const char *dir)
{
        _cleanup_(freep) char *buf = malloc(ENVIRON_MOST);
        char mark[64];
        bool found = true;

        if (!buf || !*dir)
                return;
        snprintf(mark, sizeof(mark), "%s/" RUN_PLACE_LIBRARY, dir);
        for (int round = 0; found && round < KILL_ROUNDS; round++) {
                _cleanup_(closedirp) DIR *proc = opendir("/proc");
                struct dirent *d;

                found = false;
                while (proc && (d = readdir(proc)))
                        if (isdigit((unsigned char)d->d_name[0]) && is_marked(d->d_name, mark, buf))
                                found |= !kill(atoi(d->d_name), SIGKILL);
        }
}
