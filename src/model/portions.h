/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_PORTIONS_H
#define MODEL_PORTIONS_H

#include <stdint.h>

/*
 * What several users take from, each of whom may keep for seconds what he has: half of it is divided evenly among them,
 * so that each is sure of his portion whatever the others do, and the rest is for whoever comes. A single user may have
 * all of it. Only numbers are kept: which ones, or what, is the caller's.
 */
#define PORTIONS_MOST 16u

struct portions {
        uint32_t n;      /* users */
        uint32_t each;   /* what each is sure of */
        uint32_t rest;   /* what is for all */
        uint32_t common; /* of that: what is left */
        uint32_t has[PORTIONS_MOST];
};

/* Of `all`, which is n at least, for n users, 1 to PORTIONS_MOST. Nobody has anything yet. */
void portions_init(struct portions *p, uint32_t all, uint32_t n);

/* How many more the user may have now, and how many at most, if nobody else has anything. */
uint32_t portions_left(const struct portions *p, uint32_t user);
uint32_t portions_most(const struct portions *p);

/* The user takes n, no more than are left for him, or gives n back, of those that he has. */
void portions_take(struct portions *p, uint32_t user, uint32_t n);
void portions_give(struct portions *p, uint32_t user, uint32_t n);

#endif
