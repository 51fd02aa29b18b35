/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For programs made of cases, each of which does something to memory that is paged, and looks whether it finds what it
 * must find.
 *
 *     PROGRAM [-n] [PART-OF-A-NAME]
 *
 * prints a line for each case, "NAME: ok", "NAME: skip: why" or "NAME: FAILED" with what is wrong before it; exit
 * status 1 when one failed, or none was run. With -n it is run without a pager, which shows that the case expects what
 * Linux does.
 *
 * A case that did not see its memory out of the program at the moment shows nothing: evict_out() makes pressure until
 * each page of a range is absent. There is no swap for the kernel to have put them to.
 */
#ifndef TESTS_E2E_PAGED_H
#define TESTS_E2E_PAGED_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent-pattern.h"

#define MIB   (1ul << 20)
#define CHUNK (2 * MIB)

/* What is written beside the memory that a case looks at, round and round: several times the limit. */
#define PRESSURE_BYTES (64 * MIB)
#define PRESSURE_STEP  (1 * MIB)
#define PRESSURE_SEED  7u

/* No wait is longer. */
#define DEADLINE_S 40

struct pressure {
        uint8_t *area;
        size_t at;
        bool again; /* what is at `at` was written before */
        pthread_t thread;
        _Atomic bool end;
        _Atomic uint64_t steps;
};

struct paged_case {
        const char *name;
        void (*run)(void);
};

static struct pressure pressure;
static bool is_native, has_failed;
static char skipped[200];

static inline double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void __attribute__((format(printf, 1, 2))) failed(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        printf("\n    ");
        vprintf(format, args);
        va_end(args);
        fflush(stdout);
        has_failed = true;
}

/* The case goes on after a check that failed. */
#define check(condition, ...) ((condition) ? (void)0 : failed(__VA_ARGS__))

#define check_call(call) check((call) >= 0, "line %d: %s: %s", __LINE__, #call, strerror(errno))

/* Says why the rest of a case cannot be done here; the case returns then. */
static inline void __attribute__((format(printf, 1, 2))) skip_case(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(skipped, sizeof(skipped), format, args);
        va_end(args);
}

static inline void *map_at(void *at, size_t bytes, int protection, int flags)
{
        void *p = mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        return p;
}

/* Memory whose neighbours nobody can use, so that it does not become one mapping with another. At a chunk's start. */
static inline uint8_t *map(size_t bytes)
{
        uint8_t *outer = map_at(NULL, bytes + 2 * CHUNK, PROT_NONE, MAP_NORESERVE);
        uint8_t *inner = (uint8_t *)(((uintptr_t)outer + PAGE + CHUNK - 1) & ~(CHUNK - 1));

        check_call(mprotect(inner, bytes, PROT_READ | PROT_WRITE));
        return inner;
}

/* Memory that is never paged, for what a case has to know for sure. */
static inline void *map_shared(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        return p;
}

/* Bytes that are this seed's, beginning with those of page `first`. */
static inline void fill(void *at, size_t bytes, uint64_t seed, uint64_t first)
{
        uint64_t *word = at;

        for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
                word[i] = pattern_word(seed, first + i / PAGE_WORDS, i % PAGE_WORDS);
}

static inline bool is_filled(const void *at, size_t bytes, uint64_t seed, uint64_t first)
{
        for (size_t i = 0; i < bytes / PAGE; i++)
                if (!pattern_matches((const uint8_t *)at + i * PAGE, seed, first + i))
                        return false;
        return true;
}

static inline void check_filled(const char *what, const void *at, size_t bytes, uint64_t seed, uint64_t first)
{
        for (size_t i = 0; i < bytes / PAGE; i++) {
                const uint64_t *word = (const uint64_t *)((const uint8_t *)at + i * PAGE);

                if (pattern_matches(word, seed, first + i))
                        continue;
                failed("%s: page %zu of %zu at %p begins with %lx, and not with %lx", what, i, bytes / PAGE,
                       (const void *)word, word[0], pattern_word(seed, first + i, 0));
                return;
        }
}

static inline bool is_zero(const void *at, size_t bytes)
{
        const uint64_t *word = at;

        for (size_t i = 0; i < bytes / sizeof(*word); i++)
                if (word[i])
                        return false;
        return true;
}

static inline void check_zero(const char *what, const void *at, size_t bytes)
{
        for (size_t i = 0; i < bytes / PAGE; i++) {
                const uint64_t *word = (const uint64_t *)((const uint8_t *)at + i * PAGE);

                if (is_zero(word, PAGE))
                        continue;
                failed("%s: page %zu of %zu at %p is not zero: %lx", what, i, bytes / PAGE, (const void *)word,
                       word[0]);
                return;
        }
}

/* How many pages of the range are there; -1 when part of it is not mapped. */
static inline long n_present(const void *at, size_t bytes)
{
        uintptr_t start = (uintptr_t)at & ~(PAGE - 1), end = ((uintptr_t)at + bytes + PAGE - 1) & ~(PAGE - 1);
        unsigned char there[512];
        long n = 0;

        while (start < end) {
                size_t pages = (end - start) / PAGE < sizeof(there) ? (end - start) / PAGE : sizeof(there);

                if (mincore((void *)start, pages * PAGE, there) < 0)
                        return -1;
                for (size_t i = 0; i < pages; i++)
                        n += there[i] & 1;
                start += pages * PAGE;
        }
        return n;
}

