/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files nbd-*.c share; nobody else includes it. */
#ifndef STORE_NBD_INTERNAL_H
#define STORE_NBD_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

#include "store/nbd-link.h"

struct nbd_handle; /* libnbd's: one connection */
struct nbd_pool;
struct nbd_relay;

#define NBD_WHY 200 /* bytes of a text that says why */

struct nbd_server {
        char *name, *uri;
        unsigned connections;
        uint64_t timeout_ns;
        struct nbd_facts facts;
        uint64_t size; /* as the server says it */
        char *export_name;
        struct sockaddr_storage peer;       /* where it was reached, if it is to be reached so again */
        socklen_t peer_len;                 /* 0: by the URI */
        bool resolves;                      /* connecting asks the resolver, and blocks */
        _Atomic(struct nbd_handle *) first; /* the connection of the start, until a pool takes it */
        _Atomic bool lost;                  /* was said to be */
        _Atomic unsigned links;
        struct nbd_relay *relay; /* where there may be one connection only */
};

/* A handle with our settings, or NULL. */
struct nbd_handle *nbd_server_handle(const struct nbd_server *server);

/* Begins to connect, to where the server was found at first. Blocks only where server->resolves. 0 or -1. */
int nbd_server_dial(const struct nbd_server *server, struct nbd_handle *h);

/* Whether what h is connected to is still the server that was opened: 0, or -ESTALE with a text in why[NBD_WHY]. */
int nbd_server_recognize(const struct nbd_server *server, struct nbd_handle *h, char *why);

/* The text of libnbd's last error in this thread, without the name of its function; into why[NBD_WHY]. */
const char *nbd_why(char *why);

/* Ends a connection; tells the server if it listens. */
void nbd_server_leave(struct nbd_handle *h);

#endif
