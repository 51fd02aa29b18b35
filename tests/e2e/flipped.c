/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flipped MIB TAG: fills memory of that size once, each word saying by TAG which page it is of, prints "filled", waits
 * for a line on stdin, and reads everything. Prints three lines:
 *
 *     right N      pages that hold what was written
 *     sigbus N     pages that it could not read
 *     wrong N      pages that hold anything else; exit status 1 if there are any
 *
 * All else that it has is locked, so it is of these pages alone that any can be damaged.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE  4096u
#define WORDS (PAGE / sizeof(uint64_t))

static sigjmp_buf lost;
static char in[4096], out[4096];

static void on_sigbus(int number)
{
        (void)number;
        siglongjmp(lost, 1);
}

static bool is_right(const volatile uint64_t *page, uint64_t first)
{
        for (size_t i = 0; i < WORDS; i++)
                if (page[i] != first + i)
                        return false;
        return true;
}

int main(int argc, char **argv)
{
        size_t pages = argc > 2 ? strtoul(argv[1], NULL, 10) << 8 : 0;
        uint64_t tag = argc > 2 ? strtoull(argv[2], NULL, 16) << 32 : 0;
        volatile size_t right = 0, sigbus = 0, wrong = 0;
        uint64_t *memory;
        char line[16];

        setvbuf(stdin, in, _IOFBF, sizeof(in));
        setvbuf(stdout, out, _IOFBF, sizeof(out));
        if (pages == 0 || mlockall(MCL_CURRENT) < 0)
                return 2;
        memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return 2;
        signal(SIGBUS, on_sigbus);
        for (size_t page = 0; page < pages; page++)
                for (size_t i = 0; i < WORDS; i++)
                        memory[page * WORDS + i] = tag + page * WORDS + i;
        puts("filled");
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin))
                return 2;
        for (volatile size_t page = 0; page < pages; page++) {
                if (sigsetjmp(lost, 1))
                        sigbus++;
                else if (is_right(memory + page * WORDS, tag + page * WORDS))
                        right++;
                else
                        wrong++;
        }
        printf("right %zu\nsigbus %zu\nwrong %zu\n", (size_t)right, (size_t)sigbus, (size_t)wrong);
        return wrong > 0;
}
