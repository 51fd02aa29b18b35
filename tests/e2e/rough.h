/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs rough-*.c share: memory whose content is known, several times as large as the limit, and the
 * situation that the program gets itself into meanwhile.
 *
 *     rough-NAME CASE CONTROL MIB
 *
 * CONTROL is a file of CONTROL_BYTES, which is shared with whoever watches the program and is never paged: the program
 * can speak by it when it has no descriptor left and may make no system call. Before, in, and after the situation
 * all of the memory is compared with what was written; a third of the pages is written anew at each pass, so that
 * old bytes are wrong bytes. In the situation the program goes on with that until it is told to go on (`go`), and once
 * at least. Each thread has a part of the pages of its own.
 */
#ifndef TESTS_ROUGH_H
#define TESTS_ROUGH_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE          4096ul
#define WORDS         (PAGE / sizeof(uint64_t))
#define CONTROL_BYTES (1ul << 20)
#define MAX_PAGES     (CONTROL_BYTES / 2)
#define MAX_PARTS     9u

enum { BEGUN = 1, IN_IT = 2, DONE = 3, WRONG = 4 };

/* tests/e2e/rough-watch reads this. */
struct control {
        _Atomic uint32_t pid, phase, go, reserved;
        _Atomic uint64_t pages; /* compared so far */
        char wrong[480];
        _Atomic uint32_t said[64]; /* for a case's own numbers */
};

struct part {
        pthread_t thread;
        uint64_t first, end; /* pages */
};

static struct control *control;
static uint8_t *times; /* how often each page was written: in the control file */
static uint64_t *memory;
static uint64_t n_pages;
static struct part part[MAX_PARTS];
static unsigned n_parts;
static _Atomic bool part_stop;

_Noreturn static void __attribute__((format(printf, 1, 2))) rough_wrong(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(control->wrong, sizeof(control->wrong), format, ap);
        va_end(ap);
        atomic_store(&control->phase, WRONG);
        syscall(SYS_exit_group, 1);
        __builtin_trap();
}

#define rough_must(condition)                                                              \
        do {                                                                               \
                if (!(condition))                                                          \
                        rough_wrong("line %d: %s: error %d", __LINE__, #condition, errno); \
        } while (0)

/* No two words of the whole memory are equal at any time. */
static uint64_t rough_word(uint64_t page, uint64_t word)
{
        return ((uint64_t)times[page] << 40 | (page * WORDS + word + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

static void rough_write(uint64_t page)
{
        uint64_t *p = memory + page * WORDS;

        times[page]++;
        for (uint64_t w = 0; w < WORDS; w++)
                p[w] = rough_word(page, w);
}

static void rough_check_page(uint64_t page)
{
        const uint64_t *p = memory + page * WORDS;

        for (uint64_t w = 0; w < WORDS; w++) {
                uint64_t found = p[w];

                if (found != rough_word(page, w))
                        rough_wrong("phase %u: page %llu of %llu at %p, word %llu: %016llx, written was %016llx",
                                    atomic_load(&control->phase), (unsigned long long)page, (unsigned long long)n_pages,
                                    (const void *)p, (unsigned long long)w, (unsigned long long)found,
                                    (unsigned long long)rough_word(page, w));
        }
        atomic_fetch_add_explicit(&control->pages, 1, memory_order_relaxed);
}

/* Compares the pages of a part, and writes a third of them anew. */
static void rough_pass(const struct part *t)
{
        for (uint64_t p = t->first; p < t->end; p++) {
                rough_check_page(p);
                if ((p + times[p]) % 3 == 0)
                        rough_write(p);
        }
}

static void *rough_walk(void *arg)
{
        while (!atomic_load(&part_stop))
                rough_pass(arg);
        return NULL;
}

static void rough_open(const char *path, const char *mib)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);

        n_pages = (strtoull(mib, NULL, 10) << 20) / PAGE;
        if (fd < 0 || n_pages == 0 || n_pages > MAX_PAGES) {
                perror(path);
                exit(2);
        }
        control = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        memory = mmap(NULL, n_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (control == MAP_FAILED || memory == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        times = (uint8_t *)control + CONTROL_BYTES - MAX_PAGES;
        memset(times, 0, n_pages); /* those of a program that has executed this one */
        atomic_store(&control->pid, (uint32_t)getpid());
}

/* Fills the memory and starts all threads but the first, which is the caller. */
static void rough_begin(unsigned threads)
{
        for (uint64_t p = 0; p < n_pages; p++)
                rough_write(p);
        n_parts = threads;
        for (unsigned i = 0; i < threads; i++)
                part[i] = (struct part){ 0, n_pages * i / threads, n_pages * (i + 1) / threads };
        for (uint64_t p = 0; p < n_pages; p++)
                rough_check_page(p);
        for (unsigned i = 1; i < threads; i++)
                rough_must((errno = pthread_create(&part[i].thread, NULL, rough_walk, &part[i])) == 0);
        atomic_store(&control->phase, BEGUN);
}

/* The situation is there: goes on until it is told to. */
static void rough_stay(void)
{
        atomic_store(&control->phase, IN_IT);
        do
                rough_pass(&part[0]);
        while (!atomic_load(&control->go));
}

/* Ends the other threads; compares all once more. */
static void rough_finish(void)
{
        atomic_store(&part_stop, true);
        for (unsigned i = 1; i < n_parts; i++)
                rough_must((errno = pthread_join(part[i].thread, NULL)) == 0);
        for (uint64_t p = 0; p < n_pages; p++)
                rough_check_page(p);
        atomic_store(&control->phase, DONE);
}

struct rough_case {
        const char *name;
        unsigned threads;
        void (*run)(void);
};

static int rough_main(int argc, char **argv, const struct rough_case *cases, size_t n)
{
        for (size_t i = 0; argc == 4 && i < n; i++) {
                if (strcmp(argv[1], cases[i].name) != 0)
                        continue;
                rough_open(argv[2], argv[3]);
                rough_begin(cases[i].threads);
                cases[i].run();
                rough_stay();
                rough_finish();
                syscall(SYS_exit_group, 0);
        }
        fprintf(stderr, "usage: %s CASE CONTROL MIB\n", argv[0]);
        return 2;
}

#endif
