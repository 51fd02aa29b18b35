/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_PAGE_MOVE_H
#define STORE_PAGE_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/medium.h"
#include "store/page-drain.h"
#include "sys/loop.h"

struct page_port;

#define PAGE_MOVE_BYTES ((size_t)PAGE_MOVE_MOST * STORE_PAGE)

/* A row of pages that a port moves. */
struct page_move {
        struct medium_io medium;
        struct op op;
        bool is_on;    /* the port is the mover */
        bool stopping; /* it ends with what is under way */
        bool reread;   /* what was read first was wrong */
        struct page_row row;
        uint32_t run, sent, sent_units; /* of the row: pages that are being written, and what has been before */
        uint64_t again_at;              /* ns: not before; it has failed */
        char *memory;                   /* PAGE_MOVE_BYTES, in the port's registered buffer */
        char open[STORE_PAGE], page[STORE_PAGE];
};

/* Begins to move pages, if that is due and nobody does it. */
void page_move_look(struct page_port *port);

/* Ends it, before the port is closed: turns the loop until what is under way has ended. */
void page_move_stop(struct page_port *port);

#endif
