/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nbd-relay.c needs of a link; nobody else includes it. */
#ifndef STORE_NBD_LINK_INTERNAL_H
#define STORE_NBD_LINK_INTERNAL_H

#include "store/nbd-internal.h"

/* A transfer has ended: calls its done(). In the link's thread. */
void nbd_link_ended(struct nbd_transfer *t);

/* Where the link lives, and what it leads to. From any thread. */
struct loop *nbd_link_loop(const struct nbd_link *link);
struct nbd_server *nbd_link_server(const struct nbd_link *link);

#endif
