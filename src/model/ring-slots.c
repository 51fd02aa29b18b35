/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Next fit over an array of at most a few thousand: slots come free mostly in the order in which they were taken. */
#include "model/ring-slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int ring_slots_init(struct ring_slots *s, uint32_t n)
{
        struct ring_slot *v = calloc(n, sizeof(*v));

        if (!v)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++)
                v[i].owner = RING_SLOT_NO_OWNER;
        *s = (struct ring_slots){ .v = v, .n = n, .n_free = n };
        return 0;
}

void ring_slots_clear(struct ring_slots *s)
{
        free(s->v);
        *s = (struct ring_slots){ 0 };
}

/* Length of the free run at slot `at`, at most n. */
static uint32_t run_at(const struct ring_slots *s, uint32_t at, uint32_t n)
{
        uint32_t len = 0;

        while (len < n && at + len < s->n && !s->v[at + len].used)
                len++;
        return len;
}

uint32_t ring_slots_take(struct ring_slots *s, uint32_t n, uint32_t *first)
{
        uint32_t best = 0, best_len = 0, at = s->cursor;

        if (s->n_free == 0)
                return 0;
        for (uint32_t seen = 0; seen < s->n && best_len < n;) {
                uint32_t len = run_at(s, at, n);

                if (len > best_len) {
                        best = at;
                        best_len = len;
                }
                seen += len + 1;
                at += len + 1;
                if (at >= s->n) {
                        seen -= at - s->n; /* the run ended with the array, not at a used slot */
                        at = 0;
                }
        }
        for (uint32_t i = best; i < best + best_len; i++)
                s->v[i].used = 1;
        s->n_free -= best_len;
        s->cursor = (best + best_len) % s->n;
        if (best_len)
                *first = best;
        return best_len;
}

void ring_slots_free(struct ring_slots *s, uint32_t slot)
{
        assert(slot < s->n && s->v[slot].used && !s->v[slot].writing);
        s->v[slot] = (struct ring_slot){ .owner = RING_SLOT_NO_OWNER };
        s->n_free++;
}
