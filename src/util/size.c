// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sizes and spans of time as people write them. The arithmetic is whole: a fraction is kept as its digits, so that
 * "0.1G" is the same on every machine; what is left of a byte or a nanosecond is cut off.
 */
#include "util/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS 18

__extension__ typedef unsigned __int128 wide;

struct number {
        uint64_t whole;
        uint64_t fraction; /* FRACTION_DIGITS digits behind the point */
        bool has_fraction;
        bool too_large;
};

struct unit {
        const char *name;
        uint64_t scale;
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Reads digits[.digits] and returns what is behind, or NULL when there is none. */
static const char *parse_number(const char *at, struct number *n)
{
        int digits = 0;

        *n = (struct number){ 0 };
        if (!is_digit(*at))
                return NULL;
        for (; is_digit(*at); at++)
                if (__builtin_mul_overflow(n->whole, 10u, &n->whole) ||
                    __builtin_add_overflow(n->whole, (uint64_t)(*at - '0'), &n->whole))
                        n->too_large = true;
        if (*at != '.')
                return at;
        if (!is_digit(*++at))
                return NULL;
        n->has_fraction = true;
        for (; is_digit(*at); at++)
                if (digits < FRACTION_DIGITS) {
                        n->fraction = n->fraction * 10 + (uint64_t)(*at - '0');
                        digits++;
                }
        for (; digits < FRACTION_DIGITS; digits++)
                n->fraction *= 10;
        return at;
}

static int scaled(const struct number *n, uint64_t scale, uint64_t *out)
{
        wide value = (wide)n->whole * scale + (wide)n->fraction * scale / 1000000000000000000u;

        if (n->too_large || value > UINT64_MAX)
                return -ERANGE;
        *out = (uint64_t)value;
        return 0;
}

/* The scale of "", "B", or a letter with nothing, "B" or "iB" behind it, in any case; 0 for others. */
static uint64_t size_scale(const char *unit)
{
        static const char letters[] = "KMGT";
        const char *at;

        if (!*unit || strcasecmp(unit, "B") == 0)
                return 1;
        at = strchr(letters, *unit >= 'a' && *unit <= 'z' ? *unit - 'a' + 'A' : *unit);
        if (!at || (unit[1] && strcasecmp(unit + 1, "B") != 0 && strcasecmp(unit + 1, "iB") != 0))
                return 0;
        return UINT64_C(1) << 10 * (at - letters + 1);
}

int size_parse(const char *text, uint64_t *out)
{
        struct number n;
        const char *unit = parse_number(text, &n);
        uint64_t scale = unit ? size_scale(unit) : 0;

        if (!scale || (n.has_fraction && scale == 1)) /* no part of a byte */
                return -EINVAL;
        return scaled(&n, scale, out);
}

static const struct unit times[] = {
        { "ns", 1 },
        { "us", 1000 },
        { "ms", 1000000 },
        { "s", 1000000000 },
        { "m", UINT64_C(60) * 1000000000 },
        { "h", UINT64_C(3600) * 1000000000 },
        { "d", UINT64_C(86400) * 1000000000 },
};

static const struct unit sizes[] = {
        { "B", 1 },
        { "K", UINT64_C(1) << 10 },
        { "M", UINT64_C(1) << 20 },
        { "G", UINT64_C(1) << 30 },
        { "T", UINT64_C(1) << 40 },
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

int duration_parse(const char *text, uint64_t *out_ns)
{
        struct number n;
        const char *unit = parse_number(text, &n);

        if (!unit)
                return -EINVAL;
        if (!*unit && !n.whole && !n.fraction && !n.too_large)
                return scaled(&n, 1, out_ns);
        for (unsigned i = 0; i < COUNT(times); i++)
                if (strcmp(unit, times[i].name) == 0)
                        return scaled(&n, times[i].scale, out_ns);
        return -EINVAL;
}

/* In the largest unit that leaves at least 1, with one digit behind the point below 100 where that is not 0. */
static char *format(uint64_t value, const struct unit *units, unsigned n_units, char *buf, size_t len)
{
        unsigned i = 0;
        uint64_t tenths;

        while (i + 1 < n_units && value >= units[i + 1].scale)
                i++;
        for (;; i++) {
                tenths = (uint64_t)(((wide)value * 10 + units[i].scale / 2) / units[i].scale);
                if (tenths >= 1000)
                        tenths = (tenths + 5) / 10 * 10;
                /* rounding may have made it one of the next unit: 1023.96K is 1M */
                if (i + 1 == n_units || tenths < units[i + 1].scale / units[i].scale * 10)
                        break;
        }
        if (tenths % 10)
                snprintf(buf, len, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, units[i].name);
        else
                snprintf(buf, len, "%" PRIu64 "%s", tenths / 10, units[i].name);
        return buf;
}

char *size_format(uint64_t bytes, char *buf, size_t len)
{
        return format(bytes, sizes, COUNT(sizes), buf, len);
}

char *duration_format(uint64_t ns, char *buf, size_t len)
{
        return format(ns, times, COUNT(times), buf, len);
}
