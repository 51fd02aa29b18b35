/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transparent huge pages, of which all or some go out of the program (see paged.h). They have to be allowed. */
#include "paged.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* newer than the headers of Debian 12 */
#endif

#define CHUNK_PAGES (CHUNK / PAGE)

static long huge_kib(const void *at, size_t bytes)
{
        return smaps_kib(at, bytes, "AnonHugePages:");
}

/* A chunk in the middle of a mapping of three that is one huge page, filled with seed 1; NULL if none was to be had. */
static uint8_t *one_huge(void)
{
        uint8_t *block = map(3 * CHUNK);

        for (int i = 0; i < 50; i++) {
                fill(block, 3 * CHUNK, 1, 0);
                if (madvise(block + CHUNK, CHUNK, MADV_COLLAPSE) == 0 && huge_kib(block, 3 * CHUNK) >= 2048)
                        return block;
        }
        munmap(block, 3 * CHUNK);
        skip_case("no huge page is to be had: %s", strerror(errno));
        return NULL;
}

/* Rule 27. Before there is any pressure: memory is registered then, and gets small pages. */
static void at_first_touch(void)
{
        uint8_t *block = map(4 * CHUNK);

        check_call(madvise(block, 4 * CHUNK, MADV_HUGEPAGE));
        fill(block, 4 * CHUNK, 1, 0);
        if (huge_kib(block, 4 * CHUNK) == 0) {
                skip_case("no huge page is to be had");
                return;
        }
        evict_out(block, 4 * CHUNK);
        check_filled("all of it", block, 4 * CHUNK, 1, 0);
        fill_out(block, 4 * CHUNK, 2, 0);
        check_filled("written, and out again", block, 4 * CHUNK, 2, 0);
        munmap(block, 4 * CHUNK);
}

static void whole(void)
{
        uint8_t *block = one_huge();

        if (!block)
                return;
        evict_out(block, 3 * CHUNK);
        check_filled("all of it", block, 3 * CHUNK, 1, 0);
        munmap(block, 3 * CHUNK);
}

/* Rule 27: half of a huge page at a time goes out, and some of it comes back before the rest goes. */
static void in_part(void)
{
        bool was_part = false;

        for (int i = 0; i < 20 && !was_part && !skipped[0]; i++) {
                uint8_t *block = one_huge();

                if (!block)
                        return;
                evict_to(block + CHUNK, CHUNK, CHUNK_PAGES - 1);
                was_part = is_native || n_present(block + CHUNK, CHUNK) > 0;
                for (size_t k = 0; k < CHUNK_PAGES; k += 7)
                        check_filled("every seventh", block + CHUNK + k * PAGE, PAGE, 1, CHUNK_PAGES + k);
                fill(block + CHUNK + 9 * PAGE, 4 * PAGE, 2, 0);
                evict_out(block + CHUNK, CHUNK);
                check_filled("before what was written", block, CHUNK + 9 * PAGE, 1, 0);
                check_filled("written", block + CHUNK + 9 * PAGE, 4 * PAGE, 2, 0);
                check_filled("behind it", block + CHUNK + 13 * PAGE, 2 * CHUNK - 13 * PAGE, 1, CHUNK_PAGES + 13);
                munmap(block, 3 * CHUNK);
        }
        check(was_part, "a huge page never went out in part");
}

/* MADV_COLLAPSE of a chunk of which some is out must not make zeros of it. */
static void collapsed_with_holes(void)
{
        uint8_t *block = map(3 * CHUNK);

        fill_out(block, 3 * CHUNK, 1, 0);
        check_call(madvise(block, 3 * CHUNK, MADV_HUGEPAGE));
        for (size_t k = 0; k < CHUNK_PAGES; k += 2)
                check_filled("every other", block + CHUNK + k * PAGE, PAGE, 1, CHUNK_PAGES + k);
        madvise(block + CHUNK, CHUNK, MADV_COLLAPSE); /* may be refused */
        check_filled("all of it", block, 3 * CHUNK, 1, 0);
        munmap(block, 3 * CHUNK);
}

static void dropped_in_part(void)
{
        uint8_t *block = one_huge();

        if (!block)
                return;
        check_call(madvise(block + CHUNK + 100 * PAGE, 200 * PAGE, MADV_DONTNEED));
        evict_out(block, CHUNK + 100 * PAGE);
        check_zero("dropped", block + CHUNK + 100 * PAGE, 200 * PAGE);
        check_filled("before it", block, CHUNK + 100 * PAGE, 1, 0);
        check_filled("behind it", block + CHUNK + 300 * PAGE, 2 * CHUNK - 300 * PAGE, 1, CHUNK_PAGES + 300);
        munmap(block, 3 * CHUNK);
}

static void moved_in_part(void)
{
        uint8_t *block = one_huge(), *to = map(CHUNK);
        size_t part = 256 * PAGE;

        if (!block)
                return;
        check(mremap(block + CHUNK, part, part, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap: %s",
              strerror(errno));
        evict_out(to, part);
        evict_out(block, CHUNK);
        check_filled("moved", to, part, 1, CHUNK_PAGES);
        check_filled("before it", block, CHUNK, 1, 0);
        check_filled("behind it", block + CHUNK + part, 2 * CHUNK - part, 1, CHUNK_PAGES + part / PAGE);
        munmap(block, 3 * CHUNK);
        munmap(to, CHUNK);
}

/* A whole huge page, with neighbours that are out. */
static void moved_whole(void)
{
        uint8_t *block = one_huge(), *to = map(3 * CHUNK);

        if (!block)
                return;
        evict_out(block, CHUNK);
        check(mremap(block, 3 * CHUNK, 3 * CHUNK, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap: %s",
              strerror(errno));
        evict_out(to, 3 * CHUNK);
        check_filled("moved", to, 3 * CHUNK, 1, 0);
        munmap(to, 3 * CHUNK);
}

static void protected_in_part(void)
{
        uint8_t *block = one_huge();

        if (!block)
                return;
        check_call(mprotect(block + CHUNK + 100 * PAGE, 100 * PAGE, PROT_READ));
        evict_out(block, CHUNK + 100 * PAGE);
        evict_out(block + CHUNK + 200 * PAGE, 312 * PAGE + CHUNK);
        check_filled("all of it", block, 3 * CHUNK, 1, 0);
        check_call(mprotect(block + CHUNK + 100 * PAGE, 100 * PAGE, PROT_READ | PROT_WRITE));
        evict_out(block, 3 * CHUNK);
        check_filled("all of it, again", block, 3 * CHUNK, 1, 0);
        munmap(block, 3 * CHUNK);
}

static const struct paged_case cases[] = {
        { "huge pages of a first touch", at_first_touch },
        { "a huge page goes out whole", whole },
        { "a huge page goes out in part", in_part },
        { "a chunk is collapsed while some of it is out", collapsed_with_holes },
        { "a part of a huge page is dropped", dropped_in_part },
        { "a part of a huge page is moved", moved_in_part },
        { "a huge page is moved", moved_whole },
        { "a part of a huge page is read-only", protected_in_part },
};

int main(int argc, char **argv)
{
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
