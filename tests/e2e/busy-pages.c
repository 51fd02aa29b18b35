/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fills memory that cannot be taken out of the program, then as much again, and finds all as it was.
 *
 *     busy-pages MIB shared PID    a child without the library's knowledge has shared it, and ended, while the daemon
 *                                  with that pid was stopped: before any of it was registered
 *     busy-pages MIB pinned        it is registered with an io_uring, for good
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/io_uring.h>

#define PAGE 4096u

static char *fill(size_t bytes, char salt)
{
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        for (size_t i = 0; i < bytes; i += PAGE)
                memset(p + i, (char)(i / PAGE) + salt, PAGE);
        return p;
}

static int wrong(const char *p, size_t bytes, char salt)
{
        for (size_t i = 0; i < bytes; i += PAGE)
                if (p[i] != (char)((char)(i / PAGE) + salt) || p[i + PAGE - 1] != p[i]) {
                        printf("page %zu is wrong\n", i / PAGE);
                        return 1;
                }
        return 0;
}

static void pin(char *p, size_t bytes)
{
        struct io_uring_params params = { 0 };
        struct iovec all = { p, bytes };
        int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

        if (fd < 0 || syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &all, 1) < 0) {
                perror("io_uring");
                exit(2);
        }
}

/* Without fork(3)'s handlers. */
static void fork_once(void)
{
        pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0);

        if (pid == 0)
                _exit(0);
        waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
        char *first, *second;
        pid_t daemon;
        size_t bytes;

        if (argc < 3) {
                fprintf(stderr, "usage: busy-pages MIB shared PID | pinned\n");
                return 2;
        }
        bytes = strtoul(argv[1], NULL, 10) << 20;
        daemon = argc > 3 ? (pid_t)strtol(argv[3], NULL, 10) : 0;
        if (daemon > 0)
                kill(daemon, SIGSTOP);
        first = fill(bytes, 1);
        if (daemon > 0) {
                fork_once();
                kill(daemon, SIGCONT);
        } else {
                pin(first, bytes);
        }
        second = fill(bytes, 2);
        if (wrong(first, bytes, 1) || wrong(second, bytes, 2))
                return 1;
        puts("ok");
        return 0;
}
