/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The distances of the watermarks from the limit grow with it but stay within bounds: the gate has to leave room
 * for what is touched between two samples, eviction has to be ahead of a burst of faults, and neither may take a
 * noticeable part of a small limit.
 */
#include "model/budget.h"

#define MIB (1ull << 20)

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
        return value < low ? low : value > high ? high : value;
}

static uint64_t gate_distance(const struct budget *b)
{
        return clamp(b->limit / 16, 4 * MIB, 128 * MIB);
}

static uint64_t high_distance(const struct budget *b)
{
        return clamp(b->limit / 64, MIB, 32 * MIB);
}

static uint64_t low_distance(const struct budget *b)
{
        return 2 * high_distance(b);
}

static uint64_t held(const struct budget *b)
{
        uint64_t own = b->resident > b->shared ? b->resident - b->shared : 0;

        return own + b->overhead + b->packed + b->reserved;
}

void budget_sample(struct budget *b, uint64_t resident)
{
        b->resident = resident;
        if (resident + b->overhead + b->packed > b->peak)
                b->peak = resident + b->overhead + b->packed;
}

void budget_share(struct budget *b, uint64_t bytes)
{
        b->shared = bytes;
}

void budget_installed(struct budget *b, uint64_t bytes)
{
        b->resident += bytes;
}

void budget_detached(struct budget *b, uint64_t bytes)
{
        b->resident -= bytes < b->resident ? bytes : b->resident;
}

uint64_t budget_room(const struct budget *b)
{
        if (!b->limit)
                return UINT64_MAX;
        return held(b) < b->limit ? b->limit - held(b) : 0;
}

uint64_t budget_spare(const struct budget *b)
{
        uint64_t room = budget_room(b), kept = b->limit ? high_distance(b) / 2 : 0;

        return room > kept ? room - kept : 0;
}

bool budget_reserve(struct budget *b, uint64_t bytes)
{
        if (budget_room(b) < bytes)
                return false;
        b->reserved += bytes;
        return true;
}

void budget_unreserve(struct budget *b, uint64_t bytes)
{
        b->reserved -= bytes < b->reserved ? bytes : b->reserved;
}

bool budget_gate(struct budget *b)
{
        uint64_t distance = gate_distance(b);

        if (!b->limit)
                b->gated = false;
        else
                b->gated = budget_room(b) < (b->gated ? 2 * distance : distance);
        return b->gated;
}

uint64_t budget_excess(struct budget *b, uint64_t in_flight)
{
        uint64_t room = budget_room(b), over;

        if (!b->limit)
                return 0;
        if (held(b) > b->limit)
                over = held(b) - b->limit + low_distance(b);
        else
                over = room < low_distance(b) ? low_distance(b) - room : 0;
        if (room < high_distance(b))
                b->evicting = true;
        else if (over == 0)
                b->evicting = false;
        if (!b->evicting || over <= in_flight)
                return 0;
        return over - in_flight;
}

bool budget_has_grown(const struct budget *b, uint64_t resident)
{
        return b->resident > resident && b->resident - resident >= high_distance(b);
}

uint64_t budget_next_sample(const struct budget *b)
{
        uint64_t room = budget_room(b), to_gate;

        if (!b->limit)
                return 1000000000;
        to_gate = room > gate_distance(b) ? room - gate_distance(b) : 0;
        return clamp(to_gate / 4, 250000, 250000000);
}
