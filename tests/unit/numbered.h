/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that are filled with their number and a generation, so that one from the wrong place or time is noticed; and
 * the fault points, for tests of I/O.
 */
#ifndef TESTS_NUMBERED_H
#define TESTS_NUMBERED_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "store/store.h"
#include "util/error.h"
#include "util/faultpoint.h"

#define MIB (UINT64_C(1) << 20)

static inline void fill(void *memory, uint64_t number, uint32_t pages, uint32_t generation)
{
        uint64_t *word = memory;

        for (uint64_t i = 0; i < (uint64_t)pages * STORE_PAGE / 8; i++)
                word[i] = ((number + i * 8 / STORE_PAGE) << 28 ^ generation) * 0x9e3779b97f4a7c15u + i % 512;
}

static inline bool holds(const void *memory, uint64_t number, uint32_t pages, uint32_t generation)
{
        static unsigned char expected[256 * STORE_PAGE];

        ck_assert_uint_le(pages, 256);
        fill(expected, number, pages, generation);
        return memcmp(memory, expected, (size_t)pages * STORE_PAGE) == 0;
}

static inline void set_fault(const char *text)
{
        struct error e = { 0 };

        ck_assert_msg(faultpoint_set(text, &e) == 0, "%s", e.text);
}

#endif
