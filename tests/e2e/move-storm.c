/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that do little but move, unmap, map and discard memory, at addresses that others have just left.
 *
 *     move-storm THREADS MIB SECONDS SEED
 *
 * Each thread has blocks of its own, MIB in all. The first word of each page says what the page is: block and page
 * number, or 0 once it was discarded. After each step some pages of the block are looked at. A wrong page is told, exit
 * status 1.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE        4096ul
#define BLOCKS      8u
#define MAX_PAGES   2048ul
#define MAX_THREADS 64u

struct block {
        uint64_t *at; /* NULL: nothing */
        uint64_t pages, id;
        uint64_t discarded[MAX_PAGES / 64];
};

struct thread {
        pthread_t id;
        uint64_t random, number, blocks_made, moves, steps;
        struct block block[BLOCKS];
};

static struct thread thread[MAX_THREADS];
static uint64_t most_pages;
static _Atomic bool end;
static _Atomic unsigned wrong;

static uint64_t below(struct thread *t, uint64_t n)
{
        t->random ^= t->random >> 12;
        t->random ^= t->random << 25;
        t->random ^= t->random >> 27;
        return (t->random * UINT64_C(0x2545f4914f6cdd1d) >> 11) % n;
}

static bool is_discarded(const struct block *b, uint64_t page)
{
        return b->discarded[page / 64] >> page % 64 & 1;
}

static void check(struct thread *t, const struct block *b, uint64_t page)
{
        uint64_t want = is_discarded(b, page) ? 0 : b->id << 16 | page, is = b->at[page * (PAGE / 8)];

        if (is == want)
                return;
        printf("thread %lu: page %lu of the block at %p must hold %lx and holds %lx\n", t->number, page, (void *)b->at,
               want, is);
        atomic_fetch_add(&wrong, 1);
        atomic_store(&end, true);
}

static void make(struct thread *t, struct block *b)
{
        memset(b, 0, sizeof(*b));
        b->pages = most_pages / 2 + below(t, most_pages / 2) + 1;
        b->id = t->number << 32 | ++t->blocks_made;
        b->at = mmap(NULL, b->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (b->at == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        for (uint64_t i = 0; i < b->pages; i++)
                b->at[i * (PAGE / 8)] = b->id << 16 | i;
}

static void move(struct thread *t, struct block *b)
{
        uint64_t pages = below(t, 3) ? b->pages : 1 + below(t, b->pages);
        void *at = mremap(b->at, b->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);

        if (below(t, 4) && at != MAP_FAILED) {
                /* Moves for sure: to where another mapping was that is unmapped for it. */
                void *to = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                at = to == MAP_FAILED ? to : mremap(at, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
        }
        if (at == MAP_FAILED) {
                perror("mremap");
                exit(2);
        }
        b->at = at;
        b->pages = pages;
        t->moves++;
}

static void discard(struct thread *t, struct block *b)
{
        uint64_t first = below(t, b->pages), n = 1 + below(t, b->pages - first);

        n = n > 16 ? 16 : n;
        madvise(b->at + first * (PAGE / 8), n * PAGE, MADV_DONTNEED);
        for (uint64_t i = first; i < first + n; i++)
                b->discarded[i / 64] |= UINT64_C(1) << i % 64;
}

static void *run(void *arg)
{
        struct thread *t = arg;

        while (!atomic_load(&end)) {
                struct block *b = &t->block[below(t, BLOCKS)];
                uint64_t what = below(t, 16);

                if (!b->at) {
                        make(t, b);
                } else if (what == 0 || b->pages < 8) {
                        munmap(b->at, b->pages * PAGE);
                        b->at = NULL;
                } else if (what < 3) {
                        discard(t, b);
                } else {
                        move(t, b);
                }
                for (unsigned i = 0; b->at && i < 2; i++)
                        check(t, b, below(t, b->pages));
                t->steps++;
        }
        for (unsigned i = 0; i < BLOCKS; i++)
                for (uint64_t p = 0; t->block[i].at && p < t->block[i].pages; p++)
                        check(t, &t->block[i], p);
        return NULL;
}

int main(int argc, char **argv)
{
        unsigned threads;
        uint64_t moves = 0, steps = 0;

        if (argc != 5) {
                fprintf(stderr, "usage: move-storm THREADS MIB SECONDS SEED\n");
                return 2;
        }
        threads = (unsigned)strtoul(argv[1], NULL, 0);
        threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
        most_pages = (strtoul(argv[2], NULL, 0) << 20) / PAGE / BLOCKS / threads;
        most_pages = most_pages < 16 ? 16 : most_pages > MAX_PAGES ? MAX_PAGES : most_pages;
        for (unsigned i = 0; i < threads; i++) {
                thread[i].number = i + 1;
                thread[i].random = strtoul(argv[4], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) + i + 1;
                pthread_create(&thread[i].id, NULL, run, &thread[i]);
        }
        nanosleep(&(struct timespec){ .tv_sec = (time_t)strtoul(argv[3], NULL, 0) }, NULL);
        atomic_store(&end, true);
        for (unsigned i = 0; i < threads; i++) {
                pthread_join(thread[i].id, NULL);
                moves += thread[i].moves;
                steps += thread[i].steps;
        }
        printf("move-storm: %lu steps, %lu moves, %u wrong pages\n", steps, moves, atomic_load(&wrong));
        return atomic_load(&wrong) ? 1 : 0;
}
