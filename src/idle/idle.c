/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trackers, best first; `standby` needs nothing and so ends the list. */
#include "idle/idle.h"

#include <string.h>

static const struct idle_ops *const trackers[] = { &idle_standby };

const struct idle_ops *idle_choose(const char *force)
{
        for (size_t i = 0; i < sizeof(trackers) / sizeof(trackers[0]); i++) {
                if (force && strcmp(force, trackers[i]->name) != 0)
                        continue;
                if (trackers[i]->probe() == 0)
                        return trackers[i];
        }
        return NULL;
}
