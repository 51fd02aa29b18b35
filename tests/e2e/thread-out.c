/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that end at the moment when the page is out that the kernel then writes to, and a join for each.
 *
 *     thread-out SECONDS
 *
 * A thread looks, from a place of its stack that is far from that page, until the page is out of the program, and ends
 * at once. Its list of robust mutexes is unknown to the kernel, so that it looks to a pager like a thread that was born
 * after it looked last; so is its rseq(2) area, to which the kernel writes whenever the thread goes on. Nobody waits
 * longer than DEADLINE_S.
 */
#include "paged.h"

#include <sys/rseq.h>
#include <sys/syscall.h>

#define FAR (2 * CHUNK)

#define AT_ONCE 8u

/* A thread whose page is not seen out for so long ends all the same. */
#define PATIENCE_S 2

static _Atomic unsigned long out;

static inline long raw_call(long number, long a, long b, long c)
{
        long result;

        __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
        return result;
}

/* No canary, errno or other word of the thread's description is touched in here. */
static void __attribute__((noinline, no_stack_protector)) end_when_out(uintptr_t page, long end_s, volatile char *far)
{
        struct timespec now = { 0 }, pause = { .tv_nsec = 30000 };
        unsigned char present = 1;

        far[0] = 1;
        do {
                raw_call(SYS_mincore, (long)page, PAGE, (long)&present);
                raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0);
                raw_call(SYS_nanosleep, (long)&pause, 0, 0); /* poll */
        } while ((present & 1) && now.tv_sec < end_s);
        atomic_fetch_add(&out, !(present & 1));
        for (;;)
                raw_call(SYS_exit, 0, 0, 0);
}

static void *live(void *arg)
{
        uintptr_t page = (uintptr_t)pthread_self() & ~(PAGE - 1);
        volatile char far[FAR];

        syscall(SYS_set_robust_list, NULL, 3 * sizeof(long));
        syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
        end_when_out(page, *(const long *)arg, far);
        return NULL;
}

static void start(pthread_t *thread, long *end_s)
{
        int r = pthread_create(thread, NULL, live, end_s);

        if (r) {
                fprintf(stderr, "pthread_create: %s\n", strerror(r));
                exit(2);
        }
}

static void join(pthread_t thread, unsigned long number)
{
        struct timespec deadline;
        int r;

        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += DEADLINE_S;
        r = pthread_timedjoin_np(thread, NULL, &deadline);
        if (r) {
                printf("thread %lu has ended, and cannot be joined: %s\n", number, strerror(r));
                exit(1);
        }
}

int main(int argc, char **argv)
{
        double last = argc == 2 ? now_s() + strtod(argv[1], NULL) : 0;
        long end_s;
        static struct pressure other;
        pthread_t thread[AT_ONCE];
        unsigned long n = 0;

        if (argc != 2) {
                fprintf(stderr, "usage: thread-out SECONDS\n");
                return 2;
        }
        pressure_start(&other);
        for (; now_s() < last; n += AT_ONCE) {
                end_s = (long)now_s() + PATIENCE_S;
                for (unsigned i = 0; i < AT_ONCE; i++)
                        start(&thread[i], &end_s);
                for (unsigned i = 0; i < AT_ONCE; i++)
                        join(thread[i], n + i);
        }
        pressure_stop(&other);
        printf("threads %lu\nout %lu\n", n, atomic_load(&out));
        return has_failed;
}
