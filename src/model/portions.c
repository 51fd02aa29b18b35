/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a user has beyond his portion is taken from what is common. So the portions of the others are never touched. */
#include "model/portions.h"

#include <assert.h>

void portions_init(struct portions *p, uint32_t all, uint32_t n)
{
        uint32_t each = n == 1 ? all : all / 2 / n;

        assert(n >= 1 && n <= PORTIONS_MOST && all >= n);
        each = each ? each : 1;
        *p = (struct portions){ .n = n, .each = each, .rest = all - n * each, .common = all - n * each };
}

static uint32_t beyond(const struct portions *p, uint32_t has)
{
        return has > p->each ? has - p->each : 0;
}

uint32_t portions_left(const struct portions *p, uint32_t user)
{
        uint32_t has = p->has[user];

        return p->common + (has < p->each ? p->each - has : 0);
}

uint32_t portions_most(const struct portions *p)
{
        return p->each + p->rest;
}

void portions_take(struct portions *p, uint32_t user, uint32_t n)
{
        uint32_t has = p->has[user];

        assert(user < p->n && n <= portions_left(p, user));
        p->has[user] = has + n;
        p->common -= beyond(p, has + n) - beyond(p, has);
}

void portions_give(struct portions *p, uint32_t user, uint32_t n)
{
        uint32_t has = p->has[user];

        assert(user < p->n && n <= has);
        p->has[user] = has - n;
        p->common += beyond(p, has) - beyond(p, has - n);
}
