/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_NBD_SERVER_H
#define STORE_NBD_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct nbd_server;

struct nbd_config {
        const char *name;     /* of the [store NAME] section, for messages */
        const char *uri;      /* nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH, nbds: the same with TLS */
        unsigned connections; /* of each worker; where the server has no multi-conn: one in all */
        uint64_t timeout_ns;  /* for an answer, and for a server that is lost to come back */
};

/* The least size of an export, in bytes. */
#define NBD_MIN_BYTES (1u << 20)

/* The most connections of a worker. */
#define NBD_CONNECTIONS_MOST 16u

/* What the server said of its export when the daemon started. */
struct nbd_facts {
        uint64_t bytes;           /* rounded down to 4096 */
        uint32_t block_min;       /* NBD_INFO_BLOCK_SIZE; 1 where it says nothing */
        uint32_t block_preferred; /* 4096 where it says nothing */
        uint32_t request_most;    /* bytes of one request that goes over the wire: larger transfers are split */
        bool trim, flush, fua;
        bool multi_conn; /* what one connection has written, another reads */
        bool tls;
};

/*
 * Connects to the server, waiting for it at most config->timeout_ns (and for the resolver, where the URI has a name),
 * and learns what it has. The texts of the configuration are copied. *out may be used by all threads.
 *
 * Returns 0, or a negative errno with a text in e: a URI that is none, no server, one that says nothing, an export
 * that is read-only, too small, or has blocks larger than a page; -ENOTSUP where vmpager was built without libnbd.
 */
int nbd_server_open(const struct nbd_config *config, struct nbd_server **out, struct error *e);

/* Takes leave of the server. All links are closed by then. Takes NULL. */
void nbd_server_close(struct nbd_server *server);

/* Whether a link has no connection to it just now. From any thread. */
bool nbd_server_is_lost(const struct nbd_server *server);

/* What the server is; it stays as it is, since a server that has changed is not used. */
const struct nbd_facts *nbd_server_facts(const struct nbd_server *server);

#endif
