/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One of the orders that events may have had, as far as it was tried: what is done, and where the memory is by then. */
#include "model/order-trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void trial_clear(struct trial *t)
{
        free(t->done);
        free(t->frees);
        free(t->order);
        free(t->considered);
        region_clear(&t->certain);
        region_clear(&t->gone);
        pieces_clear(&t->pieces);
}

static int trial_new(struct trial *t, size_t n)
{
        *t = (struct trial){
                .done = calloc(n, sizeof(*t->done)),
                .frees = malloc(n * sizeof(*t->frees)),
                .order = malloc(n * sizeof(*t->order)),
                .considered = calloc(n, sizeof(*t->considered)),
        };
        if (!t->done || !t->frees || !t->order || !t->considered)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                t->frees[i] = NOBODY;
        return 0;
}

int trial_copy(struct trial *to, const struct trial *from, size_t n)
{
        if (trial_new(to, n) < 0)
                return -ENOMEM;
        memcpy(to->done, from->done, n * sizeof(*to->done));
        memcpy(to->frees, from->frees, n * sizeof(*to->frees));
        memcpy(to->order, from->order, n * sizeof(*to->order));
        memcpy(to->considered, from->considered, n * sizeof(*to->considered));
        to->n_order = from->n_order;
        to->first = from->first;
        return region_copy(&to->certain, &from->certain) | region_copy(&to->gone, &from->gone) |
               pieces_copy(&to->pieces, &from->pieces);
}

int trial_begin(struct trial *t, const struct order_question *q)
{
        const struct region_set *certain = q->certain;
        int r = trial_new(t, q->n);

        if (r == 0)
                r = region_copy(&t->certain, certain);
        for (size_t i = 0; i < certain->n && r == 0; i++)
                r = pieces_add(&t->pieces, certain->v[i].start, certain->v[i].start,
                               certain->v[i].end - certain->v[i].start);
        return r;
}

int trial_carry_out(const struct search *s, struct trial *t, uint32_t e)
{
        const struct order_event *event = &s->q->events[e];
        int r = 0;

        t->done[e] = 1;
        while (t->first < s->q->n && t->done[t->first])
                t->first++;
        if (s->pair[e] != NOBODY)
                return 0;
        t->order[t->n_order++] = e;
        switch (event->kind) {
        case ORDER_REMOVE:
                return pieces_discard(&t->pieces, event->start, event->end);
        case ORDER_UNMAP:
                return pieces_drop(&t->pieces, event->start, event->end) |
                       region_remove(&t->certain, event->start, event->end) |
                       region_add(&t->gone, event->start, event->end);
        case ORDER_REMAP:
                r = pieces_move(&t->pieces, event->start, event->to, event->end - event->start) |
                    region_remove(&t->certain, event->start, event->end) |
                    region_add(&t->certain, event->to, target_end(event));
                if (s->returned[e] != e) /* not MREMAP_DONTUNMAP */
                        r |= region_add(&t->gone, event->start, event->end);
                r |= region_remove(&t->gone, event->to, target_end(event));
                break;
        }
        return r;
}
