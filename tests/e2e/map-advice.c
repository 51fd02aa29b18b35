/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * madvise(2) on memory whose pages are out of the program, with every advice that there is for private anonymous
 * memory (see paged.h). KSM has to be running for its case.
 */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "paged.h"
#include "refusal.h"

/* Newer than the headers of Debian 12. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define BLOCK (4 * MIB)
#define PART  (BLOCK / 4)

/* --- that drop ------------------------------------------------------------------------------- */

/* Advice that makes zeros of a part of evicted memory, and of a part of present memory. */
static void drops(int advice)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        if (madvise(block + PART, PART, advice) < 0) {
                if (errno == EINVAL)
                        skip_case("this kernel has no such advice");
                else
                        failed("madvise: %s", strerror(errno));
                munmap(block, BLOCK);
                return;
        }
        check_zero("dropped while it was out", block + PART, PART);
        check_filled("before it", block, PART, 1, 0);
        check_filled("behind it", block + 2 * PART, BLOCK - 2 * PART, 1, 2 * PART / PAGE);
        fill(block, BLOCK, 2, 0);
        check_call(madvise(block + PART, PART, advice));
        check_zero("dropped while it was in", block + PART, PART);
        fill_out(block, BLOCK, 3, 0);
        check_filled("written anew", block, BLOCK, 3, 0);
        munmap(block, BLOCK);
}

/* Rules 13 and 16. */
static void dont_need(void)
{
        drops(MADV_DONTNEED);
}

static void dont_need_locked(void)
{
        drops(MADV_DONTNEED_LOCKED);
}

/*
 * Rule 13. vmpager hears of MADV_DONTNEED before the pages are dropped. One that it takes in between would come back
 * with old bytes. So a large part of what is there is dropped, again and again, while pages go out.
 */
static void dont_need_in_turn(void)
{
        static struct pressure other;
        size_t large = 10 * MIB;
        uint8_t *block = map(large + PART);
        double end = now_s() + 8;

        fill(block + large, PART, 1, 0);
        pressure_start(&other);
        for (uint64_t round = 2; round < 250 && !has_failed && now_s() < end; round++) {
                for (size_t i = 0; i < large; i += PAGE)
                        fill(block + i, 64, round, i / PAGE);
                check_call(madvise(block, large, MADV_DONTNEED));
                check_zero("dropped", block, large);
        }
        pressure_stop(&other);
        check_filled("never dropped", block + large, PART, 1, 0);
        munmap(block, large + PART);
}

/* Rule 2: vectored, on oneself. */
static void dont_need_vectored(void)
{
        uint8_t *block = map(BLOCK);
        struct iovec part[2] = { { block + PART, PART }, { block + 3 * PART, PART } };
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

        fill_out(block, BLOCK, 1, 0);
        if (syscall(SYS_process_madvise, fd, part, 2ul, MADV_DONTNEED, 0u) != 2 * PART) {
                if (errno == EINVAL)
                        skip_case("process_madvise() drops nothing on this kernel");
                else
                        failed("process_madvise: %s", strerror(errno));
        } else {
                for (size_t i = 0; i < 4; i++) {
                        if (i % 2)
                                check_zero("dropped", block + i * PART, PART);
                        else
                                check_filled("kept", block + i * PART, PART, 1, i * PART / PAGE);
                }
        }
        close(fd);
        munmap(block, BLOCK);
}

/* Freed pages are the old ones or zeros; once written they stay. */
static void check_freed(const char *what, const uint8_t *at, size_t bytes, uint64_t seed, uint64_t first)
{
        for (size_t i = 0; i < bytes; i += PAGE)
                check(is_zero(at + i, PAGE) || is_filled(at + i, PAGE, seed, first + i / PAGE),
                      "%s: page %zu is neither old nor zeros", what, i / PAGE);
}

static void freed(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(madvise(block, PART, MADV_FREE));
        check_freed("freed while they were out", block, PART, 1, 0);
        check_filled("behind it", block + PART, BLOCK - PART, 1, PART / PAGE);
        fill_out(block, PART, 2, 0);
        check_filled("written since", block, PART, 2, 0);
        check_call(madvise(block, PART, MADV_FREE));
        for (size_t i = 0; i < PART / PAGE; i += 2)
                fill(block + i * PAGE, PAGE, 3, i);
        for (int i = 0; i < 150; i++)
                pressure_step(&pressure);
        for (size_t i = 0; i < PART / PAGE; i++) {
                if (i % 2)
                        check_freed("freed while they were in", block + i * PAGE, PAGE, 2, i);
                else
                        check_filled("written after they were freed", block + i * PAGE, PAGE, 3, i);
        }
        munmap(block, BLOCK);
}

