/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a part of a mapping read-only for a while, and moves the whole mapping when it is writable again.
 *
 *     protect-move BLOCK-MIB PRESSURE-MIB ROUNDS
 *
 * mremap(2) takes one mapping: it answers EFAULT while the kernel sees two or more with different properties in the
 * range. Between the two calls of mprotect(2) PRESSURE-MIB are written elsewhere, so that a pager has to look for pages
 * that it can take. In turn the part is the beginning, the middle or the end. Prints "ok", or what failed and which
 * mappings are there; exit status 1.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB (1ul << 20)

static uint8_t *map(size_t bytes, int protection)
{
        uint8_t *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
                perror("mmap");
                exit(2);
        }
        return p;
}

static int failed(const char *what, unsigned long round, const uint8_t *block, size_t bytes)
{
        unsigned long start, end;
        FILE *f;

        printf("round %lu: %s: %s\n", round, what, strerror(errno));
        f = fopen("/proc/self/maps", "re");
        for (char line[512]; f && fgets(line, sizeof(line), f);)
                if (sscanf(line, "%lx-%lx", &start, &end) == 2 && end > (uintptr_t)block &&
                    start < (uintptr_t)block + bytes)
                        fputs(line, stdout);
        return 1;
}

static int wrong(unsigned long round, const uint8_t *block, size_t bytes)
{
        for (size_t i = 0; i < bytes; i += 4096) {
                uint64_t found;

                memcpy(&found, block + i, sizeof(found));
                if (found == i + round)
                        continue;
                printf("round %lu: byte %zu at %p: found %lx, written was %lx\n", round, i, (const void *)(block + i),
                       found, i + round);
                return 1;
        }
        return 0;
}

static int one_round(unsigned long round, size_t bytes, size_t pressure)
{
        /* With a hole on both sides: what is mapped beside it must not become one with it. */
        uint8_t *outer = map(bytes + 2 * MIB, PROT_NONE);
        uint8_t *block = outer + MIB, *other, *moved;
        uint8_t *part = block + round % 3 * (bytes / 4);
        size_t length = bytes / 2;

        if (mprotect(block, bytes, PROT_READ | PROT_WRITE) < 0)
                return failed("mprotect", round, block, bytes);
        for (uint64_t i = 0; i < bytes; i += 4096)
                memcpy(block + i, &(uint64_t){ i + round }, sizeof(uint64_t));
        if (mprotect(part, length, PROT_READ) < 0)
                return failed("mprotect to read-only", round, block, bytes);
        other = map(pressure, PROT_READ | PROT_WRITE);
        memset(other, 1, pressure);
        if (mprotect(part, length, PROT_READ | PROT_WRITE) < 0)
                return failed("mprotect to writable", round, block, bytes);
        moved = mremap(block, bytes, bytes + MIB, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED)
                return failed("mremap", round, block, bytes);
        if (wrong(round, moved, bytes))
                return 1;
        munmap(moved, bytes + MIB);
        munmap(other, pressure);
        munmap(outer, MIB);
        munmap(outer + MIB + bytes, MIB);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                fprintf(stderr, "usage: protect-move BLOCK-MIB PRESSURE-MIB ROUNDS\n");
                return 2;
        }
        for (unsigned long round = 1; round <= strtoul(argv[3], NULL, 10); round++)
                if (one_round(round, strtoul(argv[1], NULL, 10) * MIB, strtoul(argv[2], NULL, 10) * MIB))
                        return 1;
        puts("ok");
        return 0;
}
