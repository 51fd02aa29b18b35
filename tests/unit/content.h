/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of several kinds, and memory whose ends are guarded, for the tests of what packs and seals pages. */
#ifndef TESTS_UNIT_PAGE_RIG_H
#define TESTS_UNIT_PAGE_RIG_H

#include "store/store.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit-run.h"

/* STORE_PAGE bytes with memory before and behind them that cannot be touched. */
static inline unsigned char *page_guarded(void)
{
        char *at = mmap(NULL, 3 * STORE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(at, MAP_FAILED);
        ck_assert_int_eq(mprotect(at + STORE_PAGE, STORE_PAGE, PROT_READ | PROT_WRITE), 0);
        return (unsigned char *)at + STORE_PAGE;
}

static inline void page_guarded_free(unsigned char *page)
{
        munmap(page - STORE_PAGE, 3 * STORE_PAGE);
}

static inline void page_make_random(unsigned char *page)
{
        for (unsigned i = 0; i < STORE_PAGE; i++)
                page[i] = (unsigned char)unit_random(256);
}

/* Words of a small language, in random order. */
static inline void page_make_text(unsigned char *page)
{
        static const char *const words[] = { "page", "the ", "fault",  " is ", "store", "\n",    "of ",  "a ",
                                             "was ", "0x7f", "client", ", ",   "reads", "zero ", "size", "evict" };
        unsigned at = 0;

        while (at < STORE_PAGE) {
                const char *word = words[unit_random(sizeof(words) / sizeof(*words))];

                for (; *word && at < STORE_PAGE; word++)
                        page[at++] = (unsigned char)*word;
        }
}

/* A page of this program. */
static inline void page_make_binary(unsigned char *page)
{
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        off_t size = lseek(fd, 0, SEEK_END);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_gt(size, STORE_PAGE);
        ck_assert_int_eq(pread(fd, page, STORE_PAGE, (off_t)unit_random((uint64_t)size - STORE_PAGE)), STORE_PAGE);
        close(fd);
}

/* Zeros with a few words in them, as heaps have. */
static inline void page_make_sparse(unsigned char *page)
{
        memset(page, 0, STORE_PAGE);
        for (unsigned i = 0; i < 40; i++)
                page[unit_random(STORE_PAGE)] = (unsigned char)unit_random(256);
}

static inline void page_make_filled(unsigned char *page)
{
        memset(page, (int)unit_random(256), STORE_PAGE);
}

static const struct page_kind {
        const char *name;
        void (*make)(unsigned char *page);
} page_kinds[] = {
        { "text", page_make_text },     { "binary", page_make_binary }, { "random", page_make_random },
        { "sparse", page_make_sparse }, { "filled", page_make_filled },
};
#define PAGE_KINDS (sizeof(page_kinds) / sizeof(*page_kinds))

#endif