/* No event tells of guards: Linux 6.13. */
static void guards(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        if (madvise(block + PART, PART, MADV_GUARD_INSTALL) < 0) {
                skip_case("MADV_GUARD_INSTALL: %s", strerror(errno));
                return;
        }
        check(is_refused(block + PART, false) && is_refused(block + 2 * PART - 1, true), "a guard was touched");
        check_filled("before it", block, PART, 1, 0);
        check_filled("behind it", block + 2 * PART, PART, 1, 2 * PART / PAGE);
        evict_out(block, PART);
        check(is_refused(block + PART + 9 * PAGE, true), "a guard was touched");
        check_call(madvise(block + PART, PART, MADV_GUARD_REMOVE));
        check_zero("a guard that was removed", block + PART, PART);
        fill_out(block, BLOCK, 2, 0);
        check_filled("written anew", block, BLOCK, 2, 0);
        munmap(block, BLOCK);

        /* New memory, written from its beginning on: zeros that are given ahead must not go over a guard. */
        block = map(BLOCK);
        pressure_step(&pressure);
        check_call(madvise(block + PART, PAGE, MADV_GUARD_INSTALL));
        fill(block, PART, 3, 0);
        check(is_refused(block + PART, true), "a guard was overrun");
        check_filled("before a guard", block, PART, 3, 0);
        check_zero("behind a guard", block + PART + PAGE, PART - PAGE);
        munmap(block, BLOCK);
}

/* --- that change nothing of what is there ---------------------------------------------------- */

/* The advice may be refused (MADV_COLLAPSE, where it would have to collapse absent pages), as it may be natively. */
static void keeps(int advice, int other)
{
        uint8_t *block = map(BLOCK), *to;

        fill_out(block, BLOCK, 1, 0);
        if (madvise(block + PART, 2 * PART, advice) < 0 && errno == EINVAL && advice != MADV_COLLAPSE)
                skip_case("this kernel has no such advice");
        check_filled("advised", block, BLOCK, 1, 0);
        evict_out(block, BLOCK);
        check_filled("advised, and out again", block, BLOCK, 1, 0);
        fill_out(block, BLOCK, 2, 0);
        madvise(block, BLOCK, other);
        check_filled("advised otherwise", block, BLOCK, 2, 0);
        evict_out(block, BLOCK);
        to = mremap(block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE);
        check(to != MAP_FAILED, "mremap: %s", strerror(errno));
        if (to != MAP_FAILED)
                check_filled("moved", to, BLOCK, 2, 0);
        munmap(to == MAP_FAILED ? block : to, BLOCK);
}

static void huge(void)
{
        keeps(MADV_HUGEPAGE, MADV_NOHUGEPAGE);
}

static void no_huge(void)
{
        keeps(MADV_NOHUGEPAGE, MADV_HUGEPAGE);
}

static void collapse(void)
{
        keeps(MADV_COLLAPSE, MADV_COLLAPSE);
}

static void will_need(void)
{
        keeps(MADV_WILLNEED, MADV_WILLNEED);
}

static void cold(void)
{
        keeps(MADV_COLD, MADV_COLD);
}

static void page_out(void)
{
        keeps(MADV_PAGEOUT, MADV_PAGEOUT);
}

static void sequential(void)
{
        keeps(MADV_SEQUENTIAL, MADV_NORMAL);
}

static void at_random(void)
{
        keeps(MADV_RANDOM, MADV_NORMAL);
}

static void no_dump(void)
{
        keeps(MADV_DONTDUMP, MADV_DODUMP);
}

static void no_fork(void)
{
        keeps(MADV_DONTFORK, MADV_DOFORK);
}

static void wipe_on_fork(void)
{
        keeps(MADV_WIPEONFORK, MADV_KEEPONFORK);
}

/* --- that bring in --------------------------------------------------------------------------- */

static void populates(int advice)
{
        uint8_t *block = map(BLOCK), *large;

        fill_out(block, BLOCK, 1, 0);
        check_call(madvise(block, PART, advice));
        check(is_native || n_present(block, PART) > (long)(PART / PAGE / 2), "%ld of %lu pages came in",
              n_present(block, PART), PART / PAGE);
        check_filled("populated", block, BLOCK, 1, 0);
        munmap(block, BLOCK);

        /* More than the limit: the first pages may go out again before the last have come. */
        large = map(64 * MIB);
        check_call(madvise(large, 64 * MIB, advice));
        check_zero("populated", large, 64 * MIB);
        munmap(large, 64 * MIB);
}

static void populate_read(void)
{
        populates(MADV_POPULATE_READ);
}

static void populate_write(void)
{
        populates(MADV_POPULATE_WRITE);
}

/* --- KSM ------------------------------------------------------------------------------------- */

#define SAME 0x5a

static bool is_same(const uint8_t *at, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                if (at[i] != SAME)
                        return false;
        return true;
}

