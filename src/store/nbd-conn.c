// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One connection to an NBD server: a handle of libnbd's, driven by the worker's loop.
 *
 *     NONE --alarm--> [DIALLING] --> CONNECTING --handshake--> UP
 *      ^                                 |                      |
 *      +--- lost: a pause of 10 ms, 20 ms, ... 2 s <------------+
 *
 * libnbd says which way it waits for its socket, and the loop polls that, once each time. When a poll fires,
 * nbd_poll() without a time to wait lets libnbd do what can be done; so does sending. After each such call, tend()
 * looks at what has become of the handle: answers, the end of the handshake, the end of the connection. libnbd never
 * blocks but to resolve a name, for which there is a thread (DIALLING).
 *
 * Answers are fetched with nbd_aio_command_completed() instead of callbacks: these do not tell when a server has sent
 * fewer bytes than were asked for.
 *
 * A connection is lost when its socket says so, when a request or the handshake has no answer within the timeout, and
 * when the server has said that it shuts down and the answers it still owes have come. The handle is closed at once,
 * so that nothing is read into, or from, memory that is handed back.
 */
#include "store/nbd-conn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libnbd.h>
#include <utlist.h>

#include "store/nbd-pool.h"
#include "util/size.h"

#define PAUSE_LEAST_NS UINT64_C(10000000)
#define PAUSE_MOST_NS  UINT64_C(2000000000)

/* Steps of libnbd in one turn: as many answers as can be there, and the rest of one. */
#define STEPS_MOST (NBD_UNDER_WAY + 1)

static void watch(struct nbd_conn *conn);

static uint64_t now(const struct nbd_conn *conn)
{
        return loop_now(conn->pool->loop);
}

static uint64_t timeout(const struct nbd_conn *conn)
{
        return conn->pool->server->timeout_ns;
}

static void poll_cancel(struct nbd_conn *conn)
{
        loop_cancel(conn->pool->loop, &conn->in);
        loop_cancel(conn->pool->loop, &conn->out);
}

/* The next pause. Within the timeout there are several tries, so that a server that comes back is found in time. */
static uint64_t longer_pause(const struct nbd_conn *conn)
{
        uint64_t most = timeout(conn) / 4 < PAUSE_MOST_NS ? timeout(conn) / 4 : PAUSE_MOST_NS;

        if (conn->answered || !conn->pause_ns)
                return PAUSE_LEAST_NS;
        return conn->pause_ns < most / 2 ? conn->pause_ns * 2 : most;
}

/* The connection is over: what was under way goes back to the pool, and after a pause it is tried again. */
static void lost(struct nbd_conn *conn, int result, const char *why)
{
        bool was_up = conn->state == NBD_CONN_UP;
        struct nbd_part *part;

        poll_cancel(conn);
        nbd_close(conn->handle);
        conn->handle = NULL;
        conn->state = NBD_CONN_NONE;
        conn->pause_ns = longer_pause(conn);
        conn->answered = false;
        loop_alarm_set(&conn->alarm, now(conn) + conn->pause_ns);

        nbd_pool_conn_lost(conn->pool, conn, was_up, result, why);
        while ((part = conn->sent)) {
                DL_DELETE(conn->sent, part);
                nbd_pool_part_again(conn->pool, part, true);
        }
        conn->n_sent = 0;
        conn->bytes_sent = 0;
}

static void lost_as_libnbd_says(struct nbd_conn *conn)
{
        char why[NBD_WHY];

        lost(conn, -ETIMEDOUT, nbd_why(why));
}

static void lost_for_silence(struct nbd_conn *conn, const char *what)
{
        char why[NBD_WHY], limit[32];

        snprintf(why, sizeof(why), "%s in %s", what, duration_format(timeout(conn), limit, sizeof(limit)));
        lost(conn, -ETIMEDOUT, why);
}

/* ---- answers ---- */

static void unsend(struct nbd_conn *conn, struct nbd_part *part)
{
        DL_DELETE(conn->sent, part);
        conn->n_sent--;
        conn->bytes_sent -= part->bytes;
}

/* Fetches the answer to the request `cookie`. A request of a connection that is lost has none, and stays. */
static void fetch_answer(struct nbd_conn *conn, int64_t cookie)
{
        int r = nbd_aio_command_completed(conn->handle, (uint64_t)cookie);
        int code = r < 0 ? nbd_get_errno() : 0;
        struct nbd_part *part;

        DL_FOREACH(conn->sent, part)
                if (part->cookie == cookie)
                        break;
        if (!part || code == ENOTCONN)
                return;
        unsend(conn, part);
        if (code == ESHUTDOWN) { /* it was not carried out */
                conn->leaving = true;
                nbd_pool_part_again(conn->pool, part, false);
                return;
        }
        conn->answered = true;
        nbd_pool_part_ended(conn->pool, part, r > 0 ? 0 : code > 0 ? -code : -EIO);
}

