/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_HANDSHAKE_H
#define CLIENT_HANDSHAKE_H

#include "client/session.h"

struct error;

/* Virtual size of a client's page table: enough for 4 TiB of evicted memory; touched as far as it is used. */
#define HANDSHAKE_TABLE_BYTES (8ull << 30)

/* Slots that a client's ring has, by its limit in bytes (0: none). */
uint32_t handshake_slots(uint64_t limit);

/*
 * Checks what came with REGISTER and sets the session's descriptors, ring and exclusions up from it. The first
 * three of fds are userfaultfd, memfd and eventfd; all are taken over, whatever comes of it. 0, or a negative
 * errno with e filled in.
 */
int handshake_register(struct session *s, const struct vmpager_register *reg, int fds[SOCK_MAX_FDS], int n_fds,
                       struct error *e);

/*
 * Sets up the session of a forked child: a ring of the daemon's making, an empty space, and the parent's exclusions.
 * n_slots and ring_bytes are set. 0 or a negative errno.
 */
int handshake_inherit(struct session *s, const struct session *parent);

/*
 * The same as handshake_register() for a session that has all but an agent: an eventfd is all that comes.
 */
int handshake_return(struct session *s, const struct vmpager_register *reg, int fds[SOCK_MAX_FDS], int n_fds,
                     struct error *e);

#endif
