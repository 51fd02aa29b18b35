/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a write goes to which medium: for one that hangs nobody waits who need not, and it keeps neither all bounces of
 * a port nor all the room of who writes (store_io.room).
 */
#ifndef STORE_PAGE_TURN_H
#define STORE_PAGE_TURN_H

#include <stdbool.h>

#include "store/page-bounce.h"
#include "store/spread.h"
#include "sys/loop-alarm.h"

struct store_io;

struct page_turns {
        struct page_queue held;  /* writes that wait until others have ended on the medium whose turn it is */
        struct loop_alarm alarm; /* when that medium counts as slow */
};

/* What is to be known of the media for a write of io's (NULL: one of the port's own), from a bounce or not. */
struct spread_view page_turn_view(const struct page_port *port, const struct store_io *io, bool bounce);

/* A write to that medium begins, and has ended: then those that wait go on. */
void page_turn_begin(struct page_port *port, const struct store_io *io, bool bounce, unsigned part);
void page_turn_end(struct page_port *port, const struct store_io *io, bool bounce, unsigned part);

/* The write waits, since the medium whose turn it is is held. It goes on later (page_write_on()). */
void page_turn_wait(struct page_io *p, unsigned part);

/* Ends it, before the port is closed: turns the loop until the alarm is gone. */
void page_turn_stop(struct page_port *port);

#endif
