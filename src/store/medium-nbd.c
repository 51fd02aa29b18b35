// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An export of an NBD server as a medium: each port is a link (nbd-link.h), which waits for a server that is lost, and
 * repeats. What comes after that waiting is an error like any other device's.
 *
 * Units that the server may write once more at a later time are put in doubt (doubt.h) before their write ends, and so
 * never become free again.
 */
#include "store/medium-nbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/doubt.h"
#include "store/medium.h"
#include "store/nbd-link.h"
#include "store/store.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"

#define SIZE_TEXT 32

/* Bytes of one trim, which are all in doubt when the server is lost meanwhile. */
#define TRIM_MOST (1u << 20)

struct medium_nbd {
        struct medium base;
        struct nbd_server *server;
};

struct nbd_port {
        struct medium_port base;
        struct nbd_link *link;
};

/* In medium_io.private_, during a transfer. */
struct __attribute__((may_alias)) nbd_move {
        struct nbd_transfer t;
};

_Static_assert(sizeof(struct nbd_move) <= sizeof(((struct medium_io *)0)->private_), "nbd_move fits medium_io");
_Static_assert(_Alignof(struct nbd_move) <= 16, "nbd_move is aligned in medium_io");

static struct medium_nbd *nbd_of(struct medium *m)
{
        return (struct medium_nbd *)m;
}

static void on_moved(struct nbd_transfer *t, int res)
{
        struct medium_io *io = (struct medium_io *)((char *)t - offsetof(struct medium_io, private_));
        struct medium *m = io->port->medium;

        if (t->in_doubt)
                doubt_add(m->doubt, t->offset / m->unit, t->bytes / m->unit);
        medium_transferred(io, res);
}

static void nbd_transfer(struct medium_port *base, struct medium_io *io)
{
        struct nbd_transfer *t = &((struct nbd_move *)io->private_)->t;

        *t = (struct nbd_transfer){
                .done = on_moved,
                .write = io->write,
                .bytes = io->asked,
                .offset = io->at * base->medium->unit + io->moved,
                .memory = io->discard ? NULL : (char *)io->memory + io->moved,
        };
        if (io->discard)
                nbd_link_trim(((struct nbd_port *)base)->link, t);
        else
                nbd_link_transfer(((struct nbd_port *)base)->link, t);
}

static int nbd_port_open(struct medium *m, struct loop *loop, struct medium_port **out)
{
        struct nbd_port *port = calloc(1, sizeof(*port));
        int r;

        if (!port)
                return -ENOMEM;
        r = nbd_link_open(nbd_of(m)->server, loop, &port->link);
        if (r < 0) {
                free(port);
                return r;
        }
        *out = &port->base;
        return 0;
}

static void nbd_port_close(struct medium_port *base)
{
        struct nbd_port *port = (struct nbd_port *)base;

        nbd_link_close(port->link);
        free(port);
}

static void nbd_destroy(struct medium *m)
{
        nbd_server_close(nbd_of(m)->server);
        doubt_free(m->doubt);
        free(m);
}

static bool nbd_is_away(const struct medium *m)
{
        return nbd_server_is_lost(((const struct medium_nbd *)m)->server);
}

static const struct medium_ops nbd_ops = {
        .name = "nbd",
        .destroy = nbd_destroy,
        .port_open = nbd_port_open,
        .port_close = nbd_port_close,
        .transfer = nbd_transfer,
        .is_away = nbd_is_away,
};

bool medium_nbd_is_uri(const char *path)
{
        return !strncmp(path, "nbd", 3) && strstr(path, "://");
}

int medium_nbd_check_uri(const char *name, const char *uri, struct error *e)
{
        static const char *const schemes[] = { "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock" };
        size_t len = strcspn(uri, ":");
        unsigned i = 0;

#ifndef HAVE_LIBNBD
        return error_set(e, -ENOTSUP, "store %s: this vmpagerd was built without libnbd and cannot use %s", name, uri);
#endif
        while (i < sizeof(schemes) / sizeof(*schemes) &&
               (strlen(schemes[i]) != len || strncmp(schemes[i], uri, len) != 0))
                i++;
        if (i == sizeof(schemes) / sizeof(*schemes))
                return error_set(e, -EINVAL,
                                 "store %s: %s: there are nbd://, nbd+unix:// and nbd+vsock://, and nbds for "
                                 "TLS",
                                 name, uri);
        if (strstr(schemes[i], "+unix") && !strstr(uri, "socket="))
                return error_set(e, -EINVAL, "store %s: %s names no socket: say %s:///EXPORT?socket=PATH", name, uri,
                                 schemes[i]);
        return 0;
}

/* The bytes of the export that are used. */
static int size_of(const struct medium_nbd_config *c, uint64_t has, uint64_t *out, struct error *e)
{
        uint64_t bytes = c->size ? c->size - c->size % STORE_PAGE : has;
        char wanted[SIZE_TEXT], had[SIZE_TEXT];

        if (bytes > has)
                return error_set(e, -ENOSPC,
                                 "store %s: size=%s (%" PRIu64 " bytes) is more than %s has: %s (%" PRIu64 " bytes)",
                                 c->name, size_format(c->size, wanted, sizeof(wanted)), c->size, c->uri,
                                 size_format(has, had, sizeof(had)), has);
        if (bytes < MEDIUM_MIN_BYTES)
                return error_set(e, -EINVAL, "store %s: size=%" PRIu64 " is too small; the least is %s", c->name,
                                 c->size, size_format(MEDIUM_MIN_BYTES, wanted, sizeof(wanted)));
        *out = bytes;
        return 0;
}

static void find_discard(const struct medium_nbd_config *c, const struct nbd_facts *facts, struct medium *m)
{
        m->discard.wanted = c->discard;
        if (c->discard == MEDIUM_DISCARD_NO)
                return;
        if (!facts->trim) {
                if (c->discard == MEDIUM_DISCARD_YES)
                        log_warning("store %s: the NBD server %s takes no trim: discard = yes has no effect", c->name,
                                    c->uri);
                return;
        }
        m->discard.most = TRIM_MOST;
        m->discard.grain = facts->block_preferred;
        m->discard.stale = true;
}

static int open_all(const struct medium_nbd_config *c, struct medium_nbd *n, struct error *e)
{
        struct nbd_config server = {
                .name = c->name, .uri = c->uri, .connections = c->connections, .timeout_ns = c->timeout_ns
        };
        const struct nbd_facts *facts;
        uint64_t bytes = 0;
        int r = nbd_server_open(&server, &n->server, e);

        if (r < 0)
                return r;
        facts = nbd_server_facts(n->server);
        r = size_of(c, facts->bytes, &bytes, e);
        if (r < 0)
                return r;
        n->base.ops = &nbd_ops;
        n->base.name = c->name;
        n->base.unit = facts->block_min > c->unit ? facts->block_min : c->unit;
        n->base.units = bytes / n->base.unit;
        find_discard(c, facts, &n->base);
        r = doubt_new(n->base.units, &n->base.doubt);
        return r < 0 ? error_set(e, r, "store %s: out of memory", c->name) : 0;
}

int medium_nbd_open(const struct medium_nbd_config *config, struct medium **out, struct error *e)
{
        struct medium_nbd *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return error_set(e, -ENOMEM, "store %s: out of memory", config->name);
        r = open_all(config, n, e);
        if (r < 0) {
                nbd_destroy(&n->base);
                return r;
        }
        *out = &n->base;
        return 0;
}
