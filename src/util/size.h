/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a size in bytes: a decimal number, optionally with a fraction, and one of K, M, G, T (powers of
 * 1024; "KiB", "kB" and the like mean the same). Returns 0, -EINVAL (not a size) or -ERANGE (does not fit); *out is
 * untouched on failure.
 */
int size_parse(const char *text, uint64_t *out);

/*
 * Reads a span of time into nanoseconds: a decimal number, optionally with a fraction, and one of ns, us, ms, s, m,
 * h, d. A bare 0 needs no unit. Returns and outputs as size_parse().
 */
int duration_parse(const char *text, uint64_t *out_ns);

/* Writes bytes as a person says it ("1.5G", "256M", "812K") into buf, and returns buf. */
char *size_format(uint64_t bytes, char *buf, size_t len);

/* Writes nanoseconds as a person says it ("85us", "1.2ms", "3.4s") into buf, and returns buf. */
char *duration_format(uint64_t ns, char *buf, size_t len);

#endif
