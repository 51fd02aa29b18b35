/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define PAUSE_NS 100000000ull

/*
 * After an error (no descriptor left, no memory) accepting goes on after a pause: trying again at once would only
 * burn the processor until somebody hangs up.
 */
static void on_pause(struct op *op, int res, unsigned flags)
{
        struct server *s = op_owner(op, struct server, pause_op);

        (void)flags;
        if (res == -ECANCELED)
                return;
        if (!s->client_op.armed)
                loop_accept_multishot(s->loop, &s->client_op, s->client_sock);
        if (!s->control_op.armed)
                loop_accept_multishot(s->loop, &s->control_op, s->control_sock);
}

/* Says that a connection could not be accepted, and sees to it that accepting goes on. */
static void accept_failed(struct server *s, int error)
{
        log_warning("a connection could not be accepted: %s", strerror(-error));
        if (!s->pause_op.armed)
                loop_timer(s->loop, &s->pause_op, loop_now(s->loop) + PAUSE_NS);
}

static void on_client(struct op *op, int res, unsigned flags)
{
        struct server *s = op_owner(op, struct server, client_op);

        if (res == -ECANCELED)
                return;
        if (res < 0) {
                accept_failed(s, res);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_accept_multishot(s->loop, op, s->client_sock);
        greeting_start(s, res);
}

static void on_control(struct op *op, int res, unsigned flags)
{
        struct server *s = op_owner(op, struct server, control_op);

        if (res == -ECANCELED)
                return;
        if (res < 0) {
                accept_failed(s, res);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_accept_multishot(s->loop, op, s->control_sock);
        command_start(s, res);
}

void server_start(struct server *s)
{
        s->client_op.done = on_client;
        s->control_op.done = on_control;
        s->pause_op.done = on_pause;
        loop_accept_multishot(s->loop, &s->client_op, s->client_sock);
        loop_accept_multishot(s->loop, &s->control_op, s->control_sock);
}

/*
 * The list is filled before the worker answers a question for snapshots, so whoever asks all workers first and
 * takes the list then misses no client: it is in one, or in both (and then has the same serial).
 */
struct ended_client {
        struct client_snapshot last;
        struct ended_client *next;
};

void server_take_ended(struct server *s)
{
        struct ended_client *e, *next;

        pthread_mutex_lock(&s->ended_lock);
        e = s->ended;
        s->ended = NULL;
        pthread_mutex_unlock(&s->ended_lock);
        for (; e; e = next) {
                next = e->next;
                admit_ended(&s->admit, &e->last);
                free(e);
        }
}

static void take_ended(void *arg)
{
        server_take_ended(arg);
}

void server_ended(void *server, const struct client_snapshot *last)
{
        struct server *s = server;
        struct ended_client *e = malloc(sizeof(*e));

        if (!e)
                return;
        e->last = *last;
        pthread_mutex_lock(&s->ended_lock);
        e->next = s->ended;
        s->ended = e;
        pthread_mutex_unlock(&s->ended_lock);
        loop_post(s->loop, take_ended, s);
}

struct claimed_client {
        struct server *server;
        pid_t pid;
        struct client_terms terms;
};

static void take_claimed(void *arg)
{
        struct claimed_client *c = arg;

        admit_inherited(&c->server->admit, c->pid, &c->terms);
        free(c);
}

void server_claimed(void *server, const struct sock_peer *peer, const struct client_terms *terms)
{
        struct claimed_client *c = malloc(sizeof(*c));

        if (!c)
                return;
        *c = (struct claimed_client){ server, peer->pid, *terms };
        if (loop_post(c->server->loop, take_claimed, c) < 0)
                free(c);
}
