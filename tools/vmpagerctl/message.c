// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What vmpagerctl has to say to a person. stderr belongs to the program under "run" as well: a message is one
 * line and one write, so that the two do not mix within a line.
 */
#include "vmpagerctl/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void message(const char *format, ...)
{
        char line[1024];
        size_t used;
        va_list ap;
        int n;

        used = (size_t)snprintf(line, sizeof(line), "vmpagerctl: ");
        va_start(ap, format);
        n = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        used += (size_t)n < sizeof(line) - used - 1 ? (size_t)n : sizeof(line) - used - 2;
        line[used++] = '\n';
        if (write(STDERR_FILENO, line, used) < 0)
                return; /* nobody there to be told */
}
