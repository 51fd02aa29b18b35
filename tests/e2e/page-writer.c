// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fastest allocator: maps SIZE MiB, writes every page from the first to the last with a pattern of its own,
 * then reads all of it back. Prints the seconds of both and exits with 1 at the first page that is not what was
 * written.
 *
 *     page-writer SIZE-MIB [PID-FILE GO-FILE]
 *
 * With the files it writes its pid to the first, and begins when the second is there: whoever watches it has
 * taken up his post.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE    4096u
#define WORDS   (PAGE / sizeof(uint64_t))
#define WAIT_MS 30000

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* No two words of the whole mapping are equal: the multiplier is odd. */
static uint64_t word(uint64_t page, uint64_t i)
{
        return (page * WORDS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(uint64_t *memory, uint64_t pages)
{
        for (uint64_t p = 0; p < pages; p++)
                for (uint64_t i = 0; i < WORDS; i++)
                        memory[p * WORDS + i] = word(p, i);
}

static int verify(const uint64_t *memory, uint64_t pages)
{
        for (uint64_t p = 0; p < pages; p++)
                for (uint64_t i = 0; i < WORDS; i++)
                        if (memory[p * WORDS + i] != word(p, i)) {
                                fprintf(stderr,
                                        "page-writer: page %llu of %llu, word %llu: %016llx, written was %016llx\n",
                                        (unsigned long long)p, (unsigned long long)pages, (unsigned long long)i,
                                        (unsigned long long)memory[p * WORDS + i], (unsigned long long)word(p, i));
                                return 1;
                        }
        return 0;
}

static int wait_to_go(const char *pid_file, const char *go_file)
{
        char temporary[4096];
        FILE *f;

        snprintf(temporary, sizeof(temporary), "%s.new", pid_file);
        f = fopen(temporary, "w");
        if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f) || rename(temporary, pid_file) < 0) {
                perror("page-writer: pid file");
                return -1;
        }
        for (int ms = 0; ms < WAIT_MS; ms++) {
                if (access(go_file, F_OK) == 0)
                        return 0;
                nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        }
        fprintf(stderr, "page-writer: %s did not come\n", go_file);
        return -1;
}

int main(int argc, char **argv)
{
        uint64_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) << 20 : 0;
        double start, filled, verified;
        uint64_t *memory;

        if (!bytes || (argc != 2 && argc != 4)) {
                fprintf(stderr, "usage: page-writer SIZE-MIB [PID-FILE GO-FILE]\n");
                return 2;
        }
        if (argc == 4 && wait_to_go(argv[2], argv[3]) < 0)
                return 2;
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
                perror("page-writer: mmap");
                return 2;
        }
        start = now();
        fill(memory, bytes / PAGE);
        filled = now();
        if (verify(memory, bytes / PAGE))
                return 1;
        verified = now();
        printf("fill_seconds %.4f\nverify_seconds %.4f\nok\n", filled - start, verified - filled);
        return 0;
}
