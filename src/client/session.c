/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session's beginning and end. OFFER -> REGISTER -> READY (session-talk.c), then the descriptors are armed and
 * everything else comes from them (session-watch.c).
 */
#include "client/session.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#include "client/handshake.h"
#include "client/snapshot.h"
#include "client/worker.h"
#include "sys/uffd.h"

static struct op *const *ops_of(struct session *s, struct op *list[8])
{
        list[0] = &s->recv_op;
        list[1] = &s->patience_op;
        list[2] = &s->pidfd_op;
        list[3] = &s->uffd_op;
        list[4] = &s->eventfd_op;
        list[5] = &s->timer_op;
        list[6] = &s->again_op;
        list[7] = NULL;
        return list;
}

static void close_if(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

void session_free_if_idle(struct session *s)
{
        struct worker *w = s->worker;
        struct op *list[8];

        for (struct op *const *op = ops_of(s, list); *op; op++)
                if ((*op)->armed)
                        return;
        if (s->spaced && space_busy(&s->space)) {
                loop_timer(w->loop, &s->timer_op, loop_now(w->loop) + 1000000);
                return;
        }
        if (s->spaced)
                space_clear(&s->space);
        if (s->space.slots_buffer >= 0 && s->slots_tried)
                loop_unregister_buffer(w->loop, s->space.slots_buffer);
        if (s->ring)
                munmap(s->ring, s->ring_bytes);
        if (s->table)
                munmap(s->table, HANDSHAKE_TABLE_BYTES);
        procfs_close(&s->proc);
        close_if(&s->uffd);
        close_if(&s->eventfd);
        close_if(&s->sock);
        close_if(&s->memfd);
        close_if(&s->peer.pidfd);
        worker_forget(w, s);
        free(s);
}

void session_hang_up(struct session *s)
{
        close_if(&s->sock);
}

void session_process_ended(struct session *s)
{
        struct client_snapshot none = { .serial = s->serial, .pid = s->peer.pid, .grant = s->terms.grant };

        s->worker->config->ended(s->worker->config->arg, &none);
}

void session_end(struct session *s)
{
        struct op *list[8];

        if (s->state == SESSION_ENDING)
                return;
        if (s->state != SESSION_OFFERED) {
                struct client_snapshot last;

                snapshot_take(s, &last);
                s->worker->config->ended(s->worker->config->arg, &last);
        } else {
                session_process_ended(s);
        }
        s->state = SESSION_ENDING;
        if (s->spaced)
                space_end(&s->space);
        for (struct op *const *op = ops_of(s, list); *op; op++)
                if ((*op)->armed && *op != &s->again_op)
                        loop_cancel(s->worker->loop, *op);
        if (!s->again_op.armed)
                loop_defer(s->worker->loop, &s->again_op);
}

bool session_is_gone(const struct session *s)
{
        return uffd_copy(s->uffd, UFFD_NOWHERE, s->worker->pager.zeros, PAGE_SIZE_) == -ESRCH;
}

struct session *session_new(struct worker *w)
{
        struct session *s = aligned_alloc(_Alignof(struct session), sizeof(*s));

        if (!s)
                return NULL;
        *s = (struct session){
                .port = { &port_real },
                .worker = w,
                .peer = { .pidfd = -1 },
                .serial = (uint64_t)w->number << 48 | ++w->last_serial,
                .sock = -1,
                .uffd = -1,
                .eventfd = -1,
                .memfd = -1,
                .proc = PROCFS_NONE,
        };
        session_talk_init(s);
        session_watch_init(s);
        DL_APPEND(w->sessions, s);
        w->n_sessions++;
        return s;
}

void session_start(struct worker *w, int sock, const struct sock_peer *peer, const struct client_terms *terms)
{
        struct session *s = session_new(w);

        if (!s) {
                session_refuse(sock, "no memory for another client");
                close(sock);
                close(peer->pidfd);
                return;
        }
        s->peer = *peer;
        s->terms = *terms;
        s->sock = sock;
        s->n_slots = handshake_slots(terms->limit);
        s->ring_bytes = VMPAGER_RING_BYTES(s->n_slots);
        session_watch_process(s);
        session_patience(s);
        if (session_offer(s) < 0)
                session_end(s);
}
