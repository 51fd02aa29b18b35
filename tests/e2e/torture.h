/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What torture-verify knows of its memory, and how it looks whether that is true.
 *
 * An actor is a thread of the first process, or a child process. It has regions that nobody else touches. All that is
 * known of them is in memory that is shared, and so never paged: for each page its stamp, which says what each word of
 * it is, and marks. A stamp names who wrote the page, region, page and version, so a page that is found where it should
 * not be tells where it is from; 0 stands for zeros.
 */
#ifndef TESTS_TORTURE_H
#define TESTS_TORTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define PAGE        4096ul
#define WORDS       (PAGE / sizeof(uint64_t))
#define REGIONS     6u /* of an actor, and one more for what brk(2) gives */
#define BRK         REGIONS
#define MAX_THREADS 8u
#define MAX_LIVE    8u /* children at a time */
#define MAX_ACTORS  (MAX_THREADS + MAX_LIVE)
#define PAST        16u
#define LEFT        8u
#define MAX_OPS     64u
#define STUCK_S     40

/* Marks of a page. */
enum {
        MAYBE = 1,     /* MADV_FREE: what the stamp says, or zeros */
        WIPE = 2,      /* MADV_WIPEONFORK */
        DONT_FORK = 4, /* MADV_DONTFORK */
        READ_ONLY = 8,
        NO_ACCESS = 16,
};

struct past {
        const char *what;
        uint64_t ms, addr, pages, first, count, more;
};

struct region {
        uint8_t *base; /* NULL: nothing there */
        uint64_t pages;
        uint64_t id;
        bool split;  /* may be several mappings for the kernel, so that mremap(2) answers EFAULT */
        bool locked; /* some pages are */
        bool forked; /* and not mapped anew since */
        uint64_t *stamp;
        uint8_t *marks;
        struct past past[PAST];
        uint64_t n_past;
};

enum actor_state { FREE, LIVE };

struct actor {
        _Atomic int state; /* enum actor_state; of children */
        _Atomic pid_t pid; /* of a child */
        _Atomic uint32_t births;
        uint32_t number, parent, depth, writer;
        bool raw, orphan;
        uint64_t random, regions_made, writes;
        _Atomic uint64_t steps, at;
        const char *_Atomic doing;
        uint8_t *signal_stack;
        struct region region[REGIONS + 1];
};

/* All that processes share. */
struct board {
        _Atomic bool stop, wrong, told;
        char text[16384];
        uint64_t seed;
        uint64_t end_ms;
        _Atomic uint64_t left[LEFT]; /* addresses that regions are leaving; 0: none */
        _Atomic uint64_t count[MAX_OPS];
        _Atomic uint64_t verified, written, children, execs, births, efaults, moves, lost, healed, refused;
        _Atomic uint64_t parted, bereft; /* what forks cost: regions, children */
        struct actor actor[MAX_ACTORS];
};

static struct board *board;
static uint64_t max_pages;
static _Thread_local struct actor *self;

