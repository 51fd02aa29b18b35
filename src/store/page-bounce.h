/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounces: memory of a port's, in which packed pages lie as they do on the medium. Those for reads and those for writes
 * are apart, so that no read waits for a write. Each kind is divided among the media (portions.h), so that one which
 * hangs does not keep what the others need.
 */
#ifndef STORE_PAGE_BOUNCE_H
#define STORE_PAGE_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/portions.h"
#include "store/place.h"
#include "store/seal.h"
#include "store/spread.h"

#define BOUNCE_PAGES 64u

struct page_io;
struct page_port;

/* A page in a bounce. */
struct bounce_page {
        uint32_t page; /* of the I/O */
        uint8_t units;
        struct place place; /* of a write: `at` and `medium` follow when units were found */
        struct seal seal;   /* of a write */
};

/* Memory on the way between pages as they are and what the medium has of them. */
struct bounce {
        struct bounce *next;
        struct page_port *port;
        bool write;     /* what it is for */
        unsigned part;  /* of a read: the medium */
        char *memory;   /* BOUNCE_PAGES pages */
        uint32_t n;     /* pages that are in it, one behind another, each in whole units */
        uint32_t units; /* of all of them */
        uint32_t sent;  /* of a write: how many of them were written */
        struct bounce_page v[BOUNCE_PAGES];
};

/* I/Os that wait, in order; the last means nothing without a first. */
struct page_queue {
        struct page_io *first, *last;
};

struct page_bounces {
        struct bounce *all;
        unsigned n;
        struct bounce *free_read, *free_write;
        struct portions reads;                  /* by medium: bounces in use */
        struct portions writes;                 /* and those that are being written */
        struct page_queue reading[SPREAD_MOST]; /* reads that wait for one, by medium */
        struct page_queue writing;              /* writes that do */
};

/* Adds an I/O at the end; takes the first one. */
void page_queue_add(struct page_queue *q, struct page_io *p);
struct page_io *page_queue_take(struct page_queue *q); /* NULL: there is none */

/* How many bounces a port has for so many media, and how many bytes of memory they take. */
unsigned page_bounces_for(unsigned media);
#define BOUNCE_BYTES ((size_t)BOUNCE_PAGES * STORE_PAGE)

/* Sets up a port's, in that memory. 0 or -ENOMEM. */
int page_bounces_new(struct page_port *port, char *memory);
void page_bounces_free(struct page_port *port);

/*
 * Takes a bounce: of a read for its medium, p->part. False: there is none, and the I/O goes on (page_write_on(),
 * page_read_on()) when there is; that waits for I/Os that are under way. page_io_put_bounce() gives it back, if it has
 * one.
 */
bool page_io_take_bounce(struct page_io *p);
void page_io_put_bounce(struct page_io *p);

/* Takes a bounce to write, if there is a free one, and gives it back. */
struct bounce *page_port_bounce(struct page_port *port);
void page_port_bounce_free(struct bounce *b);

#endif
