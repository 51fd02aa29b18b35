// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one connection to a server without multi-conn, for all workers.
 *
 * Such a server may keep a cache for each connection, so that one does not read what another has written, and it may
 * refuse or keep waiting all clients but one. So the connection belongs to a thread of its own, and the links hand
 * their transfers over by loop_post_with(), there and back, which needs no memory and so cannot fail.
 */
#include "store/nbd-relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/nbd-link-internal.h"
#include "store/nbd-pool.h"
#include "util/log.h"

struct nbd_relay {
        struct nbd_server *server;
        struct loop *loop;
        struct nbd_pool *pool;
        struct loop_post stop;
        pthread_t thread;
        pthread_mutex_t lock; /* of the two below */
        pthread_cond_t cond;
        bool started;
        int result;
};

static void hand_back(void *arg)
{
        nbd_link_ended(arg);
}

/* In the relay's thread. */
static void on_ended(struct nbd_transfer *t)
{
        loop_post_with(nbd_link_loop(t->private_.link), &t->private_.post, hand_back, t);
}

static void take(void *arg)
{
        struct nbd_transfer *t = arg;

        nbd_pool_submit(nbd_link_server(t->private_.link)->relay->pool, t);
}

void nbd_relay_submit(struct nbd_relay *relay, struct nbd_transfer *t)
{
        loop_post_with(relay->loop, &t->private_.post, take, t);
}

static void *run(void *arg)
{
        struct nbd_relay *relay = arg;
        int r = loop_new(&relay->loop, NULL);

        if (r == 0) {
                r = nbd_pool_new(relay->server, relay->loop, on_ended, &relay->pool);
                if (r < 0)
                        loop_free(relay->loop);
        }
        pthread_mutex_lock(&relay->lock);
        relay->started = true;
        relay->result = r;
        pthread_cond_signal(&relay->cond);
        pthread_mutex_unlock(&relay->lock);
        if (r < 0)
                return NULL;

        r = loop_run(relay->loop);
        if (r < 0)
                log_error("store %s: the loop of its connection failed: %s", relay->server->name, strerror(-r));
        nbd_pool_free(relay->pool);
        loop_free(relay->loop);
        return NULL;
}

int nbd_relay_start(struct nbd_server *server, struct nbd_relay **out)
{
        struct nbd_relay *relay = calloc(1, sizeof(*relay));
        int r;

        if (!relay)
                return -ENOMEM;
        relay->server = server;
        pthread_mutex_init(&relay->lock, NULL);
        pthread_cond_init(&relay->cond, NULL);
        r = -pthread_create(&relay->thread, NULL, run, relay);
        if (r == 0) {
                pthread_mutex_lock(&relay->lock);
                while (!relay->started)
                        pthread_cond_wait(&relay->cond, &relay->lock);
                r = relay->result;
                pthread_mutex_unlock(&relay->lock);
                if (r < 0)
                        pthread_join(relay->thread, NULL);
        }
        if (r < 0) {
                free(relay);
                return r;
        }
        *out = relay;
        return 0;
}

static void stop(void *arg)
{
        struct nbd_relay *relay = arg;

        loop_stop(relay->loop);
}

void nbd_relay_stop(struct nbd_relay *relay)
{
        if (!relay)
                return;
        loop_post_with(relay->loop, &relay->stop, stop, relay);
        pthread_join(relay->thread, NULL);
        pthread_mutex_destroy(&relay->lock);
        pthread_cond_destroy(&relay->cond);
        free(relay);
}
