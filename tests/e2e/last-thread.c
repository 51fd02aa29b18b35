/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program whose main thread ends before the others: the one that ends last ends the process, as if by exit(0), and
 * atexit(3) handlers run (pthread_exit(3)). With "fork" it does so in a child, forked by a thread that is not the main
 * one.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t first;

static void at_end(void)
{
        puts("ended");
}

static void *outlive(void *arg)
{
        (void)arg;
        pthread_join(first, NULL);
        return NULL;
}

static void *fork_child(void *arg)
{
        int status = -1;
        pid_t child = fork();

        (void)arg;
        if (child == 0)
                return NULL; /* the child's only thread */
        if (child < 0 || waitpid(child, &status, 0) != child || status)
                _exit(1);
        return NULL;
}

int main(int argc, char **argv)
{
        pthread_t other;

        first = pthread_self();
        atexit(at_end);
        if (pthread_create(&other, NULL, argc > 1 && !strcmp(argv[1], "fork") ? fork_child : outlive, NULL))
                return 1;
        pthread_exit(NULL);
}
