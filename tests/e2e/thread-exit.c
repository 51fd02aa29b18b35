/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts threads that end at once, one after the other, and waits for each, while pages go out of the program as fast
 * as they can.
 *
 *     thread-exit THREADS SECONDS
 *
 * It ends after SECONDS in any case. At a thread's end the kernel clears the word that pthread_join() waits for, and
 * waits for no userfaultfd then.
 */
#include "paged.h"

static void *end(void *arg)
{
        return arg;
}

int main(int argc, char **argv)
{
        unsigned long n = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, i;
        double last = n ? now_s() + strtod(argv[2], NULL) : 0;
        static struct pressure other;

        if (n == 0) {
                fprintf(stderr, "usage: thread-exit THREADS SECONDS\n");
                return 2;
        }
        pressure_start(&other);
        for (i = 0; i < n && now_s() < last; i++) {
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
        printf("%lu threads\n", i);
        return has_failed;
}
