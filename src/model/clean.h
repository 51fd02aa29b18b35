/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_CLEAN_H
#define MODEL_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Where the store still has what a page was when it was last fetched: address -> location, with one reference to each
 * location. It is a memory of what may be of use and no more. It says nothing of what the page is now, and forgets what
 * it has no place for.
 *
 * Sets of a few places each, by the page's number; 8 bytes a place, touched as used. Who takes a location out, or is
 * given one back, has its reference from then on.
 */
struct clean {
        uint64_t *v;   /* sets * CLEAN_WAYS places, NULL: none */
        uint64_t sets; /* a power of two */
        uint64_t n;    /* notes */
};

#define CLEAN_WAYS 4u

/* Places for about so many pages, none taken. Returns 0 or -ENOMEM. */
int clean_init(struct clean *c, uint64_t pages);

/* Frees the table, which is to have no notes: see clean_forget(). */
void clean_clear(struct clean *c);

/*
 * Notes where a page is; addr is below PTABLE_END. Returns whether there is another location that is to be given back
 * for it, in *out: an older note of the same page, or one that has lost its place.
 */
bool clean_note(struct clean *c, uint64_t addr, uint64_t loc, uint64_t *out);

/* What is noted of a page, if anything is. */
bool clean_find(const struct clean *c, uint64_t addr, uint64_t *loc);

/* The same, and takes the note out. */
bool clean_take(struct clean *c, uint64_t addr, uint64_t *loc);

/* Takes out all notes of pages in [start, end), and gives each location to fn. */
void clean_forget(struct clean *c, uint64_t start, uint64_t end, void (*fn)(void *arg, uint64_t loc), void *arg);

#endif
