/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OFFER -> REGISTER -> READY, then the descriptors are armed and everything else comes from them: the userfaultfd
 * (faults and events), the eventfd (the agent), the socket and the pidfd (the end), the timer (pressure).
 */
#include "client/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#include "client/handshake.h"
#include "client/snapshot.h"
#include "client/worker.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "util/error.h"
#include "util/log.h"

/* How long a client may take from HELLO to REGISTER. */
#define PATIENCE_NS 20000000000ull

static struct vmpager_hdr header(enum vmpager_msg_type type, size_t size)
{
        return (struct vmpager_hdr){
                .magic = VMPAGER_MAGIC,
                .major = VMPAGER_PROTOCOL_MAJOR,
                .minor = VMPAGER_PROTOCOL_MINOR,
                .type = type,
                .size = (uint32_t)size,
        };
}

static int send_packet(int sock, const void *msg, size_t len, int fd)
{
        struct sock_packet p;

        sock_packet_out(&p, msg, len, &fd, fd >= 0 ? 1 : 0);
        return sendmsg(sock, &p.msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void session_refuse(int sock, const char *format, ...)
{
        struct vmpager_refuse refuse = { .hdr = header(VMPAGER_REFUSE, sizeof(refuse)) };
        va_list ap;

        va_start(ap, format);
        vsnprintf(refuse.text, sizeof(refuse.text), format, ap);
        va_end(ap);
        send_packet(sock, &refuse, sizeof(refuse), -1);
}

bool session_check_header(int sock, const struct vmpager_hdr *hdr, int len, unsigned least)
{
        if (len < (int)sizeof(*hdr) || hdr->magic != VMPAGER_MAGIC) {
                session_refuse(sock, "this is vmpagerd's socket, and what was sent is not its protocol");
                return false;
        }
        if (hdr->major != VMPAGER_PROTOCOL_MAJOR) {
                session_refuse(sock,
                               "the client speaks protocol %u.%u, vmpagerd %u.%u: install both from the same build",
                               hdr->major, hdr->minor, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR);
                return false;
        }
        if (hdr->size != (uint32_t)len || (unsigned)len < least) {
                session_refuse(sock, "a message of %d bytes does not have the size that it says", len);
                return false;
        }
        return true;
}

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

/*
 * Frees an ended session once nothing is under way for it; looks again soon while the store still has some of its
 * memory.
 */
static void free_if_idle(struct session *s)
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
        close_if(&s->peer.pidfd);
        worker_forget(w, s);
        free(s);
}

void session_end(struct session *s)
{
        struct op *list[8];

        if (s->state == SESSION_ENDING)
                return;
        if (s->state == SESSION_PAGED) {
                struct client_snapshot last;

                snapshot_take(s, &last);
                s->worker->config->ended(s->worker->config->ended_arg, &last);
        } else {
                struct client_snapshot none = { .serial = s->serial, .pid = s->peer.pid, .grant = s->grant };

                s->worker->config->ended(s->worker->config->ended_arg, &none);
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

static void on_uffd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, uffd_op);

        if (s->state == SESSION_ENDING) {
                if (!(flags & LOOP_MORE))
                        free_if_idle(s);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_poll_multishot(s->worker->loop, op, s->uffd, POLLIN);
        if (res >= 0)
                fault_receive(&s->space);
}

static void on_eventfd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, eventfd_op);

        if (s->state == SESSION_ENDING) {
                if (!(flags & LOOP_MORE))
                        free_if_idle(s);
                return;
        }
        if (!(flags & LOOP_MORE))
                loop_poll_multishot(s->worker->loop, op, s->eventfd, POLLIN);
        /* The poll fires on each write, so the counter need not be read. */
        if (res >= 0)
                evict_completed(&s->space);
}

static void on_timer(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, timer_op);
        uint64_t at = s->timer_at;

        (void)flags;
        if (s->state == SESSION_ENDING) {
                free_if_idle(s);
                return;
        }
        if (res == -ECANCELED) {
                loop_timer(s->worker->loop, op, at);
                return;
        }
        s->timer_at = 0;
        space_tick(&s->space);
}

static void on_again(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, again_op);

        (void)res;
        (void)flags;
        if (s->state == SESSION_ENDING)
                free_if_idle(s);
        else
                fault_receive(&s->space);
}

static void on_pidfd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, pidfd_op);

        (void)res;
        (void)flags;
        if (s->state == SESSION_ENDING)
                free_if_idle(s);
        else
                session_end(s);
}