/* Pages that are merged are shared, and cannot be taken; those that were written since can. Rule 3. */
static void merged(void)
{
        uint8_t *block = map(BLOCK);
        double end = now_s() + DEADLINE_S;
        long n;

        if (number_in("/sys/kernel/mm/ksm/run", "") != 1) {
                skip_case("KSM does not run");
                return;
        }
        fill_out(block, BLOCK, 1, 0);
        if (madvise(block, BLOCK, MADV_MERGEABLE) < 0) {
                failed("MADV_MERGEABLE: %s", strerror(errno));
                return;
        }
        check_filled("mergeable while it was out", block, BLOCK, 1, 0);
        memset(block, SAME, BLOCK);
        while ((n = number_in("/proc/self/ksm_merging_pages", "")) < (long)(BLOCK / PAGE / 2) && now_s() < end) {
                poll(NULL, 0, 10);
                is_same(block, BLOCK); /* what was evicted meanwhile comes back, to be merged */
        }
        check(n >= (long)(BLOCK / PAGE / 2), "%ld pages were merged", n);
        for (int i = 0; i < 100; i++)
                pressure_step(&pressure);
        check(is_same(block, BLOCK), "merged pages are other pages");
        fill(block, PART, 2, 0);
        evict_out(block, PART);
        check_filled("written since", block, PART, 2, 0);
        check_call(madvise(block, BLOCK, MADV_UNMERGEABLE));
        evict_out(block, BLOCK);
        check_filled("written since, and out again", block, PART, 2, 0);
        check(is_same(block + PART, BLOCK - PART), "pages that are no longer merged are other pages");
        munmap(block, BLOCK);
}

/* --- children -------------------------------------------------------------------------------- */

static uint8_t *family; /* memory that the child looks at */

/* What a child says by its exit status. */
enum { CHILD_RIGHT, CHILD_WRONG, CHILD_HANGS };

/* Runs look() in a child that is killed when it does not end. The child calls nothing of libc. */
static int child_says(bool (*look)(void))
{
        pid_t child = fork();
        double end = now_s() + 10;
        int status;

        if (child == 0)
                _exit(look() ? CHILD_RIGHT : CHILD_WRONG);
        if (child < 0) {
                failed("fork: %s", strerror(errno));
                return CHILD_WRONG;
        }
        while (waitpid(child, &status, WNOHANG) == 0) {
                if (now_s() > end) {
                        kill(child, SIGKILL);
                        waitpid(child, &status, 0);
                        return CHILD_HANGS;
                }
                poll(NULL, 0, 5);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_WRONG;
}

static bool sees_pattern(void)
{
        return is_filled(family, BLOCK, 1, 0);
}

static bool sees_zeros(void)
{
        return is_zero(family, BLOCK);
}

static bool sees_nothing(void)
{
        return n_present(family, PAGE) == -1;
}

/* Rule 22. */
static void child_after(int advice, bool (*look)(void), const char *otherwise)
{
        static bool hangs;

        family = map(BLOCK);
        fill_out(family, BLOCK, 1, 0);
        if (!hangs)
                hangs = child_says(sees_pattern) == CHILD_HANGS;
        if (hangs) {
                skip_case("a child's evicted pages are not served");
        } else {
                evict_out(family, BLOCK);
                if (advice)
                        check_call(madvise(family, BLOCK, advice));
                switch (child_says(look)) {
                case CHILD_WRONG:
                        failed("%s", otherwise);
                        break;
                case CHILD_HANGS:
                        failed("the child waits for ever");
                        break;
                }
        }
        check_filled("the parent's", family, BLOCK, 1, 0);
        munmap(family, BLOCK);
}

static void child_keeps(void)
{
        child_after(MADV_KEEPONFORK, sees_pattern, "the child does not see its parent's pages");
}

static void child_is_wiped(void)
{
        child_after(MADV_WIPEONFORK, sees_zeros, "the child sees other than zeros");
}

static void child_has_not(void)
{
        child_after(MADV_DONTFORK, sees_nothing, "the child has the mapping");
}

static const struct paged_case cases[] = {
        { "MADV_DONTNEED", dont_need },
        { "MADV_DONTNEED while pages go out", dont_need_in_turn },
        { "MADV_DONTNEED by process_madvise", dont_need_vectored },
        { "MADV_DONTNEED_LOCKED", dont_need_locked },
        { "MADV_FREE", freed },
        { "MADV_GUARD_INSTALL, MADV_GUARD_REMOVE", guards },
        { "MADV_HUGEPAGE", huge },
        { "MADV_NOHUGEPAGE", no_huge },
        { "MADV_COLLAPSE", collapse },
        { "MADV_WILLNEED", will_need },
        { "MADV_COLD", cold },
        { "MADV_PAGEOUT", page_out },
        { "MADV_SEQUENTIAL, MADV_NORMAL", sequential },
        { "MADV_RANDOM, MADV_NORMAL", at_random },
        { "MADV_DONTDUMP, MADV_DODUMP", no_dump },
        { "MADV_DONTFORK, MADV_DOFORK", no_fork },
        { "MADV_WIPEONFORK, MADV_KEEPONFORK", wipe_on_fork },
        { "MADV_POPULATE_READ", populate_read },
        { "MADV_POPULATE_WRITE", populate_write },
        { "MADV_MERGEABLE, MADV_UNMERGEABLE", merged },
        { "a child with MADV_KEEPONFORK", child_keeps },
        { "a child with MADV_WIPEONFORK", child_is_wiped },
        { "a child with MADV_DONTFORK", child_has_not },
};

int main(int argc, char **argv)
{
        refusal_init();
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
