// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fastest allocator: maps SIZE MiB, writes every page from the first to the last with a pattern of its own,
 * then reads all of it back. Prints the seconds of both and how many pages were compared; exits with 1 when one of them
 * is not what was written, and says how many.
 *
 *     fill [-t THREADS] [-e EVERY] SIZE-MIB [PID-FILE GO-FILE]
 *
 * With -t each of THREADS (1) writes a part of its own, all at the same time; with -e one page in EVERY (1) is
 * read back. With the files it writes its pid to the first, and begins when the second is there: whoever watches
 * it has taken up his post.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE        4096u
#define WORDS       (PAGE / sizeof(uint64_t))
#define WAIT_MS     30000
#define MAX_THREADS 64u
#define MAX_SAID    10u /* wrong pages */

/* Pages that one thread writes. */
struct part {
        pthread_t thread;
        uint64_t *memory;
        uint64_t first, end;
};

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

static void *fill_part(void *arg)
{
        struct part *part = arg;

        for (uint64_t p = part->first; p < part->end; p++)
                for (uint64_t i = 0; i < WORDS; i++)
                        part->memory[p * WORDS + i] = word(p, i);
        return NULL;
}

/* The first part is written by the calling thread. */
static int fill(uint64_t *memory, uint64_t pages, unsigned threads)
{
        struct part part[MAX_THREADS];

        for (unsigned i = 0; i < threads; i++)
                part[i] = (struct part){ 0, memory, pages * i / threads, pages * (i + 1) / threads };
        for (unsigned i = 1; i < threads; i++) {
                int error = pthread_create(&part[i].thread, NULL, fill_part, &part[i]);

                if (error) {
                        fprintf(stderr, "fill: no thread: %s\n", strerror(error));
                        return -1;
                }
        }
        fill_part(&part[0]);
        for (unsigned i = 1; i < threads; i++)
                pthread_join(part[i].thread, NULL);
        return 0;
}

static int verify_page(const uint64_t *memory, uint64_t p, int say)
{
        for (uint64_t i = 0; i < WORDS; i++) {
                uint64_t found = memory[p * WORDS + i];

                if (found == word(p, i))
                        continue;
                if (say)
                        fprintf(stderr, "fill: page %llu at %p, word %llu: %016llx, written was %016llx\n",
                                (unsigned long long)p, (const void *)(memory + p * WORDS), (unsigned long long)i,
                                (unsigned long long)found, (unsigned long long)word(p, i));
                return 1;
        }
        return 0;
}

/* Returns the number of wrong pages. */
static uint64_t verify(const uint64_t *memory, uint64_t pages, uint64_t every)
{
        uint64_t wrong = 0;

        for (uint64_t p = 0; p < pages; p += every)
                wrong += (uint64_t)verify_page(memory, p, wrong < MAX_SAID);
        return wrong;
}

static int wait_to_go(const char *pid_file, const char *go_file)
{
        char temporary[4096];
        FILE *f;

        snprintf(temporary, sizeof(temporary), "%s.new", pid_file);
        f = fopen(temporary, "w");
        if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f) || rename(temporary, pid_file) < 0) {
                perror("fill: pid file");
                return -1;
        }
        for (int ms = 0; ms < WAIT_MS; ms++) {
                if (access(go_file, F_OK) == 0)
                        return 0;
                nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        }
        fprintf(stderr, "fill: %s did not come\n", go_file);
        return -1;
}

static int usage(void)
{
        fprintf(stderr, "usage: fill [-t THREADS] [-e EVERY] SIZE-MIB [PID-FILE GO-FILE]\n");
        return 2;
}

int main(int argc, char **argv)
{
        uint64_t bytes, every = 1, wrong;
        double start, filled, verified;
        unsigned threads = 1;
        uint64_t *memory;
        int option;

        while ((option = getopt(argc, argv, "t:e:")) != -1) {
                if (option == 't')
                        threads = (unsigned)strtoul(optarg, NULL, 10);
                else if (option == 'e')
                        every = strtoull(optarg, NULL, 10);
                else
                        return usage();
        }
        argc -= optind;
        argv += optind;
        bytes = argc > 0 ? strtoull(argv[0], NULL, 10) << 20 : 0;
        if (!bytes || (argc != 1 && argc != 3) || threads < 1 || threads > MAX_THREADS || every < 1)
                return usage();
        if (argc == 3 && wait_to_go(argv[1], argv[2]) < 0)
                return 2;
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
                perror("fill: mmap");
                return 2;
        }
        start = now();
        if (fill(memory, bytes / PAGE, threads) < 0)
                return 2;
        filled = now();
        wrong = verify(memory, bytes / PAGE, every);
        verified = now();
        printf("fill_seconds %.4f\nverify_seconds %.4f\nverified_pages %llu\nwrong_pages %llu\n", filled - start,
               verified - filled, (unsigned long long)((bytes / PAGE + every - 1) / every), (unsigned long long)wrong);
        if (wrong)
                return 1;
        puts("ok");
        return 0;
}
