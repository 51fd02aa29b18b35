/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include <stdint.h>

/* Where the page of a location is. */
enum place_kind {
        PLACE_NONE = 0, /* the location is free, or its page was not written yet */
        PLACE_MEDIUM,   /* `bytes` from unit `at` on, of medium number `medium` */
};

struct place {
        uint64_t at;
        uint16_t bytes; /* STORE_PAGE: as it is */
        uint8_t kind;
        uint8_t medium;
        uint8_t reserved[4];
};

/*
 * A table of places, one for each of `n` locations, all NONE: memory that is taken as it is touched. Returns 0 or
 * -ENOMEM. places_free() takes what places_new() gave, or NULL.
 */
int places_new(uint64_t n, struct place **out);
void places_free(struct place *places, uint64_t n);

#endif
