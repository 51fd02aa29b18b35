/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What agent-child writes to its memory, and how a test recognises it. No word of it is zero. */
#ifndef TESTS_AGENT_PATTERN_H
#define TESTS_AGENT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE       4096ul
#define PAGE_WORDS (PAGE / sizeof(uint64_t))

static inline uint64_t pattern_word(uint64_t seed, uint64_t page, uint64_t word)
{
        return (seed << 48 | page << 16 | word) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static inline bool pattern_matches(const void *memory, uint64_t seed, uint64_t page)
{
        const uint64_t *p = memory;

        for (size_t word = 0; word < PAGE_WORDS; word++)
                if (p[word] != pattern_word(seed, page, word))
                        return false;
        return true;
}

#endif
