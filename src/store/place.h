/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* Where the page of a location is. */
enum place_kind {
        PLACE_NONE = 0, /* the location is free, or its page was not written yet */
        PLACE_MEDIUM,   /* in whole units from unit `at` on, of medium number `medium` */
        PLACE_FILLED,   /* nowhere: it is the word `at`, of 8 bytes, over and over */
        PLACE_RAM,      /* in memory: `at` is the address of its ram_object */
};

struct place {
        uint64_t at;
        uint16_t bytes; /* what it was packed to; STORE_PAGE with CODEC_NONE */
        uint8_t kind;
        uint8_t medium;
        uint8_t codec;
        bool sealed; /* encrypted; see seal.h */
        uint8_t reserved[2];
};

/* Whether the bytes that a medium has of it are the page's own. */
static inline bool place_is_plain(const struct place *p)
{
        return p->codec == 0 && !p->sealed;
}

#endif
