/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_WORKER_H
#define CLIENT_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/snapshot.h"
#include "client/terms.h"
#include "pager/space.h"
#include "sys/loop.h"
#include "sys/sock.h"

struct error;
struct idle_ops;
struct session;
struct store;
struct worker;

/* What all workers share, constant while they run. */
struct worker_config {
        struct store *store;
        struct store_owner_config owner; /* how clients' pages are kept in it */
        uint64_t ram_bytes;              /* see struct pager */
        unsigned ram_percent;
        const struct idle_ops *idle;
        int device;          /* /dev/userfaultfd */
        uint64_t features;   /* of userfaultfd here */
        bool grow_when_full; /* see struct pager */
        uint32_t readahead;  /* the same */

        struct worker *workers; /* all of them: a forked child is its parent's worker's */
        unsigned n_workers;

        /* Called in the worker's thread when a session has ended, with its last snapshot. */
        void (*ended)(void *arg, const struct client_snapshot *last);
        /* The same, when a forked child's agent has come: the child has its parent's terms. */
        void (*claimed)(void *arg, const struct sock_peer *peer, const struct client_terms *terms);
        void *arg;
};

/* One thread with one loop, and the clients that were given to it. */
struct worker {
        const struct worker_config *config;
        unsigned number;
        pthread_t thread;
        struct loop *loop;
        struct pager pager;
        struct session *sessions; /* utlist, DL */
        size_t n_sessions;
        uint64_t last_serial;
        bool stopping;
};

/* Starts a worker's thread; returns when it runs. 0 or a negative errno with e filled in. */
int worker_start(struct worker *w, unsigned number, const struct worker_config *config, struct error *e);

/* Ends all sessions, then the thread, and waits for it. */
void worker_stop(struct worker *w);

/*
 * Hands a client that said HELLO to the worker (from any thread). Takes over sock and peer->pidfd. If it is a forked
 * child, whichever worker has its session takes it.
 */
int worker_take(struct worker *w, int sock, const struct sock_peer *peer, const struct client_terms *terms,
                bool forked);

/*
 * Snapshots of all its clients, from another thread: waits for the worker's next turn. *out is malloc'ed and
 * the caller's. Returns how many or a negative errno.
 */
int worker_snapshots(struct worker *w, struct client_snapshot **out);

/* A session is gone (called by the session, in the worker's thread). */
void worker_forget(struct worker *w, struct session *s);

#endif
