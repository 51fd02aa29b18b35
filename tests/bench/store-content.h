/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_STORE_CONTENT_H
#define TESTS_STORE_CONTENT_H

#include <stdint.h>

enum content { CONTENT_TEXT, CONTENT_BINARY, CONTENT_RANDOM, CONTENTS };

extern const char *const content_names[CONTENTS];

/*
 * Fills memory with `pages` pages: of text files, of programs and libraries, both as they are on this machine and one
 * behind another, or random ones. Returns how many pages there was content for.
 */
uint32_t content_fill(enum content content, unsigned char *memory, uint32_t pages);

#endif
