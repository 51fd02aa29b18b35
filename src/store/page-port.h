/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What page-port.c, page-write.c and page-read.c share: a store_io's part while it is under way. It goes on page by
 * page from `next`; what can be moved in one I/O of the medium is a run.
 */
#ifndef STORE_PAGE_PORT_H
#define STORE_PAGE_PORT_H

#include "store/codec.h"
#include "store/medium.h"
#include "store/page-bounce.h"
#include "store/page-discard.h"
#include "store/page-move.h"
#include "store/page-store-internal.h"
#include "store/page-turn.h"
#include "store/ram.h"
#include "store/seal.h"

/* Packed pages of an owner that are being written back. */
struct page_back {
        struct medium_io medium;
        struct page_port *port;
        struct store_owner *owner; /* NULL: nothing is written back */
        uint64_t since;            /* ns: when it has begun */
        uint64_t bytes;            /* of memory that they take */
        struct bounce *bounce;
        struct ram_old old[BOUNCE_PAGES]; /* of the pages in the bounce */
        uint32_t run;                     /* of them: under way */
        unsigned part;
};

struct page_port {
        struct store_port base;
        struct medium_port *medium[SPREAD_MOST];
        struct codec_work *codec;
        struct seal_work *seal;
        char *memory; /* of bounces, and of pages on the move */
        size_t memory_bytes;
        int buffer; /* index of the registered buffer that it is, -1: not registered */
        struct page_bounces bounces;
        struct page_turns turns;
        struct page_back back[SPREAD_MOST]; /* one at a time, or another beside those that hang */
        uint64_t back_after;                /* ns: none begins before; one has failed */
        struct page_move move;
        struct page_discarder discarder;
};

/* In store_io.private_, while it is under way. */
struct __attribute__((may_alias)) page_io {
        struct medium_io medium;
        struct page_port *port;
        struct page_io *next_waiting;
        struct bounce *bounce; /* NULL: the run is moved to or from the caller's memory */
        uint32_t next;         /* the first page that nothing was done about yet */
        uint32_t run;          /* pages under way from there on, or in the bounce */
        unsigned part;         /* medium */
        bool reread;           /* what was read first was wrong */
        int result;
        struct op op;
};

_Static_assert(sizeof(struct page_io) <= sizeof(((struct store_io *)0)->private_), "page_io fits store_io");
_Static_assert(_Alignof(struct page_io) <= 16, "page_io is aligned in store_io");

static inline struct page_io *page_io_of(struct store_io *io)
{
        return (struct page_io *)io->private_;
}

static inline struct store_io *store_io_of(struct page_io *p)
{
        return (struct store_io *)((char *)p - offsetof(struct store_io, private_));
}

static inline struct page_store *page_store_of_port(const struct page_port *port)
{
        return page_store_of(port->base.store);
}

/* A page of the caller's. */
static inline char *page_io_memory(const struct store_io *io, uint32_t page)
{
        return (char *)io->memory + (size_t)page * STORE_PAGE;
}

/* The I/O is over: calls its done(). Not inside submit(). */
void page_io_end(struct store_io *io, int result);

/* The same in the loop's next turn. Nothing is under way for it. */
void page_io_end_later(struct store_io *io, int result);

/*
 * Nothing was found for a write that has been promised room: goes on when what is being discarded is free again, or
 * ends it where nothing is.
 */
void page_io_no_room(struct store_io *io);

/* Calls page_write_on() or page_read_on() in the loop's next turn. */
void page_io_go_on_later(struct store_io *io);

/* Starts an I/O of the medium between `memory` and unit `at` of medium p->part. */
void page_io_move(struct page_io *p, uint64_t at, uint32_t units, void *memory, int buffer, medium_done_fn done);

/* What a page of an owner is sealed with and padded to, at the end of what is in a bounce. 0 or a negative errno. */
int page_port_add(struct page_port *port, struct bounce *b, const struct store_owner *owner, store_loc loc,
                  size_t bytes, enum codec codec);

/* A part of a bounce that goes to adjacent units. */
struct bounce_part {
        uint32_t pages;
        unsigned medium;
        uint64_t at; /* unit */
        uint32_t units;
        char *memory;
};

/*
 * Finds room for what is in the bounce and was not sent: for as many of its pages as go in one piece, which are in
 * *part then, and know their places. It was promised to the locations of the write io; NULL: it was not, and is what is
 * free beyond that. False: not even for one; part->medium is as spread_take() has it.
 */
bool page_port_find(struct page_port *port, const struct store_io *io, struct bounce *b, struct bounce_part *part);

/*
 * Writes some of the oldest packed pages of the owner back, unless others are being written back by the port, and that
 * does not hang.
 */
void page_back_start(struct page_port *port, struct store_owner *owner);

/* The same, if they take almost as much memory as they may. */
void page_back_look(struct page_port *port, struct store_owner *owner);

/* Goes on with a write or read at page `next`, until it is over. */
void page_write_on(struct store_io *io);
void page_read_on(struct store_io *io);

#endif
