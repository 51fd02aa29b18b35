/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text put together without stdio. All texts are NUL-terminated and cut off where the buffer ends. */
#ifndef PRELOAD_TEXT_H
#define PRELOAD_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Appends more at offset at of a buffer of that size; returns the offset of the new end. */
static inline size_t text_add(char *buffer, size_t size, size_t at, const char *more)
{
        while (*more && at + 1 < size)
                buffer[at++] = *more++;
        buffer[at] = '\0';
        return at;
}

static inline size_t text_add_number(char *buffer, size_t size, size_t at, uint32_t number)
{
        char digits[11];
        size_t first = sizeof(digits) - 1;

        digits[first] = '\0';
        do {
                digits[--first] = (char)('0' + number % 10);
                number /= 10;
        } while (number > 0);
        return text_add(buffer, size, at, digits + first);
}

/* Copies at most n bytes of a text from another process: one line, without control characters. */
static inline void text_clean(char *buffer, size_t size, const char *from, size_t n)
{
        size_t at = 0;

        for (; at < n && at + 1 < size && from[at]; at++) {
                unsigned char c = (unsigned char)from[at];

                buffer[at] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
        }
        buffer[at] = '\0';
}

#endif
