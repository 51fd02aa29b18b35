// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An NBD server as the daemon finds it at its start: reached, looked at, and remembered.
 *
 *     open:  URI -> libnbd connects (resolver, socket, TLS, handshake), within the timeout
 *            -> what it says of the export -> refused, or the facts
 *     later: the pools connect to where it was found
 *
 * A name is resolved once: a resolver blocks, and could be one of our own clients, waiting for a page that is on this
 * server. The exception is TLS over TCP, where libnbd checks the certificate only against a name that it has itself
 * resolved; then a thread waits for it (nbd-conn.c).
 *
 * The connection of the start is kept for the first pool: a server may take one client at a time, or end when
 * its last client goes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#include "store/nbd-internal.h"
#include "store/nbd-relay.h"
#include "store/store.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"

#define NS_PER_MS UINT64_C(1000000)

/* What a server that says nothing of it takes in one request (the protocol's default), and what we ask for at most. */
#define SERVER_MOST  (32u << 20)
#define REQUEST_MOST (256u << 10)

#define SIZE_TEXT 32

const char *nbd_why(char *why)
{
        const char *text = nbd_get_error(), *colon;

        if (!text)
                text = "no reason was given";
        colon = strstr(text, ": ");
        if (!strncmp(text, "nbd_", 4) && colon)
                text = colon + 2;
        snprintf(why, NBD_WHY, "%s", text);
        return why;
}

struct nbd_handle *nbd_server_handle(const struct nbd_server *server)
{
        struct nbd_handle *h = nbd_create();

        if (!h)
                return NULL;
        /* Debugging writes to stderr, where a write may block; the URI is root's, and may name files of keys. */
        if (nbd_set_debug(h, false) < 0 || nbd_set_uri_allow_local_file(h, true) < 0 ||
            (server->peer_len && nbd_set_export_name(h, server->export_name) < 0)) {
                nbd_close(h);
                return NULL;
        }
        return h;
}

int nbd_server_dial(const struct nbd_server *server, struct nbd_handle *h)
{
        if (server->peer_len)
                return nbd_aio_connect(h, (const struct sockaddr *)&server->peer, server->peer_len);
        return nbd_aio_connect_uri(h, server->uri);
}

