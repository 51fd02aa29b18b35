// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text is made where the failure is known best, which is deep down; those above may add theirs only where
 * there is none yet, and hand on the code.
 */
#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct error *e, int code, const char *format, va_list ap) __attribute__((format(printf, 3, 0)));
static void fill(struct error *e, int code, const char *format, va_list ap)
{
        e->code = code;
        vsnprintf(e->text, sizeof(e->text), format, ap);
}

static int vacant(const struct error *e)
{
        return e && !e->code;
}

int error_set(struct error *e, int code, const char *format, ...)
{
        va_list ap;

        if (!vacant(e))
                return code;
        va_start(ap, format);
        fill(e, code, format, ap);
        va_end(ap);
        return code;
}

int error_sys(struct error *e, int code, const char *format, ...)
{
        char why[128];
        size_t used;
        va_list ap;

        if (!vacant(e))
                return code;
        va_start(ap, format);
        fill(e, code, format, ap);
        va_end(ap);
        used = strlen(e->text);
        snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror_r(-code, why, sizeof(why)));
        return code;
}
