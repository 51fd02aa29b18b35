/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that change memory and its mappings at random, and know at any time what each page must hold.
 *
 *     mt-verify THREADS MIB SECONDS SEED [hold]
 *
 * A slot is a block of pages with one owner at a time; the threads take slots from a common pool and give them back,
 * so that a block passes from thread to thread. A page is written whole, with words that follow from a stamp no other
 * write has; the stamp it must hold is in memory that is shared, and so never paged. Stamp 0 stands for zeros, UNKNOWN
 * for the bytes of malloc'ed memory before they are written.
 *
 * Half of the slots are mappings: dropped, protected, moved, grown, cut at both ends, unmapped and mapped again. A
 * slot that is being unmapped is in the pool already: another thread tries to map at its address until it can, so
 * the new mapping begins before the munmap() of the old one has returned; blocks are moved to such addresses as
 * well, and to those that other blocks are moved from. The other half is malloc'ed memory. Besides there is one
 * block in which all threads add to words of their own, on the same pages.
 *
 * A wrong page is told with its address, what it must hold and what it holds, and what was done with its slot; exit
 * status 1. A thread that does nothing for 30 s is told with what it was doing; exit status 3 ("hold": stays).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE         4096ul
#define WORDS        (PAGE / sizeof(uint64_t))
#define UNKNOWN      UINT64_MAX
#define MAX_THREADS  16u
#define SLOTS_EACH   6u /* for each thread */
#define HISTORY      24u
#define COMMON_PAGES 1024ul
#define LEFT         4u
#define STUCK_S      30

enum slot_state { FREE, TAKEN, UNMAPPING };

struct past {
        const char *what;
        uint32_t thread;
        uint64_t ms, addr, pages, first, count;
};

struct slot {
        _Atomic int state;      /* enum slot_state */
        _Atomic bool unmapped;  /* in UNMAPPING: munmap() has returned */
        bool is_malloc;
        uint8_t *base;          /* NULL: nothing there */
        uint64_t pages;
        uint64_t *stamp;        /* max_pages of them */
        struct past past[HISTORY];
        uint64_t n_past;
};

struct thread {
        pthread_t id;
        uint32_t number;
        uint64_t random;
        uint64_t writes;        /* for stamps */
        int file;               /* a memfd for read(2) and write(2) */
        _Atomic uint64_t steps;
        const char *_Atomic doing;
        _Atomic uint64_t at;    /* address, or slot */
};

static struct slot *slots;
static uint32_t n_slots, n_threads;
static uint64_t max_pages;
static struct thread *threads;
static uint64_t *common;                 /* COMMON_PAGES pages, private: paged */
static uint64_t (*counts)[COMMON_PAGES]; /* what each thread has added there */
static _Atomic uint64_t left[LEFT];        /* addresses that blocks are leaving; 0: none */
static _Atomic uint64_t mapped_after, moved_after; /* new mappings where an old one was just leaving */
static _Atomic bool end;
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *shared_memory(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        return p;
}

