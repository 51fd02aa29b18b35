/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sorted array: some hundreds of ranges at most, searched far more often than changed. */
#include "model/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range that ends after addr. */
static size_t first_after(const struct region_set *s, uint64_t addr)
{
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (s->v[middle].end > addr)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

static int grow(struct region_set *s)
{
        size_t room = s->room ? s->room * 2 : 16;
        struct region *v;

        if (s->n < s->room)
                return 0;
        v = realloc(s->v, room * sizeof(*v));
        if (!v)
                return -ENOMEM;
        s->v = v;
        s->room = room;
        return 0;
}

int region_add(struct region_set *s, uint64_t start, uint64_t end)
{
        size_t i, j;

        if (start >= end)
                return 0;
        if (grow(s) < 0)
                return -ENOMEM;
        /* Ranges [i, j) touch the new one and are joined with it. */
        i = start ? first_after(s, start - 1) : 0;
        for (j = i; j < s->n && s->v[j].start <= end; j++) {
                if (s->v[j].start < start)
                        start = s->v[j].start;
                if (s->v[j].end > end)
                        end = s->v[j].end;
        }
        memmove(&s->v[i + 1], &s->v[j], (s->n - j) * sizeof(s->v[0]));
        s->n = s->n - (j - i) + 1;
        s->v[i] = (struct region){ start, end };
        return 0;
}

int region_remove(struct region_set *s, uint64_t start, uint64_t end)
{
        size_t i;

        if (start >= end)
                return 0;
        if (grow(s) < 0)
                return -ENOMEM;
        i = first_after(s, start);
        while (i < s->n && s->v[i].start < end) {
                struct region *r = &s->v[i];

                if (r->start < start && r->end > end) {
                        memmove(r + 1, r, (s->n - i) * sizeof(*r));
                        s->n++;
                        r[0].end = start;
                        r[1].start = end;
                        return 0;
                }
                if (r->start < start) {
                        r->end = start;
                        i++;
                } else if (r->end > end) {
                        r->start = end;
                        return 0;
                } else {
                        memmove(r, r + 1, (s->n - i - 1) * sizeof(*r));
                        s->n--;
                }
        }
        return 0;
}

int region_copy(struct region_set *to, const struct region_set *from)
{
        struct region *v = from->n ? malloc(from->n * sizeof(*v)) : NULL;

        if (from->n && !v)
                return -ENOMEM;
        if (v)
                memcpy(v, from->v, from->n * sizeof(*v));
        *to = (struct region_set){ .v = v, .n = from->n, .room = from->n };
        return 0;
}

const struct region *region_at_or_after(const struct region_set *s, uint64_t addr)
{
        size_t i = first_after(s, addr);

        return i < s->n ? &s->v[i] : NULL;
}

bool region_holds(const struct region_set *s, uint64_t start, uint64_t end)
{
        const struct region *r = region_at_or_after(s, start);

        return r && r->start <= start && r->end >= end;
}

bool region_touches(const struct region_set *s, uint64_t start, uint64_t end)
{
        const struct region *r = region_at_or_after(s, start);

        return r && r->start < end;
}

void region_clear(struct region_set *s)
{
        free(s->v);
        *s = (struct region_set){ 0 };
}
