// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * read-order MIB [ORDER[=N]]...: writes MIB of memory, then reads all of it in each of the orders, one after the other,
 * and compares each byte. Orders:
 *
 *     up, down       page after page
 *     stride=N       each N-th page, from the first on; then from the second on, and so on
 *     merge=N        N runs of adjacent pages, one page of each in turn
 *     threads=N      page after page, by N threads that take the next 16 pages that nobody has
 *     random=N       N pages anywhere
 *     write          page after page, and changes what is in them for all orders that follow
 *
 * Prints "ORDER pages N wrong N ms N" for each. Exit status 1 if any byte was wrong.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE        4096u
#define WORDS       (PAGE / 8)
#define GRAB        16u
#define MAX_THREADS 16

static uint64_t *memory;
static uint64_t pages, generation;
static _Atomic uint64_t taken, wrong;

static uint64_t word(uint64_t page, unsigned i)
{
        return (page * WORDS + i) * UINT64_C(0x9e3779b97f4a7c15) + generation;
}

static void check(uint64_t page)
{
        const volatile uint64_t *p = memory + page * WORDS;
        bool bad = false;

        for (unsigned i = 0; i < WORDS; i++)
                bad |= p[i] != word(page, i);
        wrong += bad;
}

static uint64_t random_page(void)
{
        static uint64_t state = 88172645463325252u;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state % pages;
}

static void *take_next(void *arg)
{
        uint64_t first;

        while ((first = atomic_fetch_add(&taken, GRAB)) < pages)
                for (uint64_t i = first; i < first + GRAB && i < pages; i++)
                        check(i);
        return arg;
}

static void with_threads(uint64_t n)
{
        pthread_t thread[MAX_THREADS];

        if (n > MAX_THREADS)
                exit(2);
        taken = 0;
        for (uint64_t i = 0; i < n; i++)
                if (pthread_create(&thread[i], NULL, take_next, NULL))
                        exit(2);
        for (uint64_t i = 0; i < n; i++)
                pthread_join(thread[i], NULL);
}

static void change(void)
{
        for (uint64_t i = 0; i < pages; i++)
                check(i);
        generation++;
        for (uint64_t i = 0; i < pages * WORDS; i++)
                memory[i] = word(i / WORDS, i % WORDS);
}

/* Returns how many pages were read. */
static uint64_t read_all(const char *order, uint64_t n)
{
        if (strcmp(order, "up") == 0) {
                for (uint64_t i = 0; i < pages; i++)
                        check(i);
        } else if (strcmp(order, "down") == 0) {
                for (uint64_t i = pages; i-- > 0;)
                        check(i);
        } else if (strcmp(order, "stride") == 0 && n) {
                for (uint64_t first = 0; first < n; first++)
                        for (uint64_t i = first; i < pages; i += n)
                                check(i);
        } else if (strcmp(order, "merge") == 0 && n) {
                for (uint64_t i = 0; i < pages / n; i++)
                        for (uint64_t run = 0; run < n; run++)
                                check(run * (pages / n) + i);
                return pages / n * n;
        } else if (strcmp(order, "threads") == 0 && n) {
                with_threads(n);
        } else if (strcmp(order, "write") == 0) {
                change();
        } else if (strcmp(order, "random") == 0 && n) {
                for (uint64_t i = 0; i < n; i++)
                        check(random_page());
                return n;
        } else {
                fprintf(stderr, "read-order: what is \"%s\"?\n", order);
                exit(2);
        }
        return pages;
}

static uint64_t ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
        uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;

        pages = mib << 8;
        memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (!pages || memory == MAP_FAILED) {
                fprintf(stderr, "read-order: %s MiB cannot be had\n", argc > 1 ? argv[1] : "no");
                return 2;
        }
        for (uint64_t i = 0; i < pages * WORDS; i++)
                memory[i] = word(i / WORDS, i % WORDS);
        for (int i = 2; i < argc; i++) {
                char *n = strchr(argv[i], '=');
                uint64_t before = wrong, began = ms(), read;

                if (n)
                        *n++ = '\0';
                read = read_all(argv[i], n ? strtoull(n, NULL, 10) : 0);
                printf("%s pages %" PRIu64 " wrong %" PRIu64 " ms %" PRIu64 "\n", argv[i], read, wrong - before,
                       ms() - began);
                fflush(stdout);
        }
        return wrong != 0;
}