static void on_patience(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, patience_op);

        (void)flags;
        if (s->state == SESSION_ENDING)
                free_if_idle(s);
        else if (s->state == SESSION_OFFERED && res != -ECANCELED)
                session_end(s);
}

static void receive(struct session *s)
{
        sock_packet_in(&s->packet, &s->in, sizeof(s->in));
        loop_recvmsg(s->worker->loop, &s->recv_op, s->sock, &s->packet.msg);
}

/* REGISTER came: the client is paged from now on. */
static void on_register(struct session *s, int len, int fds[SOCK_MAX_FDS], int n_fds)
{
        struct vmpager_ready ready = { .hdr = header(VMPAGER_READY, sizeof(ready)), .limit_bytes = s->limit };
        struct error e = { 0 };
        bool sound = session_check_header(s->sock, &s->in.hdr, len, sizeof(s->in.reg));

        if (!sound || s->in.hdr.type != VMPAGER_REGISTER) {
                for (int i = 0; i < n_fds; i++)
                        close(fds[i]);
                session_end(s);
                return;
        }
        if (handshake_register(s, &s->in.reg, fds, n_fds, &e) < 0) {
                log_warning("client %d is refused: %s", s->peer.pid, e.text);
                session_refuse(s->sock, "%s", e.text);
                session_end(s);
                return;
        }
        s->state = SESSION_PAGED;
        if (s->patience_op.armed)
                loop_cancel(s->worker->loop, &s->patience_op);
        loop_poll_multishot(s->worker->loop, &s->uffd_op, s->uffd, POLLIN);
        loop_poll_multishot(s->worker->loop, &s->eventfd_op, s->eventfd, POLLIN);
        space_set_limit(&s->space, s->limit);
        if (send_packet(s->sock, &ready, sizeof(ready), -1) < 0) {
                session_end(s);
                return;
        }
        receive(s);
}

static void on_recv(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, recv_op);
        int fds[SOCK_MAX_FDS], n_fds = res > 0 ? sock_packet_fds(&s->packet, fds) : 0;

        (void)flags;
        if (s->state == SESSION_ENDING || res <= 0 || n_fds < 0 || s->state == SESSION_PAGED) {
                for (int i = 0; i < n_fds; i++)
                        close(fds[i]);
                if (s->state == SESSION_ENDING)
                        free_if_idle(s);
                else
                        session_end(s); /* the end of the connection, or something that a paged client never sends */
                return;
        }
        on_register(s, res, fds, n_fds);
}

static int offer(struct session *s)
{
        struct vmpager_offer offer = {
                .hdr = header(VMPAGER_OFFER, sizeof(offer)),
                .ring_bytes = s->ring_bytes,
                .staging_pages = VMPAGER_BATCH_PAGES,
        };

        return send_packet(s->sock, &offer, sizeof(offer), s->worker->config->device);
}

void session_start(struct worker *w, int sock, const struct sock_peer *peer, uint64_t limit, uint64_t grant)
{
        struct session *s = aligned_alloc(_Alignof(struct session), sizeof(*s));

        if (!s) {
                session_refuse(sock, "no memory for another client");
                close(sock);
                close(peer->pidfd);
                return;
        }
        *s = (struct session){
                .port = { &port_real },
                .worker = w,
                .peer = *peer,
                .limit = limit,
                .grant = grant,
                .serial = (uint64_t)w->number << 48 | ++w->last_serial,
                .sock = sock,
                .uffd = -1,
                .eventfd = -1,
                .proc = PROCFS_NONE,
                .n_slots = handshake_slots(limit),
                .recv_op = { .done = on_recv },
                .patience_op = { .done = on_patience },
                .pidfd_op = { .done = on_pidfd },
                .uffd_op = { .done = on_uffd },
                .eventfd_op = { .done = on_eventfd },
                .timer_op = { .done = on_timer },
                .again_op = { .done = on_again },
        };
        s->ring_bytes = VMPAGER_RING_BYTES(s->n_slots);
        DL_APPEND(w->sessions, s);
        w->n_sessions++;
        loop_poll(w->loop, &s->pidfd_op, s->peer.pidfd, POLLIN);
        loop_timer(w->loop, &s->patience_op, loop_now(w->loop) + PATIENCE_NS);
        if (offer(s) < 0)
                session_end(s);
        else
                receive(s);
}
