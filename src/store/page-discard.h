/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freed space that is given back to the media: what is chosen, and the port that has it done.
 */
#ifndef STORE_PAGE_DISCARD_H
#define STORE_PAGE_DISCARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/medium.h"
#include "store/spread.h"
#include "sys/loop-alarm.h"

struct page_port;
struct page_store;

/* Of one medium. */
struct page_discard_part {
        bool is_on;          /* it can discard, and has not refused to */
        bool busy;           /* a port has one under way */
        bool complained;     /* of one that has failed */
        uint32_t stride;     /* groups of the unit map: a discard is of a multiple of as many */
        uint32_t hand;       /* group at which the next look begins */
        uint64_t not_before; /* ns: of that look */
};

/* In struct page_store; locked with it, but for what is atomic. */
struct page_discard {
        struct page_discard_part part[SPREAD_MOST];
        _Atomic unsigned n_on;      /* media of which is_on is set */
        _Atomic unsigned under_way; /* discards */
};

/* A port's part: one discard. */
struct page_discarder {
        struct medium_io medium;
        struct loop_alarm alarm; /* the next look */
        bool is_on;              /* a discard is under way */
        bool stopping;           /* there will be no other */
        unsigned part;           /* its medium */
        uint64_t began;          /* ns */
};

/* The media of the store are known. */
void page_discard_init(struct page_store *s);

/* Prepares a zeroed port. */
void page_discard_start(struct page_port *port);

/* Something may have become stale: the port looks at it, later. */
void page_discard_look(struct page_port *port);

/* Ends it, before the port is closed: turns the loop until what is under way has ended. */
void page_discard_stop(struct page_port *port);

/* Whether units are being discarded, which are free afterwards. From any thread. */
bool page_discard_is_under_way(struct page_store *s);

#endif
