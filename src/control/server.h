/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main loop's side of the daemon: who connects to the client socket (a client goes on to a worker, a grant
 * stays here), and who asks on the control socket.
 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "client/admit.h"
#include "client/worker.h"
#include "sys/loop.h"

struct json_object;

struct server {
        struct loop *loop;
        struct store *store;
        const char *tracker;
        struct worker *workers;
        unsigned n_workers, next_worker;
        struct admit admit;
        uint64_t memory; /* of the machine, in bytes: no limit is above it */

        /* Clients that ended, as their workers said it, not yet taken over into admit. */
        pthread_mutex_t ended_lock;
        struct ended_client *ended;

        int client_sock, control_sock;
        struct op client_op, control_op, pause_op;
};

/* Listens on both sockets: begins to accept. The sockets are the caller's. */
void server_start(struct server *s);

/* A client has ended (called in any thread). */
void server_ended(void *server, const struct client_snapshot *last);

/* A forked child is a client now, and has its parent's terms (called in any thread). */
void server_claimed(void *server, const struct sock_peer *peer, const struct client_terms *terms);

/* Takes over what server_ended() was told so far; in the main loop's thread. */
void server_take_ended(struct server *s);

/* Takes a connection to the client socket over; called for each. */
void greeting_start(struct server *s, int sock);

/* Takes a connection to the control socket over; called for each. */
void command_start(struct server *s, int sock);

/*
 * The statistics of all clients (grant 0) or of one grant's, ended ones included; pid other than 0 leaves only
 * that one. The caller has to json_object_put() it. NULL without memory.
 */
struct json_object *report_stats(struct server *s, const struct grant *grant, pid_t pid);

#endif
