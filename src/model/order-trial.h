/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What order.c and order-trial.c share; nobody else includes it. */
#ifndef MODEL_ORDER_TRIAL_H
#define MODEL_ORDER_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/order.h"

#define NOBODY UINT32_MAX

/* An order as far as it was tried. */
struct trial {
        uint8_t *done;
        uint32_t *frees; /* by event: the IN that it frees the target of, NOBODY */
        uint32_t *order;
        uint32_t n_order;
        uint32_t first;            /* all before it are done */
        struct region_set certain; /* occupied */
        struct region_set gone;    /* free for certain, but for what has grown since */
        struct pieces pieces;
        uint32_t *considered; /* by event: up to where it was decided of each event whether it made room for it */
};

/* What is looked for, and what was found. */
struct search {
        const struct order_question *q;
        uint32_t *returned; /* by REMAP: number of the UNMAP that belongs to it; itself where that is not sure */
        uint32_t *pair;     /* by UNMAP: the REMAP that it belongs to, NOBODY */
        unsigned trials;
        bool conflict;   /* the order matters */
        bool suspicious; /* more may have been mapped than is certain */
        bool refills;    /* and what has grown over a hole may be one with its neighbours */
        bool choosing;   /* another order with that verdict is looked for */
        bool chosen;
        bool ambiguous;   /* two outcomes agree with the page tables */
        bool unfinished;  /* not all that is likely was tried */
        uint64_t verdict; /* on the outcome; 0: none */
        uint32_t *order;
        size_t *n_order;
};

static inline uint64_t target_end(const struct order_event *e)
{
        return e->to + (e->end - e->start);
}

/*
 * A trial in which nothing was done yet, and one that goes on from another, with n events. Return 0 or -ENOMEM, and in
 * any case trial_clear() has to free it.
 */
int trial_begin(struct trial *t, const struct order_question *q);
int trial_copy(struct trial *to, const struct trial *from, size_t n);
void trial_clear(struct trial *t);

/* Carries event e out. Returns 0 or -ENOMEM. */
int trial_carry_out(const struct search *s, struct trial *t, uint32_t e);

#endif
