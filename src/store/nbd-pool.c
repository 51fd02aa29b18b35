// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The connections of one loop to an NBD server, and what goes over them.
 *
 *     submit -> waiting --cut into parts--> the connection with the least under way -> answered -> over -> ended()
 *                              ^                        |
 *                              +------- again <---------+ the connection was lost
 *
 * Parts are at most what the server takes in one request. There are as many as can be under way, so one that has to be
 * sent again always finds its memory: it keeps it.
 *
 * While no connection is up, all waits: each transfer for the timeout, counted from when it was submitted or sent in
 * vain, or from when the server was lost if that was later. Each part of a lost connection is sent again; but not when
 * its transfer was first sent twice the timeout ago: a request may be what a server dies of.
 *
 * A server is called lost in the log when a pool has no connection to it, and back when one has; the pools of several
 * workers share one line each (server->lost).
 */
#include "store/nbd-pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "util/log.h"
#include "util/size.h"

#define SPAN_TEXT 32

/* ---- the end of a transfer ---- */

static void on_over(struct op *op, int res, unsigned flags)
{
        struct nbd_pool *pool = op_owner(op, struct nbd_pool, over_op);
        struct nbd_transfer *t = pool->over, *next;

        (void)res;
        (void)flags;
        pool->over = NULL;
        for (; t; t = next) {
                next = t->private_.next;
                pool->ended(t);
        }
}

static void over(struct nbd_pool *pool, struct nbd_transfer *t)
{
        t->private_.next = NULL;
        if (pool->over)
                pool->over_tail->private_.next = t;
        else
                pool->over = t;
        pool->over_tail = t;
        if (!pool->over_op.armed)
                loop_defer(pool->loop, &pool->over_op);
}

static void waiting_pop(struct nbd_pool *pool)
{
        pool->waiting = pool->waiting->private_.next;
}

static void free_part(struct nbd_pool *pool, struct nbd_part *part)
{
        part->next = pool->free_parts;
        pool->free_parts = part;
}

void nbd_pool_part_ended(struct nbd_pool *pool, struct nbd_part *part, int result)
{
        struct nbd_transfer *t = part->t;

        free_part(pool, part);
        t->private_.parts--;
        if (result < 0 && !t->private_.result)
                t->private_.result = result;
        if (t->private_.result && pool->waiting == t) /* the rest of it need not be sent */
                waiting_pop(pool);
        else if (!t->private_.result && t->private_.issued < t->bytes)
                return;
        if (!t->private_.parts)
                over(pool, t);
}

void nbd_pool_part_again(struct nbd_pool *pool, struct nbd_part *part, bool in_doubt)
{
        struct nbd_transfer *t = part->t;
        uint64_t now = loop_now(pool->loop);

        if (in_doubt && t->private_.verb != NBD_READ)
                t->in_doubt = true;
        t->private_.since = now;
        if (t->private_.result) /* another part has failed: it makes no difference */
                nbd_pool_part_ended(pool, part, t->private_.result);
        else if (now - t->private_.first_at >= 2 * pool->server->timeout_ns)
                nbd_pool_part_ended(pool, part, -ETIMEDOUT);
        else
                DL_APPEND(pool->again, part);
}

/* ---- sending ---- */

/* The next part to be sent, or NULL. A connection has room, so one is free. */
static struct nbd_part *next_part(struct nbd_pool *pool)
{
        struct nbd_transfer *t;
        struct nbd_part *part;
        uint32_t most;

        while ((part = pool->again)) {
                DL_DELETE(pool->again, part);
                if (!part->t->private_.result)
                        return part;
                nbd_pool_part_ended(pool, part, part->t->private_.result);
        }
        t = pool->waiting;
        if (!t)
                return NULL;
        part = pool->free_parts;
        assert(part);
        pool->free_parts = part->next;
        if (!t->private_.issued)
                t->private_.first_at = loop_now(pool->loop);
        most = t->private_.verb == NBD_TRIM ? t->bytes : pool->server->facts.request_most;
        part->t = t;
        part->at = t->private_.issued;
        part->bytes = t->bytes - part->at < most ? t->bytes - part->at : most;
        t->private_.parts++;
        t->private_.issued += part->bytes;
        if (t->private_.issued == t->bytes)
                waiting_pop(pool);
        return part;
}

static struct nbd_conn *least_busy(struct nbd_pool *pool)
{
        struct nbd_conn *best = NULL;

        for (struct nbd_conn *conn = pool->conns; conn < pool->conns + pool->n_conns; conn++)
                if (nbd_conn_has_room(conn) && (!best || conn->bytes_sent < best->bytes_sent))
                        best = conn;
        return best;
}

static uint64_t held_until(const struct nbd_pool *pool, const struct nbd_transfer *t)
{
        uint64_t since = t->private_.since > pool->down_since ? t->private_.since : pool->down_since;

        return since + pool->server->timeout_ns;
}

/* Sees to it that what waits for the server is given up in time. */
static void hold(struct nbd_pool *pool)
{
        uint64_t due = UINT64_MAX;
        struct nbd_part *part;

        DL_FOREACH(pool->again, part)
                if (held_until(pool, part->t) < due)
                        due = held_until(pool, part->t);
        if (pool->waiting && held_until(pool, pool->waiting) < due)
                due = held_until(pool, pool->waiting);
        if (due != UINT64_MAX)
                loop_alarm_set(&pool->held, due);
}