static inline uint64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* xorshift64* (Vigna, 2016) */
static inline uint64_t next_random(struct actor *a)
{
        a->random ^= a->random >> 12;
        a->random ^= a->random << 25;
        a->random ^= a->random >> 27;
        return a->random * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t below(struct actor *a, uint64_t n)
{
        return (next_random(a) >> 11) % n;
}

/* --- what is told ---------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static inline void add_text(size_t *length, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(board->text + *length, sizeof(board->text) - *length, format, args);
        va_end(args);
        if (n > 0)
                *length += (size_t)n;
        if (*length > sizeof(board->text) - 1)
                *length = sizeof(board->text) - 1;
}

/* A stamp in words. */
static inline void add_stamp(size_t *length, const char *what, uint64_t stamp)
{
        add_text(length, "  %s: %lx (writer %lu, region %lu, page %lu, version %lu)\n", what, stamp, stamp >> 56,
                 stamp >> 40 & 0xffff, stamp >> 24 & 0xffff, stamp & 0xffffff);
}

static inline void add_past(size_t *length, const struct region *r, uint64_t page)
{
        for (uint64_t n = r->n_past < PAST ? 0 : r->n_past - PAST; n < r->n_past; n++) {
                const struct past *h = &r->past[n % PAST];

                add_text(length, "  %lu ms: %s at %lx, %lu pages, [%lu, +%lu] %lx%s\n", h->ms, h->what, h->addr,
                         h->pages, h->first, h->count, h->more,
                         page >= h->first && page < h->first + h->count ? " <-" : "");
        }
}

/* A file of /proc, as far as it can be read and is about [start, past). */
static inline void add_mappings(size_t *length, uint64_t start, uint64_t past)
{
        unsigned long from = 0, to = 0;
        FILE *f = fopen("/proc/self/smaps", "re");
        bool shown = false;

        for (char line[512]; f && fgets(line, sizeof(line), f);) {
                if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
                        shown = from < past && to > start;
                if (shown && (sscanf(line, "%lx-%lx ", &from, &to) == 2 || strncmp(line, "VmFlags", 7) == 0))
                        add_text(length, "  %s", line);
        }
}

/* Whether it is the caller's to tell: the first that finds something wrong. The others stay, and are ended with all. */
static inline void begin_text(size_t *length)
{
        if (atomic_exchange(&board->wrong, true)) {
                if (self && self->pid)
                        _exit(1);
                for (;;)
                        pause();
        }
        *length = 0;
}

_Noreturn static inline void end_text(void)
{
        atomic_store(&board->told, true);
        if (self && self->pid && !getenv("TORTURE_HOLD"))
                _exit(1);
        for (;;)
                pause();
}

static inline void add_who(size_t *length, const struct actor *a, const struct region *r)
{
        add_text(length, "seed %lu, actor %u (depth %u%s, pid %d), doing '%s', %lu ms", board->seed, a->number,
                 a->depth, a->raw ? ", raw clone" : "", getpid(), a->doing ? a->doing : "-", now_ms());
        if (r)
                add_text(length, ", region %zu (id %lu) at %p, %lu pages%s", (size_t)(r - a->region), r->id,
                         (void *)r->base, r->pages, r->split ? ", perhaps split" : "");
        add_text(length, "\n");
}

/* Something that a call answered. */
_Noreturn static inline void tell_error(struct actor *a, const struct region *r, const char *what)
{
        int error = errno;
        size_t length;

        begin_text(&length);
        add_text(&length, "FAILED %s: %s\n  ", what, strerror(error));
        add_who(&length, a, r);
        if (r) {
                add_past(&length, r, UINT64_MAX);
                if (!a->raw)
                        add_mappings(&length, (uintptr_t)r->base, (uintptr_t)r->base + r->pages * PAGE);
        }
        end_text();
}

/* --- pages ----------------------------------------------------------------------------------------------------- */

static inline uint64_t word_of(uint64_t stamp, uint64_t word)
{
        return stamp == 0 ? 0 : stamp + word * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t *page_at(const struct region *r, uint64_t page)
{
        return (uint64_t *)(r->base + page * PAGE);
}

static inline uint64_t pagemap_entry(const void *at)
{
        uint64_t entry = 0;
        int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

        if (fd >= 0 && pread(fd, &entry, 8, (off_t)((uintptr_t)at / PAGE * 8)) != 8)
                entry = 0;
        close(fd);
        return entry;
}

_Noreturn static inline void tell_wrong(struct actor *a, const struct region *r, uint64_t page, uint64_t word,
                                        uint64_t found)
{
        const volatile uint64_t *p = page_at(r, page);
        uint64_t entry = pagemap_entry(page_at(r, page)), wrong = 0;
        size_t length;

        begin_text(&length);
        add_text(&length, "WRONG page %lu at %p, word %lu is %lx and not %lx, marks %x\n  ", page,
                 (void *)page_at(r, page), word, found, word_of(r->stamp[page], word), r->marks[page]);
        add_who(&length, a, r);
        add_stamp(&length, "expected", r->stamp[page]);
        if (found)
                add_stamp(&length, "found", found - word * UINT64_C(0x9e3779b97f4a7c15));
        for (uint64_t w = 0; w < WORDS; w++)
                wrong += p[w] != word_of(r->stamp[page], w);
        add_text(&length, "  now %lu words are wrong, words 0, 1, 511: %lx %lx %lx, pagemap %lx\n", wrong, p[0], p[1],
                 p[WORDS - 1], entry);
        add_past(&length, r, page);
        if (!a->raw)
                add_mappings(&length, (uintptr_t)page_at(r, page), (uintptr_t)page_at(r, page + 1));
        end_text();
}

static inline void check_page(struct actor *a, struct region *r, uint64_t page)
{
        const volatile uint64_t *p = page_at(r, page);
        uint64_t stamp = r->stamp[page];
        bool freed = false;

        if (r->marks[page] & NO_ACCESS)
                return;
        atomic_store_explicit(&a->at, (uint64_t)p, memory_order_relaxed);
        for (uint64_t w = 0; w < WORDS; w++) {
                uint64_t is = p[w];

                if (!freed && is == word_of(stamp, w))
                        continue;
                /* The kernel may free such a page at any time, but then it stays freed. */
                if (is || !(r->marks[page] & MAYBE))
                        tell_wrong(a, r, page, w, is);
                freed = true;
        }
        if (freed) {
                r->stamp[page] = 0;
                r->marks[page] &= (uint8_t)~MAYBE;
        }
        atomic_fetch_add_explicit(&board->verified, 1, memory_order_relaxed);
}

static inline void check_run(struct actor *a, struct region *r, uint64_t first, uint64_t count, uint64_t step)
{
        for (uint64_t page = first; page < first + count; page += step)
                check_page(a, r, page);
}

static inline void write_page(struct actor *a, struct region *r, uint64_t page)
{
        uint64_t *p = page_at(r, page), stamp;

        if (r->marks[page] & (NO_ACCESS | READ_ONLY))
                return;
        atomic_store_explicit(&a->at, (uint64_t)p, memory_order_relaxed);
        a->writes++;
        stamp = (uint64_t)a->writer << 56 | (r->id & 0xffff) << 40 | page << 24 | (a->writes & 0xffffff);
        for (uint64_t w = 0; w < WORDS; w++)
                p[w] = word_of(stamp, w);
        r->stamp[page] = stamp;
        r->marks[page] &= (uint8_t)~MAYBE;
        atomic_fetch_add_explicit(&board->written, 1, memory_order_relaxed);
}

static inline void set_pages(struct region *r, uint64_t first, uint64_t count, uint64_t stamp, uint8_t marks)
{
        for (uint64_t page = first; page < first + count; page++)
                r->stamp[page] = stamp;
        memset(r->marks + first, marks, count);
}

static inline bool any_mark(const struct region *r, uint64_t first, uint64_t count, uint8_t marks)
{
        for (uint64_t page = first; page < first + count; page++)
                if (r->marks[page] & marks)
                        return true;
        return false;
}

static inline void change_marks(struct region *r, uint64_t first, uint64_t count, uint8_t set, uint8_t clear)
{
        for (uint64_t page = first; page < first + count; page++)
                r->marks[page] = (uint8_t)((r->marks[page] & ~clear) | set);
}

/* --- regions --------------------------------------------------------------------------------------------------- */

static inline void remember(struct actor *a, struct region *r, const char *what, uint64_t first, uint64_t count,
                            uint64_t more)
{
        r->past[r->n_past++ % PAST] = (struct past){ .what = what,
                                                     .ms = now_ms(),
                                                     .addr = (uint64_t)r->base,
                                                     .pages = r->pages,
                                                     .first = first,
                                                     .count = count,
                                                     .more = more };
        atomic_store(&a->at, (uint64_t)r->base + first * PAGE);
        atomic_store(&a->doing, what);
}

static inline uint64_t random_run(struct actor *a, const struct region *r, uint64_t most, uint64_t *first)
{
        *first = below(a, r->pages);
        if (below(a, 8) == 0)
                *first = 0;
        if (most > r->pages - *first)
                most = r->pages - *first;
        return 1 + below(a, most);
}

static inline void new_region(struct actor *a, struct region *r, uint8_t *base, uint64_t pages)
{
        r->base = base;
        r->pages = pages;
        r->id = (uint64_t)a->writer << 8 | (++a->regions_made & 0xff);
        r->split = r->locked = r->forked = false;
        set_pages(r, 0, pages, 0, 0);
}

static inline void map_region(struct actor *a, struct region *r)
{
        uint64_t pages = max_pages / 4 + 1 + below(a, max_pages * 3 / 4);
        void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                tell_error(a, r, "mmap");
        new_region(a, r, p, pages);
        remember(a, r, "map", 0, pages, 0);
}

/* Says that something goes from here, before it does. */
static inline void leave(struct actor *a, const uint8_t *base)
{
        atomic_store(&board->left[below(a, LEFT)], (uint64_t)base);
}

static inline void unmap_region(struct actor *a, struct region *r)
{
        remember(a, r, "unmap", 0, r->pages, 0);
        leave(a, r->base);
        if (munmap(r->base, r->pages * PAGE) < 0)
                tell_error(a, r, "munmap");
        r->base = NULL;
        r->pages = 0;
}

static inline void unlock_region(struct actor *a, struct region *r)
{
        if (!r->locked)
                return;
        remember(a, r, "munlock", 0, r->pages, 0);
        if (munlock(r->base, r->pages * PAGE) < 0)
                tell_error(a, r, "munlock");
        r->locked = false;
}

#endif
