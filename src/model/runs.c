/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Next fit: what was taken first mostly comes back first, so that what the search comes to is free. */
#include "model/runs.h"

#include <assert.h>
#include <stdbool.h>

void runs_init(struct runs *r, uint32_t n)
{
        assert(n <= RUNS_MOST);
        *r = (struct runs){ .n = n, .n_free = n };
}

static bool is_taken(const struct runs *r, uint32_t number)
{
        return r->taken[number / 64] >> number % 64 & 1;
}

uint32_t runs_take(struct runs *r, uint32_t want, uint32_t *first)
{
        uint32_t best = 0, best_len = 0;

        if (r->n_free == 0)
                return 0;
        for (uint32_t seen = 0, at = r->cursor; seen < r->n && best_len < want;) {
                uint32_t len = 0;

                while (len < want && at + len < r->n && !is_taken(r, at + len))
                        len++;
                if (len > best_len) {
                        best = at;
                        best_len = len;
                }
                seen += len + 1;
                at += len + 1;
                if (at >= r->n) {
                        seen -= at - r->n; /* the run ended with the numbers, not at one that is taken */
                        at = 0;
                }
        }
        for (uint32_t i = best; i < best + best_len; i++)
                r->taken[i / 64] |= UINT64_C(1) << i % 64;
        r->n_free -= best_len;
        r->cursor = (best + best_len) % r->n;
        if (best_len)
                *first = best;
        return best_len;
}

void runs_give(struct runs *r, uint32_t number)
{
        assert(number < r->n && is_taken(r, number));
        r->taken[number / 64] &= ~(UINT64_C(1) << number % 64);
        r->n_free++;
}
