/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An unsorted array: there are as many pieces as ranges that some dozen events name. */
#include "model/pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct pieces *p, size_t more)
{
        size_t room = p->room ? p->room : 16;
        struct piece *v;

        if (p->n + more <= p->room)
                return 0;
        while (room < p->n + more)
                room *= 2;
        v = realloc(p->v, room * sizeof(*v));
        if (!v)
                return -ENOMEM;
        p->v = v;
        p->room = room;
        return 0;
}

int pieces_add(struct pieces *p, uint64_t origin, uint64_t at, uint64_t len)
{
        if (reserve(p, 1) < 0)
                return -ENOMEM;
        p->v[p->n++] = (struct piece){ .origin = origin, .at = at, .len = len };
        return 0;
}

/* Cuts the pieces that reach over addr in two. */
static int cut(struct pieces *p, uint64_t addr)
{
        if (reserve(p, 1) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n; i++) {
                struct piece *q = &p->v[i];
                uint64_t head = addr - q->at;

                if (addr <= q->at || addr >= q->at + q->len)
                        continue;
                p->v[p->n++] = (struct piece){ q->origin + head, addr, q->len - head, q->discarded };
                q->len = head;
                break; /* no two overlap */
        }
        return 0;
}

int pieces_drop(struct pieces *p, uint64_t start, uint64_t end)
{
        size_t kept = 0;

        if (cut(p, start) < 0 || cut(p, end) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n; i++)
                if (p->v[i].at < start || p->v[i].at >= end)
                        p->v[kept++] = p->v[i];
        p->n = kept;
        return 0;
}

int pieces_discard(struct pieces *p, uint64_t start, uint64_t end)
{
        if (cut(p, start) < 0 || cut(p, end) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n; i++)
                if (p->v[i].at >= start && p->v[i].at < end)
                        p->v[i].discarded = true;
        return 0;
}

int pieces_move(struct pieces *p, uint64_t from, uint64_t to, uint64_t len)
{
        if (pieces_drop(p, to, to + len) < 0 || cut(p, from) < 0 || cut(p, from + len) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n; i++)
                if (p->v[i].at >= from && p->v[i].at < from + len)
                        p->v[i].at = to + (p->v[i].at - from);
        return 0;
}

int pieces_copy(struct pieces *to, const struct pieces *from)
{
        *to = (struct pieces){ 0 };
        if (from->n == 0)
                return 0;
        if (reserve(to, from->n) < 0)
                return -ENOMEM;
        memcpy(to->v, from->v, from->n * sizeof(from->v[0]));
        to->n = from->n;
        return 0;
}

void pieces_clear(struct pieces *p)
{
        free(p->v);
        *p = (struct pieces){ 0 };
}
