/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program with one thread, which forks in a signal handler that interrupts malloc(3) and stdio most of the time. It
 * waits for none of their locks: for the C library there is nobody who could hold them.
 *
 *     fork-handler FORKS
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 256

static volatile sig_atomic_t forks, failed;

static void fork_one(int signal)
{
        int error = errno;
        pid_t child = fork();

        (void)signal;
        if (child == 0)
                _exit(0);
        if (child < 0 || waitpid(child, NULL, 0) != child)
                failed = 1;
        forks++;
        errno = error;
}

int main(int argc, char **argv)
{
        const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
        struct sigaction act = { .sa_handler = fork_one, .sa_flags = SA_RESTART };
        int wanted = argc > 1 ? atoi(argv[1]) : 0;
        static char *block[BLOCKS];
        FILE *null = fopen("/dev/null", "we");
        unsigned seed = 1;

        printf("one thread: %d\n", __libc_single_threaded);
        fflush(stdout);
        if (!null || sigaction(SIGALRM, &act, NULL) < 0 || setitimer(ITIMER_REAL, &often, NULL) < 0)
                return 1;
        while (forks < wanted && !failed) {
                unsigned i = (unsigned)rand_r(&seed) % BLOCKS;
                size_t bytes = 1 + (size_t)rand_r(&seed) % 5000;

                free(block[i]);
                block[i] = malloc(bytes);
                if (!block[i])
                        return 1;
                memset(block[i], 1, bytes < 64 ? bytes : 64);
                fputs("some text", null);
        }
        puts(failed ? "failed" : "done");
        return failed;
}