static void fetch_answers(struct nbd_conn *conn)
{
        int64_t cookie;
        int left = nbd_aio_in_flight(conn->handle);

        for (int n = left < 0 ? 0 : (int)conn->n_sent - left; n > 0; n--) {
                cookie = nbd_aio_peek_command_completed(conn->handle);
                if (cookie <= 0)
                        break;
                fetch_answer(conn, cookie);
        }
}

/* The handshake is done. */
static void connected(struct nbd_conn *conn)
{
        char why[NBD_WHY];
        int r = nbd_server_recognize(conn->pool->server, conn->handle, why);

        if (r < 0) {
                lost(conn, r, why);
                return;
        }
        conn->state = NBD_CONN_UP;
        conn->leaving = false;
        nbd_pool_conn_up(conn->pool, conn);
}

/* What has become of the handle after a call into libnbd. The connection may be lost afterwards. */
static void tend(struct nbd_conn *conn)
{
        bool dead = nbd_aio_is_dead(conn->handle) > 0;
        char why[NBD_WHY];

        if (dead)
                nbd_why(why); /* before it has another error to tell */
        if (conn->state == NBD_CONN_UP)
                fetch_answers(conn);
        if (dead)
                lost(conn, -ETIMEDOUT, why);
        else if (nbd_aio_is_closed(conn->handle) > 0)
                lost(conn, -ETIMEDOUT, "it closed the connection");
        else if (conn->state == NBD_CONN_CONNECTING && nbd_aio_is_connecting(conn->handle) == 0)
                connected(conn);
        else if (conn->leaving && !conn->n_sent)
                lost(conn, -ETIMEDOUT, "it is shutting down");
}

/* Lets libnbd do what its socket allows. */
static void step(struct nbd_conn *conn)
{
        for (unsigned i = 0; conn->handle && i < STEPS_MOST; i++) {
                int r = nbd_poll(conn->handle, 0);

                if (r < 0 && nbd_aio_is_dead(conn->handle) <= 0)
                        lost_as_libnbd_says(conn);
                else
                        tend(conn);
                if (r <= 0)
                        break;
        }
}

/* ---- what the loop calls ---- */

static void on_poll(struct nbd_conn *conn, int res)
{
        if (conn->state == NBD_CONN_CONNECTING || conn->state == NBD_CONN_UP) {
                if (res < 0)
                        lost(conn, -ETIMEDOUT, "its socket cannot be polled");
                else
                        step(conn);
        }
        watch(conn);
        if (conn->state != NBD_CONN_STOPPED)
                nbd_pool_pump(conn->pool);
}

static void on_in(struct op *op, int res, unsigned flags)
{
        (void)flags;
        on_poll(op_owner(op, struct nbd_conn, in), res);
}

static void on_out(struct op *op, int res, unsigned flags)
{
        (void)flags;
        on_poll(op_owner(op, struct nbd_conn, out), res);
}

/*
 * Polls the way that libnbd waits. An operation that is armed is for this handle: the next one is not dialled
 * before those for the last one have ended.
 */
static void watch(struct nbd_conn *conn)
{
        unsigned ways;
        int fd;

        if (conn->state != NBD_CONN_CONNECTING && conn->state != NBD_CONN_UP)
                return;
        ways = nbd_aio_get_direction(conn->handle);
        fd = nbd_aio_get_fd(conn->handle);
        if (fd < 0)
                return;
        if ((ways & LIBNBD_AIO_DIRECTION_READ) && !conn->in.armed)
                loop_poll(conn->pool->loop, &conn->in, fd, POLLIN);
        if ((ways & LIBNBD_AIO_DIRECTION_WRITE) && !conn->out.armed)
                loop_poll(conn->pool->loop, &conn->out, fd, POLLOUT);
}

/* ---- connecting ---- */

static void handshake(struct nbd_conn *conn)
{
        conn->state = NBD_CONN_CONNECTING;
        loop_alarm_set(&conn->alarm, now(conn) + timeout(conn));
        tend(conn);
        watch(conn);
        nbd_pool_pump(conn->pool);
}

static void dialled(void *arg)
{
        struct nbd_conn *conn = arg;

        pthread_join(conn->dial.thread, NULL);
        if (conn->state == NBD_CONN_STOPPED) {
                nbd_close(conn->handle);
                conn->handle = NULL;
                return;
        }
        if (conn->dial.result < 0)
                lost(conn, -ETIMEDOUT, conn->dial.why);
        else
                handshake(conn);
}

static void *dial_thread(void *arg)
{
        struct nbd_conn *conn = arg;

        conn->dial.result = nbd_server_dial(conn->pool->server, conn->handle);
        if (conn->dial.result < 0)
                nbd_why(conn->dial.why);
        loop_post_with(conn->pool->loop, &conn->dial.post, dialled, conn);
        return NULL;
}