/* xorshift64* (Vigna, 2016) */
static uint64_t next_random(struct thread *t)
{
        t->random ^= t->random >> 12;
        t->random ^= t->random << 25;
        t->random ^= t->random >> 27;
        return t->random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(struct thread *t, uint64_t n)
{
        return (next_random(t) >> 11) % n;
}

static uint64_t word_of(uint64_t stamp, uint64_t word)
{
        return stamp == 0 ? 0 : stamp + word * UINT64_C(0x9e3779b97f4a7c15);
}

static void remember(struct thread *t, struct slot *s, const char *what, uint64_t first, uint64_t count)
{
        s->past[s->n_past++ % HISTORY] = (struct past){ .what = what,
                                                        .thread = t->number,
                                                        .ms = now_ms(),
                                                        .addr = (uint64_t)s->base,
                                                        .pages = s->pages,
                                                        .first = first,
                                                        .count = count };
        atomic_store(&t->at, (uint64_t)s->base + first * PAGE);
        atomic_store(&t->doing, what);
}

static uint64_t pagemap_entry(const void *at)
{
        uint64_t entry = 0;
        int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

        if (fd >= 0 && pread(fd, &entry, 8, (off_t)((uintptr_t)at / PAGE * 8)) != 8)
                entry = 0;
        close(fd);
        return entry;
}

/* What was done with a slot; what concerned the page is marked. */
static void tell_past(const struct slot *s, uint64_t page)
{
        for (uint64_t n = s->n_past < HISTORY ? 0 : s->n_past - HISTORY; n < s->n_past; n++) {
                const struct past *h = &s->past[n % HISTORY];

                printf("  %lu ms thread %u: %s at %lx, %lu pages, [%lu, +%lu]%s\n", h->ms, h->thread, h->what,
                       h->addr, h->pages, h->first, h->count,
                       page >= h->first && page < h->first + h->count ? " <-" : "");
        }
}

_Noreturn static void tell_wrong(struct thread *t, struct slot *s, uint64_t page, const uint64_t *p, uint64_t word)
{
        uint64_t found = p[word], entry = pagemap_entry(p);
        uint64_t wrong = 0;

        pthread_mutex_lock(&telling);
        for (uint64_t w = 0; w < WORDS; w++)
                wrong += p[w] != word_of(s->stamp[page], w);
        printf("WRONG thread %u slot %zu (%s) page %lu of %lu address %p word %lu: expected %lx (stamp %lx), "
               "found %lx\n"
               "  now %lu words are wrong, words 0, 1, 511: %lx %lx %lx, stamp would be %lx, pagemap %lx, at %lu ms\n",
               t->number, (size_t)(s - slots), s->is_malloc ? "malloc" : "mapping", page, s->pages, (const void *)p,
               word, word_of(s->stamp[page], word), s->stamp[page], found, wrong, p[0], p[1], p[WORDS - 1],
               found - word * UINT64_C(0x9e3779b97f4a7c15), entry, now_ms());
        tell_past(s, page);
        fflush(stdout);
        _exit(1);
}

/* The mappings that the block is in, as they are by now. */
static void tell_mappings(const struct slot *s)
{
        FILE *f = fopen("/proc/self/smaps", "re");
        unsigned long start = 0, past = 0;
        int shown = 0;

        for (char line[512]; f && fgets(line, sizeof(line), f);) {
                if (sscanf(line, "%lx-%lx ", &start, &past) == 2)
                        shown = start < (uintptr_t)s->base + s->pages * PAGE && past > (uintptr_t)s->base;
                if (shown && (strchr(line, '-') || strncmp(line, "VmFlags", 7) == 0))
                        printf("  %s", line);
        }
}

_Noreturn static void tell_error(struct thread *t, struct slot *s, const char *what)
{
        int error = errno;

        pthread_mutex_lock(&telling);
        printf("FAILED thread %u slot %zu at %p, %lu pages: %s: %s\n", t->number, (size_t)(s - slots),
               (void *)s->base, s->pages, what, strerror(error));
        tell_past(s, UINT64_MAX);
        tell_mappings(s);
        fflush(stdout);
        _exit(1);
}

/* --- pages ----------------------------------------------------------------------------------------------------- */

static uint64_t *page_at(struct slot *s, uint64_t page)
{
        return (uint64_t *)(s->base + page * PAGE);
}

static void check_words(struct thread *t, struct slot *s, uint64_t page, const uint64_t *p)
{
        uint64_t stamp = s->stamp[page];

        if (stamp == UNKNOWN)
                return;
        for (uint64_t w = 0; w < WORDS; w++)
                if (p[w] != word_of(stamp, w))
                        tell_wrong(t, s, page, p, w);
}

static void check_page(struct thread *t, struct slot *s, uint64_t page)
{
        atomic_store(&t->at, (uint64_t)page_at(s, page));
        check_words(t, s, page, page_at(s, page));
}

static void write_page(struct thread *t, struct slot *s, uint64_t page)
{
        uint64_t stamp = (uint64_t)(t->number + 1) << 48 | ++t->writes;
        uint64_t *p = page_at(s, page);

        atomic_store(&t->at, (uint64_t)p);
        for (uint64_t w = 0; w < WORDS; w++)
                p[w] = word_of(stamp, w);
        s->stamp[page] = stamp;
}

/* Has the kernel read the page, and write it back: faults of a system call. */
static void copy_page(struct thread *t, struct slot *s, uint64_t page, uint64_t to)
{
        if (pwrite(t->file, page_at(s, page), PAGE, 0) != (ssize_t)PAGE)
                tell_error(t, s, "write(2) of a page");
        if (pread(t->file, page_at(s, to), PAGE, 0) != (ssize_t)PAGE)
                tell_error(t, s, "read(2) into a page");
        s->stamp[to] = s->stamp[page];
        check_page(t, s, to);
}

static void set_stamps(struct slot *s, uint64_t first, uint64_t count, uint64_t stamp)
{
        for (uint64_t page = first; page < first + count; page++)
                s->stamp[page] = stamp;
}

/* --- steps ----------------------------------------------------------------------------------------------------- */

static void random_pages(struct thread *t, struct slot *s)
{
        uint64_t n = 1 + below(t, 64), kind = below(t, 8);
        uint64_t at = below(t, s->pages);

        remember(t, s, "pages", 0, s->pages);
        for (uint64_t i = 0; i < n; i++) {
                at = kind < 3 ? (at + 1) % s->pages : below(t, s->pages);
                if (kind == 7)
                        copy_page(t, s, at, below(t, s->pages));
                else if (below(t, 3))
                        check_page(t, s, at);
                else
                        write_page(t, s, at);
        }
}

static uint64_t random_range(struct thread *t, const struct slot *s, uint64_t *first)
{
        uint64_t most = below(t, 4) ? 64 : s->pages;

        *first = below(t, s->pages);
        if (most > s->pages - *first)
                most = s->pages - *first;
        return 1 + below(t, most);
}

static void drop_range(struct thread *t, struct slot *s)
{
        uint64_t first, n = random_range(t, s, &first);

        remember(t, s, "drop", first, n);
        if (madvise(page_at(s, first), n * PAGE, MADV_DONTNEED) < 0)
                tell_error(t, s, "madvise");
        set_stamps(s, first, n, 0);
        for (uint64_t i = 0; i < 8; i++)
                check_page(t, s, first + below(t, n));
}

static void protect_range(struct thread *t, struct slot *s)
{
        uint64_t first, n = random_range(t, s, &first);

        remember(t, s, "protect", first, n);
        if (mprotect(page_at(s, first), n * PAGE, PROT_READ) < 0)
                tell_error(t, s, "mprotect to read-only");
        for (uint64_t i = 0; i < 8; i++)
                check_page(t, s, first + below(t, n));
        for (uint64_t i = 0; i < 16; i++)
                check_page(t, s, below(t, s->pages));
        remember(t, s, "unprotect", first, n);
        if (mprotect(page_at(s, first), n * PAGE, PROT_READ | PROT_WRITE) < 0)
                tell_error(t, s, "mprotect to writable");
}

/* Says that a block goes from here, before it does. */
static void leave(struct thread *t, const struct slot *s)
{
        atomic_store(&left[below(t, LEFT)], (uint64_t)s->base);
}

/*
 * Where the block is moved to: an address that another thread's block is leaving, as soon as it is free, or any; in
 * that case in part in use until then.
 */
static void *target(struct thread *t, struct slot *s, uint64_t pages)
{
        uint64_t until = now_ms() + 20;
        uint8_t *p = MAP_FAILED;

        if (below(t, 2)) {
                void *hint = (void *)atomic_exchange(&left[below(t, LEFT)], 0);

                while (hint && p == MAP_FAILED && now_ms() < until)
                        p = mmap(hint, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                                 0);
                if (p != MAP_FAILED) {
                        atomic_fetch_add(&moved_after, 1);
                        return p;
                }
        }
        p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                tell_error(t, s, "mmap of a target");
        if (below(t, 2))
                for (uint64_t i = 0; i < 200; i++)
                        memset(p + below(t, pages) * PAGE, 0xee, PAGE);
        return p;
}

static void move_block(struct thread *t, struct slot *s)
{
        uint64_t pages = below(t, 3) ? 1 + below(t, max_pages) : s->pages;
        bool fixed = below(t, 3);
        void *p = fixed ? target(t, s, pages) : NULL;

        remember(t, s, fixed ? "mremap to a fixed address" : "mremap", 0, pages);
        leave(t, s);
        p = fixed ? mremap(s->base, s->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) :
                    mremap(s->base, s->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);
        if (p == MAP_FAILED)
                tell_error(t, s, "mremap");
        s->base = p;
        if (pages > s->pages)
                set_stamps(s, s->pages, pages - s->pages, 0);
        s->pages = pages;
        remember(t, s, "mremapped", 0, pages);
        for (uint64_t i = 0; i < 16; i++)
                check_page(t, s, below(t, s->pages));
}

static void cut_block(struct thread *t, struct slot *s)
{
        uint64_t n = s->pages / 8;
        uint8_t *old = s->base;

        if (n == 0)
                return;
        remember(t, s, "cut", 0, n);
        s->base += n * PAGE;
        s->pages -= n;
        memmove(s->stamp, s->stamp + n, s->pages * sizeof(*s->stamp));
        if (munmap(old, n * PAGE) < 0)
                tell_error(t, s, "munmap of the first part");
        for (uint64_t i = 0; i < 8; i++)
                check_page(t, s, below(t, s->pages));
}

/* Maps the block anew: at its old address if nobody else is there. unmapped: the old one has gone, or will go. */
static void map_block(struct thread *t, struct slot *s)
{
        uint8_t *p = MAP_FAILED;

        remember(t, s, "map", 0, s->pages);
        while (s->base && p == MAP_FAILED) {
                bool gone = atomic_load(&s->unmapped);

                p = mmap(s->base, s->pages * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
                if (!gone && p != MAP_FAILED)
                        atomic_fetch_add(&mapped_after, 1);
                if (gone)
                        break;
        }
        if (p == MAP_FAILED) {
                s->pages = 1 + below(t, max_pages);
                p = mmap(NULL, s->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        if (p == MAP_FAILED)
                tell_error(t, s, "mmap");
        s->base = p;
        set_stamps(s, 0, s->pages, 0);
        remember(t, s, "mapped", 0, s->pages);
        for (uint64_t i = 0; i < 32; i++) {
                if (below(t, 2))
                        check_page(t, s, below(t, s->pages));
                else
                        write_page(t, s, below(t, s->pages));
        }
}

/* Gives the slot back before its memory goes; when another thread takes it soon, that one is trying to map by then. */
static void unmap_block(struct thread *t, struct slot *s)
{
        uint64_t bytes = s->pages * PAGE, until = now_ms() + 5;
        uint8_t *base = s->base;

        remember(t, s, "unmap", 0, s->pages);
        leave(t, s);
        atomic_store(&s->unmapped, false);
        atomic_store(&s->state, UNMAPPING);
        while (atomic_load(&s->state) == UNMAPPING && now_ms() < until)
                ;
        if (munmap(base, bytes) < 0)
                tell_error(t, s, "munmap");
        atomic_store(&s->unmapped, true);
}

static void resize_malloc(struct thread *t, struct slot *s)
{
        uint64_t pages = 33 + below(t, max_pages - 33);
        void *p;

        if (s->base && below(t, 4) == 0) {
                remember(t, s, "free", 0, s->pages);
                free(s->base);
                s->base = NULL;
                s->pages = 0;
        }
        remember(t, s, "realloc", 0, pages);
        p = realloc(s->base, pages * PAGE);
        if (!p)
                tell_error(t, s, "realloc");
        s->base = p;
        if (pages > s->pages)
                set_stamps(s, s->pages, pages - s->pages, UNKNOWN);
        s->pages = pages;
        remember(t, s, "reallocated", 0, pages);
        for (uint64_t i = 0; i < 16; i++)
                check_page(t, s, below(t, pages));
        for (uint64_t i = 0; i < 200; i++)
                write_page(t, s, below(t, pages));
}

static void add_in_common(struct thread *t)
{
        atomic_store(&t->doing, "common pages");
        for (uint64_t i = 0; i < 32; i++) {
                uint64_t page = below(t, COMMON_PAGES);
                _Atomic uint64_t *word = (_Atomic uint64_t *)&common[page * WORDS + t->number * 30];

                atomic_store(&t->at, (uint64_t)word);
                if (atomic_load(word) != counts[t->number][page]) {
                        printf("WRONG thread %u common page %lu at %p: expected %lu, found %lu, then %lu\n", t->number,
                               page, (void *)word, counts[t->number][page], atomic_load(word), atomic_load(word));
                        fflush(stdout);
                        _exit(1);
                }
                counts[t->number][page]++;
                atomic_fetch_add(word, 1);
        }
}

/* Takes a slot out of the pool; one that nobody has mapped is mapped. */
static struct slot *take_slot(struct thread *t)
{
        for (uint64_t n = below(t, n_slots), tried = 0;; n++, tried++) {
                struct slot *s = &slots[tried < n_slots ? n % n_slots : below(t, n_slots)];
                int state = FREE;

                /* First round: one that is being unmapped by another thread. */
                if (tried < n_slots && (s->state != UNMAPPING || s->unmapped))
                        continue;

                if (atomic_compare_exchange_strong(&s->state, &state, TAKEN))
                        return s;
                state = UNMAPPING;
                if (atomic_compare_exchange_strong(&s->state, &state, TAKEN)) {
                        map_block(t, s);
                        return s;
                }
        }
}

static void step(struct thread *t)
{
        struct slot *s = take_slot(t);
        uint64_t what = below(t, 100);

        if (s->is_malloc && (!s->base || what < 10))
                resize_malloc(t, s);
        else if (s->is_malloc)
                random_pages(t, s);
        else if (what < 10)
                drop_range(t, s);
        else if (what < 16)
                protect_range(t, s);
        else if (what < 22)
                move_block(t, s);
        else if (what < 25)
                cut_block(t, s);
        else if (what < 30) {
                unmap_block(t, s);
                return;
        } else
                random_pages(t, s);
        atomic_store(&s->state, FREE);
}

static void *run(void *arg)
{
        struct thread *t = arg;

        while (!atomic_load(&end)) {
                if (below(t, 8) == 0)
                        add_in_common(t);
                else
                        step(t);
                atomic_fetch_add(&t->steps, 1);
        }
        atomic_store(&t->doing, NULL);
        return NULL;
}

/* --- the whole ------------------------------------------------------------------------------------------------- */

static void set_up(uint64_t mib, uint64_t seed)
{
        n_slots = n_threads * SLOTS_EACH;
        /* Blocks have half of the most pages on average. */
        max_pages = mib * 256 * 2 / n_slots;
        slots = shared_memory(n_slots * sizeof(*slots));
        for (uint32_t i = 0; i < n_slots; i++) {
                slots[i].stamp = shared_memory(max_pages * sizeof(uint64_t));
                slots[i].is_malloc = i % 2;
                slots[i].unmapped = true;
                slots[i].pages = i % 2 ? 0 : 1 + max_pages / 2;
                slots[i].state = i % 2 ? FREE : UNMAPPING;
        }
        common = mmap(NULL, COMMON_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        counts = shared_memory(n_threads * sizeof(*counts));
        threads = shared_memory(n_threads * sizeof(*threads));
        for (uint32_t i = 0; i < n_threads; i++) {
                threads[i].number = i;
                threads[i].random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xd1342543de82ef95) + 1;
                threads[i].file = memfd_create("mt-verify", MFD_CLOEXEC);
        }
}

static void check_all(void)
{
        for (uint32_t i = 0; i < n_slots; i++)
                if (slots[i].state == FREE)
                        for (uint64_t page = 0; page < slots[i].pages; page++)
                                check_page(&threads[0], &slots[i], page);
}

/* Ends the program when a thread has not taken a step for long. */
static void *watch(void *arg)
{
        uint64_t seen[MAX_THREADS] = { 0 }, since[MAX_THREADS] = { 0 };

        for (;;) {
                usleep(500000);
                for (uint32_t i = 0; i < n_threads; i++) {
                        const char *doing = atomic_load(&threads[i].doing);

                        if (atomic_load(&threads[i].steps) != seen[i] || !since[i] || !doing) {
                                seen[i] = atomic_load(&threads[i].steps);
                                since[i] = now_ms();
                        } else if (now_ms() - since[i] > STUCK_S * 1000) {
                                printf("STUCK thread %u: %s, address %lx\n", i, doing, atomic_load(&threads[i].at));
                                fflush(stdout);
                                if (!arg)
                                        _exit(3);
                                since[i] = now_ms();
                        }
                }
        }
        return NULL;
}

int main(int argc, char **argv)
{
        uint64_t steps = 0, seed, seconds;
        pthread_t watcher;

        if (argc < 5) {
                fprintf(stderr, "usage: mt-verify THREADS MIB SECONDS SEED [hold]\n");
                return 2;
        }
        n_threads = (uint32_t)strtoul(argv[1], NULL, 10);
        seconds = strtoull(argv[3], NULL, 10);
        seed = strtoull(argv[4], NULL, 10);
        if (n_threads < 1 || n_threads > MAX_THREADS)
                return 2;
        printf("mt-verify: pid %d, seed %lu\n", getpid(), seed);
        fflush(stdout);
        set_up(strtoull(argv[2], NULL, 10), seed);
        for (uint32_t i = 0; i < n_threads; i++)
                pthread_create(&threads[i].id, NULL, run, &threads[i]);
        pthread_create(&watcher, NULL, watch, argc > 5 ? argv[5] : NULL);
        for (uint64_t i = 0; i < seconds * 10; i++)
                usleep(100000);
        atomic_store(&end, true);
        for (uint32_t i = 0; i < n_threads; i++) {
                pthread_join(threads[i].id, NULL);
                steps += threads[i].steps;
        }
        check_all();
        printf("mt-verify: %lu steps, %lu mappings and %lu moves to an address just left, every page right\n", steps,
               mapped_after, moved_after);
        return 0;
}
