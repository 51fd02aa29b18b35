// SPDX-License-Identifier: GPL-2.0-or-later
/* In place of the other files nbd-*.c where vmpager is built without libnbd: there is no server to be opened. */
#include <errno.h>
#include <stdlib.h>

#include "store/nbd-link.h"
#include "util/error.h"

int nbd_server_open(const struct nbd_config *config, struct nbd_server **out, struct error *e)
{
        (void)out;
        return error_set(e, -ENOTSUP,
                         "store %s: %s cannot be used: this vmpagerd was built without libnbd; "
                         "install it (Debian: libnbd-dev) and build anew, or name a file or a block device",
                         config->name, config->uri);
}

void nbd_server_close(struct nbd_server *server)
{
        (void)server;
}

/* Nobody has a server to call these with. */

bool nbd_server_is_lost(const struct nbd_server *server)
{
        (void)server;
        abort();
}

const struct nbd_facts *nbd_server_facts(const struct nbd_server *server)
{
        (void)server;
        abort();
}

int nbd_link_open(struct nbd_server *server, struct loop *loop, struct nbd_link **out)
{
        (void)server;
        (void)loop;
        (void)out;
        return -ENOTSUP;
}

void nbd_link_close(struct nbd_link *link)
{
        (void)link;
}

void nbd_link_transfer(struct nbd_link *link, struct nbd_transfer *t)
{
        (void)link;
        (void)t;
        abort();
}

void nbd_link_trim(struct nbd_link *link, struct nbd_transfer *t)
{
        (void)link;
        (void)t;
        abort();
}
