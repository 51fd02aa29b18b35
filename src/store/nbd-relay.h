/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_NBD_RELAY_H
#define STORE_NBD_RELAY_H

struct nbd_relay;
struct nbd_server;
struct nbd_transfer;

/* Starts the thread that has the server's one connection. 0 or a negative errno; *out is untouched on failure. */
int nbd_relay_start(struct nbd_server *server, struct nbd_relay **out);

/* Ends it; nothing is under way. Takes NULL. */
void nbd_relay_stop(struct nbd_relay *relay);

/*
 * Carries out a transfer of a link (t->private_.link and verb are filled in) in the relay's thread. nbd_link_ended()
 * is called in the link's.
 */
void nbd_relay_submit(struct nbd_relay *relay, struct nbd_transfer *t);

#endif
