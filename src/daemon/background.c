/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One fork. The process that stays behind only waits at a pipe, so that whoever started the daemon learns whether
 * it serves; a --ready-fd descriptor is written by that process, after the pipe.
 */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/error.h"

static _Noreturn void wait_and_end(int from, int ready)
{
        char byte;
        ssize_t n = read(from, &byte, 1);

        if (n == 1)
                background_ready(ready);
        _exit(n == 1 ? 0 : 1);
}

int background_enter(int *ready, struct error *e)
{
        int pipe_fds[2];
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_sys(e, -errno, "no pipe");
        pid = fork();
        if (pid < 0)
                return error_sys(e, -errno, "the daemon cannot be forked");
        if (pid > 0) {
                close(pipe_fds[1]);
                wait_and_end(pipe_fds[0], *ready);
        }
        close(pipe_fds[0]);
        if (*ready >= 0)
                close(*ready);
        setsid();
        *ready = pipe_fds[1];
        return 0;
}

void background_ready(int ready)
{
        ssize_t n;

        if (ready < 0)
                return;
        do
                n = write(ready, "\n", 1);
        while (n < 0 && errno == EINTR);
        close(ready);
}