static void dial(struct nbd_conn *conn)
{
        struct nbd_server *server = conn->pool->server;
        int r;

        conn->handle = atomic_exchange(&server->first, NULL);
        if (conn->handle) {
                handshake(conn);
                return;
        }
        conn->handle = nbd_server_handle(server);
        if (!conn->handle) {
                lost(conn, -ETIMEDOUT, "no memory for a connection");
        } else if (!server->resolves) {
                if (nbd_server_dial(server, conn->handle) < 0)
                        lost_as_libnbd_says(conn);
                else
                        handshake(conn);
        } else {
                conn->state = NBD_CONN_DIALLING;
                r = pthread_create(&conn->dial.thread, NULL, dial_thread, conn);
                if (r)
                        lost(conn, -ETIMEDOUT, "no thread to resolve its name");
        }
}

/* A request has no answer for the timeout: the first of them is the oldest. */
static void look_for_silence(struct nbd_conn *conn)
{
        step(conn); /* it may be us who were not listening */
        if (conn->state == NBD_CONN_UP && conn->sent) {
                uint64_t due = conn->sent->issued_at + timeout(conn);

                if (due <= now(conn))
                        lost_for_silence(conn, "it did not answer a request");
                else
                        loop_alarm_set(&conn->alarm, due);
        }
        watch(conn);
}

static void on_alarm(struct loop_alarm *alarm)
{
        struct nbd_conn *conn = (struct nbd_conn *)((char *)alarm - offsetof(struct nbd_conn, alarm));

        if (conn->state == NBD_CONN_NONE && (conn->in.armed || conn->out.armed))
                loop_alarm_set(&conn->alarm, now(conn) + PAUSE_LEAST_NS);
        else if (conn->state == NBD_CONN_NONE)
                dial(conn);
        else if (conn->state == NBD_CONN_CONNECTING)
                lost_for_silence(conn, "there was no handshake");
        else if (conn->state == NBD_CONN_UP)
                look_for_silence(conn);
        if (conn->state != NBD_CONN_STOPPED)
                nbd_pool_pump(conn->pool);
}

/* ---- what the pool calls ---- */

void nbd_conn_start(struct nbd_conn *conn, struct nbd_pool *pool, unsigned number)
{
        conn->pool = pool;
        conn->number = number;
        conn->in.done = on_in;
        conn->out.done = on_out;
        conn->alarm.loop = pool->loop;
        conn->alarm.fire = on_alarm;
        loop_alarm_set(&conn->alarm, now(conn));
}

void nbd_conn_stop(struct nbd_conn *conn)
{
        assert(!conn->sent);
        if (conn->state != NBD_CONN_DIALLING) {
                nbd_server_leave(conn->handle);
                conn->handle = NULL;
        }
        conn->state = NBD_CONN_STOPPED;
        poll_cancel(conn);
        loop_alarm_stop(&conn->alarm);
}

bool nbd_conn_is_quiet(const struct nbd_conn *conn)
{
        return conn->state == NBD_CONN_STOPPED && !conn->handle && !conn->in.armed && !conn->out.armed &&
               !loop_alarm_is_armed(&conn->alarm);
}

bool nbd_conn_has_room(const struct nbd_conn *conn)
{
        return conn->state == NBD_CONN_UP && !conn->leaving && conn->n_sent < NBD_UNDER_WAY &&
               conn->bytes_sent < NBD_UNDER_WAY_BYTES;
}

void nbd_conn_send(struct nbd_conn *conn, struct nbd_part *part)
{
        struct nbd_transfer *t = part->t;
        char *memory = (char *)t->memory + part->at;
        uint64_t offset = t->offset + part->at;
        int64_t cookie = -1;

        switch (t->private_.verb) {
        case NBD_READ:
                cookie = nbd_aio_pread(conn->handle, memory, part->bytes, offset, NBD_NULL_COMPLETION, 0);
                break;
        case NBD_WRITE:
                cookie = nbd_aio_pwrite(conn->handle, memory, part->bytes, offset, NBD_NULL_COMPLETION, 0);
                break;
        case NBD_TRIM:
                cookie = nbd_aio_trim(conn->handle, part->bytes, offset, NBD_NULL_COMPLETION, 0);
                break;
        }
        if (cookie > 0) {
                part->cookie = cookie;
                part->issued_at = now(conn);
                DL_APPEND(conn->sent, part);
                conn->n_sent++;
                conn->bytes_sent += part->bytes;
                if (conn->n_sent == 1)
                        loop_alarm_set(&conn->alarm, part->issued_at + timeout(conn));
        } else if (nbd_aio_is_dead(conn->handle) > 0 || nbd_aio_is_closed(conn->handle) > 0) {
                nbd_pool_part_again(conn->pool, part, false);
        } else {
                int code = nbd_get_errno();

                nbd_pool_part_ended(conn->pool, part, code > 0 ? -code : -EIO);
        }
        tend(conn);
        watch(conn);
}
