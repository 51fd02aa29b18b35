/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts threads that end at once, one after the other, and waits for each, while pages go out of the program as fast
 * as they can.
 *
 *     thread-exit THREADS
 *
 * At a thread's end the kernel clears the word that pthread_join() waits for. It does not wait for a userfaultfd then.
 */
#include "paged.h"

static void *end(void *arg)
{
        return arg;
}

int main(int argc, char **argv)
{
        unsigned long n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        static struct pressure other;

        if (n == 0) {
                fprintf(stderr, "usage: thread-exit THREADS\n");
                return 2;
        }
        pressure_start(&other);
        for (unsigned long i = 0; i < n; i++) {
                struct timespec deadline;
                pthread_t thread;
                int r = pthread_create(&thread, NULL, end, &other);

                if (r) {
                        fprintf(stderr, "pthread_create: %s\n", strerror(r));
                        return 2;
                }
                clock_gettime(CLOCK_REALTIME, &deadline);
                deadline.tv_sec += DEADLINE_S;
                r = pthread_timedjoin_np(thread, NULL, &deadline);
                if (r) {
                        printf("thread %lu of %lu has ended, and cannot be joined: %s\n", i + 1, n, strerror(r));
                        return 1;
                }
        }
        pressure_stop(&other);
        printf("%lu threads\n", n);
        return has_failed;
}
