// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the daemon is to be found, and the first words to it. Two sockets stand side by side in its directory:
 * vmpager.sock for programs and grants, control.sock for questions. VMPAGER_SOCKET names the first, and by its
 * directory the second.
 *
 * All waiting is bounded by a deadline: a daemon that hangs must not hang the tool that would tell of it.
 */
#include "vmpagerctl/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "util/cleanup.h"
#include "util/error.h"

static int put(struct endpoint *out, struct error *e, int dir_len, const char *dir, const char *name)
{
        int n = snprintf(out->path, sizeof(out->path), "%.*s%s", dir_len, dir, name);

        if (n < 0 || (size_t)n >= sizeof(out->path))
                return error_set(e, -ENAMETOOLONG, "VMPAGER_SOCKET is too long for a socket's name: at most %zu bytes",
                                 sizeof(out->path) - 1);
        return 0;
}

int endpoint_client(struct endpoint *out, struct error *e)
{
        const char *path = getenv("VMPAGER_SOCKET");

        if (!path || !*path)
                path = VMPAGER_DEFAULT_SOCKET;
        return put(out, e, 0, "", path);
}

int endpoint_control(struct endpoint *out, struct error *e)
{
        const char *path = getenv("VMPAGER_SOCKET"), *slash;

        if (!path || !*path)
                return put(out, e, 0, "", VMPAGER_DEFAULT_CONTROL);
        slash = strrchr(path, '/');
        return put(out, e, slash ? (int)(slash + 1 - path) : 0, path, VMPAGER_CONTROL_NAME);
}

bool endpoint_absent(int r)
{
        return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

int endpoint_connect(const struct endpoint *at, int type, struct error *e)
{
        _cleanup_(closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int64_t deadline = endpoint_deadline(ENDPOINT_PATIENCE_MS);
        int r;

        if (fd < 0)
                return error_sys(e, -errno, "cannot make a socket");
        memcpy(addr.sun_path, at->path, sizeof(addr.sun_path));
        /* unix(7): a full backlog answers EAGAIN to a non-blocking connect, and nothing tells when there is room. */
        while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                r = -errno;
                if (r == -EAGAIN && endpoint_deadline(0) < deadline) {
                        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
                        continue;
                }
                if (r == -EINTR)
                        continue;
                if (endpoint_absent(r))
                        return r;
                if (r == -EACCES || r == -EPERM)
                        return error_set(e, r, "%s: permission denied; use sudo", at->path);
                return error_sys(e, r, "cannot connect to vmpagerd at %s", at->path);
        }
        return take_fd(&fd);
}

int64_t endpoint_deadline(int ms)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
}

int endpoint_wait(int fd, short events, int64_t deadline)
{
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left;
        int n;

        for (;;) {
                left = deadline - endpoint_deadline(0);
                n = poll(&p, 1, left > 0 ? (int)left : 0);
                if (n > 0)
                        return 0; /* HUP and ERR: the read or write that follows says what it is */
                if (n == 0)
                        return -ETIMEDOUT;
                if (errno != EINTR)
                        return -errno;
        }
}
