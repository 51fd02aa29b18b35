// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches how much memory a process holds, every INTERVAL ms until it has ended:
 *
 *     sampler PID INTERVAL GO-FILE
 *
 * GO-FILE is made after the first sample. Held are its anonymous pages and the shared memory that it maps,
 * which is its ring: RssAnon and RssShmem of /proc/PID/status, two counters that cost the process nothing to be
 * read. Prints the highest sum in bytes, how many samples there were, and the longest time between two.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t kib(const char *status, const char *name)
{
        const char *at = strstr(status, name);

        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Bytes held; -1 when the process has ended. A zombie has no memory, and no such lines. */
static int64_t held(int proc)
{
        char status[8192];
        ssize_t n = pread(proc, status, sizeof(status) - 1, 0);

        if (n <= 0)
                return -1;
        status[n] = '\0';
        if (!strstr(status, "\nRssAnon:"))
                return -1;
        return (int64_t)(kib(status, "\nRssAnon:") + kib(status, "\nRssShmem:")) * 1024;
}

static int64_t now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
        int64_t highest = 0, bytes, last, longest = 0, interval_us;
        unsigned long samples = 0;
        char path[64];
        int proc, go;

        if (argc != 4) {
                fprintf(stderr, "usage: sampler PID INTERVAL-MS GO-FILE\n");
                return 2;
        }
        interval_us = atoi(argv[2]) * 1000;
        snprintf(path, sizeof(path), "/proc/%d/status", atoi(argv[1]));
        proc = open(path, O_RDONLY | O_CLOEXEC);
        if (proc < 0 || held(proc) < 0) {
                perror(path);
                return 2;
        }
        go = open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (go < 0) {
                perror(argv[3]);
                return 2;
        }
        close(go);

        for (int64_t next = last = now_us(); (bytes = held(proc)) >= 0; samples++) {
                int64_t at = now_us();

                if (bytes > highest)
                        highest = bytes;
                if (at - last > longest)
                        longest = at - last;
                last = at;
                next = next + interval_us > at ? next + interval_us : at;
                usleep((useconds_t)(next - at));
        }
        printf("highest_bytes %" PRId64 "\nsamples %lu\nlongest_gap_ms %.1f\n", highest, samples,
               (double)longest / 1e3);
        return 0;
}
