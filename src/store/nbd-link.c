// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A link has connections of its own (nbd-pool.c), or shares one with all others (nbd-relay.c).
 */
#include "store/nbd-link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/nbd-link-internal.h"
#include "store/nbd-pool.h"
#include "store/nbd-relay.h"

struct nbd_link {
        struct nbd_server *server;
        struct loop *loop;
        struct nbd_pool *pool; /* NULL: the server's relay */
        unsigned under_way;
};

struct loop *nbd_link_loop(const struct nbd_link *link)
{
        return link->loop;
}

struct nbd_server *nbd_link_server(const struct nbd_link *link)
{
        return link->server;
}

void nbd_link_ended(struct nbd_transfer *t)
{
        t->private_.link->under_way--;
        t->done(t, t->private_.result < 0 ? t->private_.result : (int)t->bytes);
}

int nbd_link_open(struct nbd_server *server, struct loop *loop, struct nbd_link **out)
{
        struct nbd_link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        link->server = server;
        link->loop = loop;
        r = server->relay ? 0 : nbd_pool_new(server, loop, nbd_link_ended, &link->pool);
        if (r < 0) {
                free(link);
                return r;
        }
        atomic_fetch_add(&server->links, 1);
        *out = link;
        return 0;
}

void nbd_link_close(struct nbd_link *link)
{
        if (!link)
                return;
        assert(!link->under_way);
        nbd_pool_free(link->pool);
        atomic_fetch_sub(&link->server->links, 1);
        free(link);
}

static void on_refused(void *arg)
{
        nbd_link_ended(arg);
}

static void submit(struct nbd_link *link, struct nbd_transfer *t, enum nbd_verb verb)
{
        const struct nbd_facts *facts = &link->server->facts;

        assert(t->bytes && t->bytes <= INT32_MAX && t->offset <= facts->bytes && t->bytes <= facts->bytes - t->offset);
        assert(t->bytes % facts->block_min == 0 && t->offset % facts->block_min == 0);
        t->in_doubt = false;
        t->private_.link = link;
        t->private_.verb = verb;
        t->private_.issued = 0;
        t->private_.parts = 0;
        t->private_.result = 0;
        t->private_.first_at = 0;
        link->under_way++;
        if (verb == NBD_TRIM && !facts->trim) {
                t->private_.result = -EOPNOTSUPP;
                loop_post_with(link->loop, &t->private_.post, on_refused, t);
        } else if (link->pool) {
                nbd_pool_submit(link->pool, t);
        } else {
                nbd_relay_submit(link->server->relay, t);
        }
}

void nbd_link_transfer(struct nbd_link *link, struct nbd_transfer *t)
{
        submit(link, t, t->write ? NBD_WRITE : NBD_READ);
}

void nbd_link_trim(struct nbd_link *link, struct nbd_transfer *t)
{
        submit(link, t, NBD_TRIM);
}
