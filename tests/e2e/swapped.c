// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swapped MIB MORE: fills memory of MIB, prints "filled", and fills MORE in a thread of its own. When a line comes on
 * stdin it reads the first and gives it back, waits for the thread, and reads the rest. Prints two lines:
 *
 *     right N      pages that hold what was written
 *     wrong N      pages that hold anything else; exit status 1 if there are any
 *
 * All else that it has is locked: what waits for memory is the thread.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE  4096u
#define WORDS (PAGE / sizeof(uint64_t))

struct part {
        uint64_t *memory, seed;
        size_t pages;
};

static char in[4096], out[4096];
static size_t right, wrong;

static uint64_t word(const struct part *p, size_t i)
{
        return (p->seed + i) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool map(struct part *p, const char *mib)
{
        p->pages = strtoul(mib, NULL, 10) << 8;
        p->memory = mmap(NULL, p->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p->pages && p->memory != MAP_FAILED;
}

static void *fill(void *arg)
{
        const struct part *p = arg;

        for (size_t i = 0; i < p->pages * WORDS; i++)
                p->memory[i] = word(p, i);
        return NULL;
}

static void read_back(const struct part *p)
{
        for (size_t page = 0; page < p->pages; page++) {
                bool is_right = true;

                for (size_t i = page * WORDS; i < (page + 1) * WORDS; i++)
                        is_right &= p->memory[i] == word(p, i);
                right += is_right;
                wrong += !is_right;
        }
        munmap(p->memory, p->pages * PAGE);
}

int main(int argc, char **argv)
{
        struct part first = { .seed = 1 }, more = { .seed = UINT64_C(1) << 40 };
        pthread_t thread;
        char line[16];

        setvbuf(stdin, in, _IOFBF, sizeof(in));
        setvbuf(stdout, out, _IOFBF, sizeof(out));
        if (argc != 3 || mlockall(MCL_CURRENT) < 0 || !map(&first, argv[1]) || !map(&more, argv[2]))
                return 2;
        fill(&first);
        puts("filled");
        fflush(stdout);
        if (pthread_create(&thread, NULL, fill, &more) || !fgets(line, sizeof(line), stdin))
                return 2;
        read_back(&first);
        pthread_join(thread, NULL);
        read_back(&more);
        printf("right %zu\nwrong %zu\n", right, wrong);
        return wrong > 0;
}