void nbd_pool_pump(struct nbd_pool *pool)
{
        struct nbd_conn *conn;
        struct nbd_part *part;

        while ((conn = least_busy(pool)) && (part = next_part(pool)))
                nbd_conn_send(conn, part);
        if (!pool->n_up)
                hold(pool);
}

void nbd_pool_submit(struct nbd_pool *pool, struct nbd_transfer *t)
{
        t->private_.since = loop_now(pool->loop);
        t->private_.next = NULL;
        if (pool->waiting)
                pool->waiting_tail->private_.next = t;
        else
                pool->waiting = t;
        pool->waiting_tail = t;
        nbd_pool_pump(pool);
}

/* Gives up what has waited for the server for too long. */
static void on_held(struct loop_alarm *alarm)
{
        struct nbd_pool *pool = (struct nbd_pool *)((char *)alarm - offsetof(struct nbd_pool, held));
        uint64_t now = loop_now(pool->loop);
        struct nbd_part *part, *next;
        unsigned n = 0;

        if (pool->n_up)
                return;
        DL_FOREACH_SAFE(pool->again, part, next) {
                if (held_until(pool, part->t) > now)
                        continue;
                DL_DELETE(pool->again, part);
                nbd_pool_part_ended(pool, part, pool->down_result);
                n++;
        }
        while (pool->waiting && held_until(pool, pool->waiting) <= now) {
                struct nbd_transfer *t = pool->waiting;

                waiting_pop(pool);
                t->private_.result = pool->down_result;
                if (!t->private_.parts)
                        over(pool, t);
                n++;
        }
        if (n)
                log_error("store %s: what waited for the NBD server is given up (%u requests): it has not come back",
                          pool->server->name, n);
        hold(pool);
}

/* ---- the connections ---- */

void nbd_pool_conn_up(struct nbd_pool *pool, const struct nbd_conn *conn)
{
        char span[SPAN_TEXT];

        (void)conn;
        if (pool->n_up++)
                return;
        duration_format(loop_now(pool->loop) - pool->down_since, span, sizeof(span));
        pool->down_since = 0;
        pool->complained = false;
        if (atomic_exchange(&pool->server->lost, false))
                log_info("store %s: the NBD server is back after %s", pool->server->name, span);
}

void nbd_pool_conn_lost(struct nbd_pool *pool, const struct nbd_conn *conn, bool was_up, int result, const char *why)
{
        struct nbd_server *server = pool->server;
        char span[SPAN_TEXT];

        pool->n_up -= was_up;
        if (pool->n_up) {
                if (was_up || result == -ESTALE)
                        log_warning("store %s: connection %u to the NBD server broke (%s), %u of %u are left",
                                    server->name, conn->number, why, pool->n_up, pool->n_conns);
                return;
        }
        if (was_up)
                pool->down_since = loop_now(pool->loop);
        pool->down_result = result;
        if (!atomic_exchange(&server->lost, true))
                log_error("store %s: the NBD server %s is lost (%s); what needs it waits, for %s at most", server->name,
                          server->uri, why, duration_format(server->timeout_ns, span, sizeof(span)));
        if (result == -ESTALE && !pool->complained)
                log_error("store %s: the NBD server %s is not the one that it was (%s) and is not used", server->name,
                          server->uri, why);
        pool->complained |= result == -ESTALE;
}

/* ---- the pool ---- */

int nbd_pool_new(struct nbd_server *server, struct loop *loop, void (*ended)(struct nbd_transfer *t),
                 struct nbd_pool **out)
{
        struct nbd_pool *pool = calloc(1, sizeof(*pool));
        unsigned n = server->facts.multi_conn ? server->connections : 1;

        if (!pool)
                return -ENOMEM;
        pool->conns = calloc(n, sizeof(*pool->conns));
        pool->parts = calloc((size_t)n * NBD_UNDER_WAY, sizeof(*pool->parts));
        if (!pool->conns || !pool->parts) {
                free(pool->conns);
                free(pool->parts);
                free(pool);
                return -ENOMEM;
        }
        pool->server = server;
        pool->loop = loop;
        pool->ended = ended;
        pool->n_conns = n;
        pool->over_op.done = on_over;
        pool->held.loop = loop;
        pool->held.fire = on_held;
        pool->down_since = loop_now(loop);
        pool->down_result = -ETIMEDOUT;
        for (unsigned i = 0; i < n * NBD_UNDER_WAY; i++)
                free_part(pool, &pool->parts[i]);
        for (unsigned i = 0; i < n; i++)
                nbd_conn_start(&pool->conns[i], pool, i);
        *out = pool;
        return 0;
}

static bool is_quiet(const struct nbd_pool *pool)
{
        for (unsigned i = 0; i < pool->n_conns; i++)
                if (!nbd_conn_is_quiet(&pool->conns[i]))
                        return false;
        return !loop_alarm_is_armed(&pool->held);
}

void nbd_pool_free(struct nbd_pool *pool)
{
        if (!pool)
                return;
        assert(!pool->waiting && !pool->again && !pool->over);
        for (unsigned i = 0; i < pool->n_conns; i++)
                nbd_conn_stop(&pool->conns[i]);
        loop_alarm_stop(&pool->held);
        while (!is_quiet(pool) && loop_turn(pool->loop) == 0)
                ;
        free(pool->conns);
        free(pool->parts);
        free(pool);
}
