/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first message on the client socket tells what the peer is. HELLO: a program that wants to be paged, which
 * goes to a worker with the limit that it is admitted under. GRANT: "vmpagerctl run", whose connection stays here:
 * while it lasts, what it starts runs under its limit, and it may ask for the statistics of that.
 */
#include <errno.h>
#include <stddef.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "client/session.h"
#include "control/server.h"
#include "model/budget.h"
#include "util/log.h"
#include "util/size.h"

#define PATIENCE_NS 20000000000ull

struct greeting {
        struct server *server;
        int sock;
        struct sock_peer peer;
        struct op recv_op, send_op, patience_op;
        struct sock_packet in, out;
        union {
                struct vmpager_hdr hdr;
                struct vmpager_hello hello;
                struct vmpager_grant grant;
                char bytes[256];
        } msg;
        struct grant *grant;
        char *text; /* statistics that are being sent */
        size_t text_len, text_at;
        struct vmpager_stats_data piece;
        bool ending;
};

static void free_if_idle(struct greeting *g)
{
        if (g->recv_op.armed || g->send_op.armed || g->patience_op.armed)
                return;
        if (g->grant)
                admit_revoke(&g->server->admit, g->grant);
        if (g->sock >= 0)
                close(g->sock);
        if (g->peer.pidfd >= 0)
                close(g->peer.pidfd);
        free(g->text);
        free(g);
}

static void end(struct greeting *g)
{
        struct loop *loop = g->server->loop;

        g->ending = true;
        if (g->recv_op.armed)
                loop_cancel(loop, &g->recv_op);
        if (g->send_op.armed)
                loop_cancel(loop, &g->send_op);
        if (g->patience_op.armed)
                loop_cancel(loop, &g->patience_op);
        free_if_idle(g);
}

static void receive(struct greeting *g)
{
        sock_packet_in(&g->in, &g->msg, sizeof(g->msg));
        loop_recvmsg(g->server->loop, &g->recv_op, g->sock, &g->in.msg);
}

static struct vmpager_hdr header(enum vmpager_msg_type type, size_t size)
{
        return (struct vmpager_hdr){ VMPAGER_MAGIC, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR, (uint16_t)type, 0,
                                     (uint32_t)size };
}

static void send_piece(struct greeting *g)
{
        size_t n = g->text_len - g->text_at;

        if (n > VMPAGER_STATS_CHUNK)
                n = VMPAGER_STATS_CHUNK;
        g->piece.hdr = header(VMPAGER_STATS_DATA, offsetof(struct vmpager_stats_data, bytes) + n);
        g->piece.used = (uint32_t)n;
        g->piece.last = g->text_at + n == g->text_len;
        memcpy(g->piece.bytes, g->text + g->text_at, n);
        g->text_at += n;
        sock_packet_out(&g->out, &g->piece, g->piece.hdr.size, NULL, 0);
        loop_sendmsg(g->server->loop, &g->send_op, g->sock, &g->out.msg);
}

static void on_send(struct op *op, int res, unsigned flags)
{
        struct greeting *g = op_owner(op, struct greeting, send_op);

        (void)flags;
        if (g->ending) {
                free_if_idle(g);
        } else if (res < 0) {
                end(g);
        } else if (g->text_at < g->text_len) {
                send_piece(g);
        } else {
                free(g->text);
                g->text = NULL;
                receive(g);
        }
}

static void on_stats(struct greeting *g)
{
        struct json_object *o = report_stats(g->server, g->grant, 0);
        const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);

        g->text = strdup(text);
        g->text_len = g->text ? strlen(g->text) : 0;
        g->text_at = 0;
        json_object_put(o);
        if (g->text)
                send_piece(g);
        else
                end(g);
}

/* What a GRANT asks for is within what there is: fills in terms, or refuses it. */
static bool check_grant(struct greeting *g, struct client_terms *terms)
{
        const struct server *s = g->server;
        const struct vmpager_grant *m = &g->msg.grant;
        char bound[32];

        *terms = s->admit.defaults;
        if (m->limit_bytes)
                terms->limit = m->limit_bytes;
        if (m->swap_bytes)
                terms->swap = m->swap_bytes;
        if (terms->limit && terms->limit < BUDGET_MIN_LIMIT)
                session_refuse(g->sock, "the limit is below the least one, %s",
                               size_format(BUDGET_MIN_LIMIT, bound, sizeof(bound)));
        else if (terms->limit > s->memory)
                session_refuse(g->sock, "the limit is above this machine's memory, %s",
                               size_format(s->memory, bound, sizeof(bound)));
        else if (terms->swap && terms->swap < VMPAGER_SWAP_LEAST)
                session_refuse(g->sock, "the swap is below the least one, %s",
                               size_format(VMPAGER_SWAP_LEAST, bound, sizeof(bound)));
        else if (s->admit.defaults.swap && terms->swap > s->admit.defaults.swap)
                session_refuse(g->sock, "the swap is above what the configuration of vmpagerd gives each program, %s",
                               size_format(s->admit.defaults.swap, bound, sizeof(bound)));
        else if (m->class_name[0])
                session_refuse(g->sock, "there is no class of that name");
        else
                return true;
        return false;
}

