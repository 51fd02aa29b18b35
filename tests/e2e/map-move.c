/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings that are moved, cut, replaced and protected while their pages are out of the program (see paged.h).
 */
#include "paged.h"
#include "refusal.h"

#define BLOCK (4 * MIB)
#define PART  (BLOCK / 4)

/* --- mremap ---------------------------------------------------------------------------------- */

/* Rule 23: an mremap takes registration and pages along. */
static void moved(void)
{
        uint8_t *from = map(BLOCK), *to = map(BLOCK);

        fill_out(from, BLOCK, 1, 0);
        check(mremap(from, BLOCK, BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap: %s", strerror(errno));
        check(is_native || n_present(to, BLOCK) == 0, "pages came in by the move");
        check(n_present(from, BLOCK) == -1, "the old place is still mapped");
        check_filled("moved", to, BLOCK, 1, 0);
        evict_out(to, BLOCK);
        check_filled("moved and evicted again", to, BLOCK, 1, 0);
        munmap(to, BLOCK);
}

/* Part of a mapping: the pages before and behind stay. */
static void moved_in_part(void)
{
        uint8_t *from = map(BLOCK), *to = map(PART);

        fill_out(from, BLOCK, 1, 0);
        check(mremap(from + PART, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap: %s", strerror(errno));
        check_filled("moved", to, PART, 1, PART / PAGE);
        check_filled("before it", from, PART, 1, 0);
        check_filled("behind it", from + 2 * PART, BLOCK - 2 * PART, 1, 2 * PART / PAGE);
        munmap(from, BLOCK);
        munmap(to, PART);
}

static void grown_in_place(void)
{
        uint8_t *block = map(2 * BLOCK);

        munmap(block + BLOCK, BLOCK);
        fill_out(block, BLOCK, 1, 0);
        check(mremap(block, BLOCK, 2 * BLOCK, 0) == block, "mremap: %s", strerror(errno));
        check_zero("new", block + BLOCK, BLOCK);
        check_filled("old", block, BLOCK, 1, 0);
        fill_out(block, 2 * BLOCK, 2, 0);
        check_filled("written anew", block, 2 * BLOCK, 2, 0);
        munmap(block, 2 * BLOCK);
}

static void grown_by_moving(void)
{
        uint8_t *block = map(BLOCK), *to;

        fill_out(block, BLOCK, 1, 0);
        to = mremap(block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE);
        check(to != MAP_FAILED && to != block, "mremap: %s", strerror(errno));
        check_filled("old", to, BLOCK, 1, 0);
        check_zero("new", to + BLOCK, BLOCK);
        munmap(to, 2 * BLOCK);
}

/* What was cut off holds zeros when it is there again. */
static void shrunk(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check(mremap(block, BLOCK, PART, 0) == block, "mremap to shrink: %s", strerror(errno));
        check(mremap(block, PART, BLOCK, 0) == block, "mremap to grow: %s", strerror(errno));
        check_zero("grown anew", block + PART, BLOCK - PART);
        check_filled("kept", block, PART, 1, 0);
        munmap(block, BLOCK);
}

/* The target's pages are out as well; those beyond the source's size stay the target's. */
static void moved_over_evicted(void)
{
        uint8_t *from = map(BLOCK), *to = map(2 * BLOCK);

        fill(to, 2 * BLOCK, 2, 0);
        fill(from, BLOCK, 1, 0);
        evict_out(from, BLOCK);
        evict_out(to, 2 * BLOCK);
        check(mremap(from, BLOCK, BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap: %s", strerror(errno));
        check_filled("moved", to, BLOCK, 1, 0);
        check_filled("behind it", to + BLOCK, BLOCK, 2, BLOCK / PAGE);
        munmap(to, 2 * BLOCK);
}

/* The old mapping stays, and is empty. */
static void moved_and_kept(void)
{
        uint8_t *from = map(BLOCK), *to = map(BLOCK);

        fill_out(from, BLOCK, 1, 0);
        if (mremap(from, BLOCK, BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != to) {
                failed("mremap: %s", strerror(errno));
                return;
        }
        check_zero("the old place", from, PART);
        check_filled("the new place", to, BLOCK, 1, 0);
        fill_out(from, BLOCK, 2, 0);
        evict_out(to, BLOCK);
        check_filled("the new place, again", to, BLOCK, 1, 0);
        check_filled("the old place, again", from, BLOCK, 2, 0);
        munmap(from, BLOCK);
        munmap(to, BLOCK);
}

/* --- replaced, unmapped ---------------------------------------------------------------------- */

/* Rule 23: MAP_FIXED over evicted pages. */
static void replaced(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        map_at(block, BLOCK, PROT_READ | PROT_WRITE, MAP_FIXED);
        check_zero("replaced", block, BLOCK);
        fill_out(block, BLOCK, 2, 0);
        map_at(block + PART, PART, PROT_READ | PROT_WRITE, MAP_FIXED);
        check_zero("replaced in part", block + PART, PART);
        check_filled("before it", block, PART, 2, 0);
        check_filled("behind it", block + 2 * PART, BLOCK - 2 * PART, 2, 2 * PART / PAGE);
        munmap(block, BLOCK);
}

/* A file in place of evicted memory, and memory in place of the file. */
static void replaced_by_file(void)
{
        uint8_t *block = map(BLOCK);
        int fd = memfd_create("paged", MFD_CLOEXEC);

        fill_out(block, BLOCK, 1, 0);
        check_call(ftruncate(fd, PART));
        check(mmap(block + PART, PART, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED, "mmap: %s",
              strerror(errno));
        check_zero("the file", block + PART, PART);
        fill(block + PART, PART, 3, 0);
        check_filled("before it", block, PART, 1, 0);
        map_at(block + PART, PART, PROT_READ | PROT_WRITE, MAP_FIXED);
        check_zero("in place of the file", block + PART, PART);
        fill_out(block, BLOCK, 2, 0);
        check_filled("all of it", block, BLOCK, 2, 0);
        close(fd);
        munmap(block, BLOCK);
}

static void unmapped_in_the_middle(void)
{
        uint8_t *chunk = map(CHUNK), *middle = chunk + CHUNK / 4;
        size_t hole = CHUNK / 2 + 5 * PAGE;

        fill_out(chunk, CHUNK, 1, 0);
        check_call(munmap(middle, hole));
        check(n_present(middle, PAGE) == -1, "still mapped");
        check(map_at(middle, hole, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE) == middle, "mmap");
        check_zero("mapped anew", middle, hole);
        check_filled("before it", chunk, CHUNK / 4, 1, 0);
        check_filled("behind it", middle + hole, CHUNK - CHUNK / 4 - hole, 1, (CHUNK / 4 + hole) / PAGE);
        fill_out(chunk, CHUNK, 2, 0);
        check_filled("all of it", chunk, CHUNK, 2, 0);
        munmap(chunk, CHUNK);
}

static void heap_end(void)
{
        uint8_t *start = sbrk(0);

        start += -(uintptr_t)start & (PAGE - 1);
        if (brk(start + BLOCK) < 0) {
                failed("brk: %s", strerror(errno));
                return;
        }
        fill_out(start, BLOCK, 1, 0);
        check_call(brk(start + PART));
        check(n_present(start + PART, PAGE) == -1, "still mapped");
        check_call(brk(start + BLOCK));
        check_zero("up again", start + PART, BLOCK - PART);
        check_filled("kept", start, PART, 1, 0);
        fill_out(start, BLOCK, 2, 0);
        check_filled("all of it", start, BLOCK, 2, 0);
        check_call(brk(start));
}

/* --- protected ------------------------------------------------------------------------------- */

/* Rule 26: what was evicted may be read-only by the time that it is wanted. */
static void read_only(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(mprotect(block, BLOCK, PROT_READ));
        check(is_refused(block + PART, true), "a write was let through");
        check(is_native || n_present(block, BLOCK) == 0, "pages came in by a refused write");
        check_filled("read-only", block, BLOCK, 1, 0);
        check_call(mprotect(block, BLOCK, PROT_READ | PROT_WRITE));
        check_filled("writable", block, BLOCK, 1, 0);
        fill_out(block, BLOCK, 2, 0);
        check_filled("written", block, BLOCK, 2, 0);
        munmap(block, BLOCK);
}

static void no_access(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(mprotect(block + PART, PART, PROT_NONE));
        check(is_refused(block + PART, false) && is_refused(block + 2 * PART - 1, true), "an access was let through");
        check_filled("before it", block, PART, 1, 0);
        evict_out(block, BLOCK);
        check_call(mprotect(block + PART, PART, PROT_READ | PROT_WRITE));
        check_filled("all of it", block, BLOCK, 1, 0);
        munmap(block, BLOCK);
}

/* Pages become guards and memory again, as a language's runtime does it, while pages go out. Rules 26 and 28a. */
static void guards(void)
{
        uint8_t *block = map(BLOCK), *to;

        fill_out(block, BLOCK, 1, 0);
        pressure_start(&pressure);
        for (size_t i = 0; i < 300; i++) {
                size_t at = i * 37 % (BLOCK / PAGE - 8);
                int protection = i % 2 ? PROT_NONE : PROT_READ;

                check_call(mprotect(block + at * PAGE, 8 * PAGE, protection));
                check(is_refused(block + at * PAGE + 5000, true), "a guard was written to");
                check_filled("beside a guard", block + (at + 8) * PAGE, PAGE, 1, at + 8);
                check_call(mprotect(block + at * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE));
                check_filled("what was a guard", block + at * PAGE, 2 * PAGE, 1, at);
        }
        pressure_stop(&pressure);
        check_filled("all of it", block, BLOCK, 1, 0);
        to = mremap(block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE);
        check(to != MAP_FAILED, "mremap: %s", strerror(errno));
        check_filled("moved", to, BLOCK, 1, 0);
        munmap(to, 2 * BLOCK);
}

/* Memory that nobody can touch, of which parts are made usable one by one, as allocators do it. */
static void committed(void)
{
        uint8_t *block = map_at(NULL, 4 * BLOCK, PROT_NONE, MAP_NORESERVE);

        for (size_t i = 0; i < 4; i++) {
                check_call(mprotect(block + i * BLOCK, BLOCK, PROT_READ | PROT_WRITE));
                check_zero("committed", block + i * BLOCK, PART);
                fill_out(block + i * BLOCK, BLOCK, i + 1, 0);
        }
        check_call(madvise(block + BLOCK, BLOCK, MADV_DONTNEED));
        check_call(mprotect(block + BLOCK, BLOCK, PROT_NONE));
        check_call(mprotect(block + BLOCK, BLOCK, PROT_READ | PROT_WRITE));
        check_zero("decommitted", block + BLOCK, BLOCK);
        for (size_t i = 0; i < 4; i++)
                if (i != 1)
                        check_filled("kept", block + i * BLOCK, BLOCK, i + 1, 0);
        munmap(block, 4 * BLOCK);
}

static const struct paged_case cases[] = {
        { "mremap moves evicted pages", moved },
        { "mremap moves a part of a mapping", moved_in_part },
        { "mremap grows in place", grown_in_place },
        { "mremap grows by moving", grown_by_moving },
        { "mremap shrinks, and grows again", shrunk },
        { "MREMAP_FIXED over evicted pages", moved_over_evicted },
        { "MREMAP_DONTUNMAP", moved_and_kept },
        { "MAP_FIXED over evicted pages", replaced },
        { "MAP_FIXED of a file over evicted pages, and back", replaced_by_file },
        { "munmap of the middle of a chunk", unmapped_in_the_middle },
        { "brk down and up again", heap_end },
        { "mprotect to read-only and back", read_only },
        { "mprotect to no access and back", no_access },
        { "mprotect of guards while pages go out", guards },
        { "memory that is committed by parts", committed },
};

int main(int argc, char **argv)
{
        refusal_init();
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