void nbd_server_leave(struct nbd_handle *h)
{
        if (h && nbd_aio_is_ready(h) > 0)
                nbd_aio_disconnect(h, 0);
        nbd_close(h);
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

/* libnbd's errno, which is 0 for many of its errors. */
static int reason(int otherwise)
{
        int code = nbd_get_errno();

        return code > 0 ? -code : otherwise;
}

/* How far connecting gets in libnbd's first call is a matter of time: all that can go wrong is said alike. */
static int cannot_use(const struct nbd_server *s, struct error *e)
{
        int r = reason(-EHOSTUNREACH);
        char why[NBD_WHY];

        return error_set(e, r, "store %s: cannot use the NBD server %s: %s", s->name, s->uri, nbd_why(why));
}

static int connect_first(const struct nbd_server *s, struct nbd_handle *h, struct error *e)
{
        uint64_t until = now_ns() + s->timeout_ns;
        char limit[SIZE_TEXT];

        if (nbd_aio_connect_uri(h, s->uri) < 0)
                return cannot_use(s, e);
        while (nbd_aio_is_connecting(h) > 0) {
                uint64_t now = now_ns();

                if (now >= until)
                        return error_set(e, -ETIMEDOUT,
                                         "store %s: the NBD server %s did not answer in %s: is it one, does it run, "
                                         "and does it take another client?",
                                         s->name, s->uri, duration_format(s->timeout_ns, limit, sizeof(limit)));
                if (nbd_poll(h, (int)((until - now) / NS_PER_MS) + 1) < 0)
                        break;
        }
        if (nbd_aio_is_ready(h) > 0)
                return 0;
        if (nbd_aio_is_closed(h) > 0)
                return error_set(e, -EHOSTUNREACH, "store %s: cannot use the NBD server %s: it closed the connection",
                                 s->name, s->uri);
        return cannot_use(s, e);
}

/* A block size that the server told, or what it means when it told none. */
static uint32_t block_size(struct nbd_handle *h, int which, uint32_t otherwise)
{
        int64_t bytes = nbd_get_block_size(h, which);

        return bytes <= 0 ? otherwise : bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static int read_facts(struct nbd_server *s, struct nbd_handle *h, struct error *e)
{
        int64_t size = nbd_get_size(h);
        uint32_t most = block_size(h, LIBNBD_SIZE_MAXIMUM, SERVER_MOST);
        char least[SIZE_TEXT], has[SIZE_TEXT], why[NBD_WHY];

        if (size < 0)
                return error_set(e, reason(-EPROTO), "store %s: the NBD server %s does not tell its size: %s", s->name,
                                 s->uri, nbd_why(why));
        s->size = (uint64_t)size;
        s->facts = (struct nbd_facts){
                .bytes = s->size - s->size % STORE_PAGE,
                .block_min = block_size(h, LIBNBD_SIZE_MINIMUM, 1),
                .block_preferred = block_size(h, LIBNBD_SIZE_PREFERRED, STORE_PAGE),
                .request_most = (most < REQUEST_MOST ? most : REQUEST_MOST) / STORE_PAGE * STORE_PAGE,
                .trim = nbd_can_trim(h) > 0,
                .flush = nbd_can_flush(h) > 0,
                .fua = nbd_can_fua(h) > 0,
                .multi_conn = nbd_can_multi_conn(h) > 0,
                .tls = nbd_get_tls_negotiated(h) > 0,
        };
        if (nbd_is_read_only(h) != 0)
                return error_set(e, -EROFS, "store %s: the export of %s is read-only; name one that can be written",
                                 s->name, s->uri);
        if (s->facts.bytes < NBD_MIN_BYTES)
                return error_set(e, -EINVAL,
                                 "store %s: the export of %s has %" PRIu64 " bytes (%s), which is too "
                                 "small; the least is %s",
                                 s->name, s->uri, s->size, size_format(s->size, has, sizeof(has)),
                                 size_format(NBD_MIN_BYTES, least, sizeof(least)));
        if (s->facts.block_min > STORE_PAGE)
                return error_set(e, -EINVAL,
                                 "store %s: the export of %s takes blocks of %" PRIu32 " bytes at least, "
                                 "and a page has %u; set a smaller block size on the server",
                                 s->name, s->uri, s->facts.block_min, STORE_PAGE);
        if (!s->facts.request_most)
                return error_set(e, -EINVAL,
                                 "store %s: the export of %s takes blocks of %" PRIu32 " bytes at most, "
                                 "and a page has %u; set a larger block size on the server",
                                 s->name, s->uri, most, STORE_PAGE);
        return 0;
}

/* How the server is to be reached from now on. */
static int remember(struct nbd_server *s, struct nbd_handle *h)
{
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = nbd_aio_get_fd(h);

        if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
                return fd < 0 ? -ENOTCONN : -errno;
        if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6)
                return 0;
        if (s->facts.tls) {
                s->resolves = true;
                return 0;
        }
        s->export_name = nbd_get_export_name(h);
        if (!s->export_name)
                return -ENOMEM;
        s->peer = peer;
        s->peer_len = len;
        return 0;
}

int nbd_server_recognize(const struct nbd_server *s, struct nbd_handle *h, char *why)
{
        char has[SIZE_TEXT], had[SIZE_TEXT];
        int64_t size = nbd_get_size(h);

        if (size < 0 || (uint64_t)size != s->size) {
                uint64_t bytes = size < 0 ? 0 : (uint64_t)size;

                snprintf(why, NBD_WHY, "its size is %s (%" PRIu64 " bytes) and was %s (%" PRIu64 " bytes)",
                         size_format(bytes, has, sizeof(has)), bytes, size_format(s->size, had, sizeof(had)), s->size);
                return -ESTALE;
        }
        if (nbd_is_read_only(h) != 0) {
                snprintf(why, NBD_WHY, "it is read-only now");
                return -ESTALE;
        }
        if (block_size(h, LIBNBD_SIZE_MINIMUM, 1) > s->facts.block_min ||
            block_size(h, LIBNBD_SIZE_MAXIMUM, SERVER_MOST) < s->facts.request_most) {
                snprintf(why, NBD_WHY, "its block sizes are others now");
                return -ESTALE;
        }
        if (s->facts.multi_conn && nbd_can_multi_conn(h) <= 0) {
                snprintf(why, NBD_WHY, "it does not take several connections (multi-conn) any more");
                return -ESTALE;
        }
        return 0;
}

const struct nbd_facts *nbd_server_facts(const struct nbd_server *server)
{
        return &server->facts;
}

bool nbd_server_is_lost(const struct nbd_server *server)
{
        return atomic_load_explicit(&server->lost, memory_order_relaxed);
}

static int open_all(struct nbd_server *s, struct error *e)
{
        struct nbd_handle *h = nbd_server_handle(s);
        int r;

        if (!h)
                return error_set(e, -ENOMEM, "store %s: out of memory", s->name);
        r = connect_first(s, h, e);
        if (r == 0)
                r = read_facts(s, h, e);
        if (r == 0 && (r = remember(s, h)) < 0)
                error_sys(e, r, "store %s: cannot use the NBD server %s", s->name, s->uri);
        if (r < 0) {
                nbd_server_leave(h);
                return r;
        }
        atomic_store(&s->first, h);
        if (s->facts.multi_conn)
                return 0;
        log_info("store %s: the NBD server %s has no multi-conn: one connection is used, by all workers", s->name,
                 s->uri);
        r = nbd_relay_start(s, &s->relay);
        return r < 0 ? error_sys(e, r, "store %s: cannot start the thread of the connection", s->name) : 0;
}

int nbd_server_open(const struct nbd_config *config, struct nbd_server **out, struct error *e)
{
        struct nbd_server *s;
        int r;

        if (!config->uri || !*config->uri)
                return error_set(e, -EINVAL, "store %s: the URI of the NBD server is empty", config->name);
        if (!config->connections || config->connections > NBD_CONNECTIONS_MOST)
                return error_set(e, -EINVAL, "store %s: connections must be 1 to %u", config->name,
                                 NBD_CONNECTIONS_MOST);
        s = calloc(1, sizeof(*s));
        if (!s)
                return error_set(e, -ENOMEM, "store %s: out of memory", config->name);
        s->name = strdup(config->name);
        s->uri = strdup(config->uri);
        s->connections = config->connections;
        s->timeout_ns = config->timeout_ns;
        r = s->name && s->uri ? open_all(s, e) : error_set(e, -ENOMEM, "store %s: out of memory", config->name);
        if (r < 0) {
                nbd_server_close(s);
                return r;
        }
        *out = s;
        return 0;
}

void nbd_server_close(struct nbd_server *s)
{
        if (!s)
                return;
        assert(!atomic_load(&s->links));
        nbd_relay_stop(s->relay);
        nbd_server_leave(atomic_load(&s->first));
        free(s->export_name);
        free(s->name);
        free(s->uri);
        free(s);
}