static void on_grant(struct greeting *g)
{
        struct vmpager_granted granted = { .hdr = header(VMPAGER_GRANTED, sizeof(granted)) };
        struct client_terms terms;

        if (!check_grant(g, &terms)) {
                end(g);
                return;
        }
        if (!g->grant)
                g->grant = admit_grant(&g->server->admit, g->peer.pid, g->peer.uid);
        if (!g->grant) {
                session_refuse(g->sock, "no memory for another grant");
                end(g);
                return;
        }
        terms.grant = g->grant->terms.grant;
        g->grant->terms = terms;
        granted.limit_bytes = terms.limit;
        if (send(g->sock, &granted, sizeof(granted), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                end(g);
        else
                receive(g);
}

static void on_hello(struct greeting *g)
{
        struct server *s = g->server;
        struct client_terms terms;
        bool forked = g->msg.hello.flags & VMPAGER_HELLO_FORKED;

        if (g->msg.hello.page_size != VMPAGER_PAGE) {
                session_refuse(g->sock, "pages of %u bytes are not supported, only of %u", g->msg.hello.page_size,
                               VMPAGER_PAGE);
                end(g);
                return;
        }
        admit_client(&s->admit, g->peer.pid, g->peer.uid, &terms);
        if (worker_take(&s->workers[s->next_worker], g->sock, &g->peer, &terms, forked) == 0) {
                g->sock = -1;
                g->peer.pidfd = -1;
        }
        s->next_worker = (s->next_worker + 1) % s->n_workers;
        end(g);
}

static void on_message(struct greeting *g, int len)
{
        unsigned least = sizeof(g->msg.hdr);

        if (len >= (int)least && g->msg.hdr.type == VMPAGER_HELLO)
                least = sizeof(g->msg.hello);
        else if (len >= (int)least && g->msg.hdr.type == VMPAGER_GRANT)
                least = offsetof(struct vmpager_grant, swap_bytes); /* protocol 1.0 ends there */
        if (!session_check_header(g->sock, &g->msg.hdr, len, least)) {
                end(g);
                return;
        }
        if (g->patience_op.armed)
                loop_cancel(g->server->loop, &g->patience_op);
        if (g->msg.hdr.type == VMPAGER_HELLO && !g->grant) {
                on_hello(g);
        } else if (g->msg.hdr.type == VMPAGER_GRANT) {
                if ((size_t)len < sizeof(g->msg.grant))
                        g->msg.grant.swap_bytes = 0;
                on_grant(g);
        } else if (g->msg.hdr.type == VMPAGER_STATS && g->grant) {
                on_stats(g);
        } else {
                session_refuse(g->sock, "message %u is not expected here", g->msg.hdr.type);
                end(g);
        }
}

static void on_recv(struct op *op, int res, unsigned flags)
{
        struct greeting *g = op_owner(op, struct greeting, recv_op);
        int fds[SOCK_MAX_FDS], n_fds = res > 0 ? sock_packet_fds(&g->in, fds) : 0;

        (void)flags;
        for (int i = 0; i < n_fds; i++)
                close(fds[i]); /* nobody sends any at this point */
        if (g->ending)
                free_if_idle(g);
        else if (res <= 0 || n_fds < 0)
                end(g);
        else
                on_message(g, res);
}

static void on_patience(struct op *op, int res, unsigned flags)
{
        struct greeting *g = op_owner(op, struct greeting, patience_op);

        (void)flags;
        if (g->ending)
                free_if_idle(g);
        else if (res != -ECANCELED)
                end(g);
}

void greeting_start(struct server *s, int sock)
{
        struct greeting *g = calloc(1, sizeof(*g));

        if (!g || sock_peer(sock, &g->peer) < 0) {
                free(g);
                close(sock);
                return;
        }
        g->server = s;
        g->sock = sock;
        g->recv_op.done = on_recv;
        g->send_op.done = on_send;
        g->patience_op.done = on_patience;
        loop_timer(s->loop, &g->patience_op, loop_now(s->loop) + PATIENCE_NS);
        receive(g);
}