/* Writes one step of the area, and looks whether some of what was there before was right. */
static inline void pressure_step(struct pressure *p)
{
        uint8_t *at;

        if (!p->area)
                p->area = map(PRESSURE_BYTES);
        at = p->area + p->at;
        for (size_t i = 0; p->again && i < PRESSURE_STEP; i += 64 * PAGE)
                check_filled("the memory that makes pressure", at + i, PAGE, PRESSURE_SEED, (p->at + i) / PAGE);
        if (p->again)
                madvise(at, PRESSURE_STEP, MADV_DONTNEED);
        for (size_t i = 0; i < PRESSURE_STEP; i += PAGE)
                fill(at + i, i % (64 * PAGE) == 0 ? PAGE : 64, PRESSURE_SEED, (p->at + i) / PAGE);
        p->at += PRESSURE_STEP;
        if (p->at == PRESSURE_BYTES) {
                p->at = 0;
                p->again = true;
        }
        atomic_fetch_add(&p->steps, 1);
}

/* Makes pressure until at most `most` pages of the range are there. */
static inline void evict_to(const void *at, size_t bytes, long most)
{
        double end = now_s() + DEADLINE_S;

        while (!is_native && n_present(at, bytes) > most) {
                if (now_s() > end) {
                        failed("%ld of %zu pages at %p are still there after %d s", n_present(at, bytes), bytes / PAGE,
                               at, DEADLINE_S);
                        return;
                }
                pressure_step(&pressure);
        }
}

/* Makes pressure until no page of the range is there. */
static inline void evict_out(const void *at, size_t bytes)
{
        evict_to(at, bytes, 0);
}

/* fill(), and then out with it. */
static inline void fill_out(void *at, size_t bytes, uint64_t seed, uint64_t first)
{
        fill(at, bytes, seed, first);
        evict_out(at, bytes);
}

static inline void *pressure_run(void *arg)
{
        struct pressure *p = arg;

        while (!atomic_load(&p->end))
                pressure_step(p);
        return NULL;
}

/* Pressure by a thread of its own, until pressure_stop(). Returns when it has begun. */
static inline void pressure_start(struct pressure *p)
{
        uint64_t steps = atomic_load(&p->steps);

        atomic_store(&p->end, false);
        if (pthread_create(&p->thread, NULL, pressure_run, p)) {
                fprintf(stderr, "no thread\n");
                exit(2);
        }
        while (atomic_load(&p->steps) == steps)
                sched_yield();
}

static inline void pressure_stop(struct pressure *p)
{
        atomic_store(&p->end, true);
        pthread_join(p->thread, NULL);
}

/* The first word after NAME in a file of /proc or /sys, or -1. */
static inline long number_in(const char *path, const char *name)
{
        char line[512];
        FILE *f = fopen(path, "re");
        long number = -1;

        while (f && number < 0 && fgets(line, sizeof(line), f))
                if (strncmp(line, name, strlen(name)) == 0)
                        number = strtol(line + strlen(name), NULL, 10);
        if (f)
                fclose(f);
        return number;
}

/* A value of smaps, in KiB, added up over the mappings that the range touches. */
static inline long smaps_kib(const void *at, size_t bytes, const char *name)
{
        unsigned long start, end;
        FILE *f = fopen("/proc/self/smaps", "re");
        bool inside = false;
        char line[512];
        long kib = 0;

        while (f && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
                        inside = start < (uintptr_t)at + bytes && end > (uintptr_t)at;
                else if (inside && strncmp(line, name, strlen(name)) == 0)
                        kib += strtol(line + strlen(name) + 1, NULL, 10);
        }
        if (f)
                fclose(f);
        return kib;
}

/* How many mappings the range touches. */
static inline int n_mappings(const void *at, size_t bytes)
{
        unsigned long start, end;
        FILE *f = fopen("/proc/self/maps", "re");
        char line[512];
        int n = 0;

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
                        n += start < (uintptr_t)at + bytes && end > (uintptr_t)at;
        if (f)
                fclose(f);
        return n;
}

static inline int run_cases(const struct paged_case *cases, size_t n, int argc, char **argv)
{
        const char *wanted = "";
        int run = 0, wrong = 0;

        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "-n") == 0)
                        is_native = true;
                else
                        wanted = argv[i];
        }
        for (size_t i = 0; i < n; i++) {
                if (!strstr(cases[i].name, wanted))
                        continue;
                has_failed = false;
                skipped[0] = '\0';
                printf("%s: ", cases[i].name);
                fflush(stdout);
                cases[i].run();
                if (has_failed)
                        printf("\n%s: FAILED\n", cases[i].name);
                else if (skipped[0])
                        printf("skip: %s\n", skipped);
                else
                        printf("ok\n");
                fflush(stdout);
                run++;
                wrong += has_failed;
        }
        return run == 0 || wrong > 0;
}

#endif
