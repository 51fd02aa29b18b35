/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Second chance. Eviction goes round the client's memory; a chunk whose evicted pages were wanted back since the
 * last round is warm, and is passed by once for each halving of its warmth. A chunk from which nothing was wanted
 * back is cold.
 */
#include "idle/idle.h"

#include "model/ptable.h"

#define WARMEST 15u

static int standby_probe(void)
{
        return 0;
}

static void standby_refault(struct chunk *chunk)
{
        if (chunk->idle < WARMEST)
                chunk->idle++;
}

static bool standby_is_cold(struct chunk *chunk)
{
        if (chunk->idle == 0)
                return true;
        chunk->idle /= 2;
        return false;
}

const struct idle_ops idle_standby = {
        .name = "standby",
        .probe = standby_probe,
        .refault = standby_refault,
        .is_cold = standby_is_cold,
};
