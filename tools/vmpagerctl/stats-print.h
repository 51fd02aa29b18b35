/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_STATS_PRINT_H
#define VMPAGERCTL_STATS_PRINT_H

#include <stdio.h>

struct json_object;

/* Writes the daemon's statistics (the object that the man page vmpagerctl(1) describes) for a person to read. */
void stats_print(FILE *to, struct json_object *stats);

#endif
