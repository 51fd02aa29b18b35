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
#include "client/unattended.h"
#include "client/worker.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "sys/uffd.h"
#include "util/error.h"
#include "util/log.h"

/* How long a client may take from HELLO, or OFFER, to REGISTER. */
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

static int send_packet(int sock, const void *msg, size_t len, const int *fds, int n_fds)
{
        struct sock_packet p;

        sock_packet_out(&p, msg, len, fds, n_fds);
        return sendmsg(sock, &p.msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void session_refuse(int sock, const char *format, ...)
{
        struct vmpager_refuse refuse = { .hdr = header(VMPAGER_REFUSE, sizeof(refuse)) };
        va_list ap;

        va_start(ap, format);
        vsnprintf(refuse.text, sizeof(refuse.text), format, ap);
        va_end(ap);
        send_packet(sock, &refuse, sizeof(refuse), NULL, 0);
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
        close_if(&s->memfd);
        close_if(&s->peer.pidfd);
        worker_forget(w, s);
        free(s);
}

void session_process_ended(struct session *s)
{
        struct client_snapshot none = { .serial = s->serial, .pid = s->peer.pid, .grant = s->grant };

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

/* Its process has ended, or was found to be about other memory by now. */
static void on_pidfd(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, pidfd_op);

        (void)res;
        (void)flags;
        if (s->state == SESSION_ENDING)
                free_if_idle(s);
        else if (s->state == SESSION_OFFERED || session_is_gone(s))
                session_end(s);
        else
                unattended_orphan(s);
}

static void on_patience(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, patience_op);
        bool up = res != -ECANCELED;

        (void)flags;
        switch (s->state) {
        case SESSION_OFFERED:
                if (up)
                        session_end(s);
                return;
        case SESSION_UNATTENDED:
                if (up)
                        unattended_look(s);
                else
                        session_patience(s);
                return;
        case SESSION_RETURNING:
                if (up)
                        unattended_begin(s);
                else
                        session_patience(s);
                return;
        case SESSION_PAGED:
                return;
        case SESSION_ENDING:
                free_if_idle(s);
                return;
        }
}

void session_patience(struct session *s)
{
        struct loop *loop = s->worker->loop;

        if (s->patience_op.armed)
                loop_cancel(loop, &s->patience_op); /* armed anew when it comes back */
        else
                loop_timer(loop, &s->patience_op,
                           loop_now(loop) + (s->state == SESSION_UNATTENDED ? s->look_ns : PATIENCE_NS));
}

void session_watch_uffd(struct session *s)
{
        loop_poll_multishot(s->worker->loop, &s->uffd_op, s->uffd, POLLIN);
}

void session_watch_process(struct session *s)
{
        loop_poll(s->worker->loop, &s->pidfd_op, s->peer.pidfd, POLLIN);
}

bool session_is_gone(const struct session *s)
{
        return uffd_copy(s->uffd, UFFD_NOWHERE, s->worker->pager.zeros, PAGE_SIZE_) == -ESRCH;
}

/* The agent is not there any more, or not to be spoken to: what it leaves behind is served without it. */
static void lose_agent(struct session *s)
{
        if (s->state == SESSION_OFFERED || session_is_gone(s))
                session_end(s);
        else
                unattended_begin(s);
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
        bool returns = s->state == SESSION_RETURNING;
        struct error e = { 0 };
        bool sound = session_check_header(s->sock, &s->in.hdr, len, sizeof(s->in.reg));
        int r;

        if (!sound || s->in.hdr.type != VMPAGER_REGISTER) {
                for (int i = 0; i < n_fds; i++)
                        close(fds[i]);
                lose_agent(s);
                return;
        }
        r = returns ? handshake_return(s, &s->in.reg, fds, n_fds, &e) :
                      handshake_register(s, &s->in.reg, fds, n_fds, &e);
        if (r < 0) {
                log_warning("client %d is refused: %s", s->peer.pid, e.text);
                session_refuse(s->sock, "%s", e.text);
                lose_agent(s);
                return;
        }
        s->state = SESSION_PAGED;
        s->attended = true;
        if (s->patience_op.armed)
                loop_cancel(s->worker->loop, &s->patience_op);
        if (!returns)
                session_watch_uffd(s);
        loop_poll_multishot(s->worker->loop, &s->eventfd_op, s->eventfd, POLLIN);
        space_set_limit(&s->space, s->limit);
        if (send_packet(s->sock, &ready, sizeof(ready), NULL, 0) < 0) {
                lose_agent(s);
                return;
        }
        receive(s);
}

static void on_recv(struct op *op, int res, unsigned flags)
{
        struct session *s = op_owner(op, struct session, recv_op);
        int fds[SOCK_MAX_FDS], n_fds = res > 0 ? sock_packet_fds(&s->packet, fds) : 0;
        bool expected = s->state == SESSION_OFFERED || s->state == SESSION_RETURNING;

        (void)flags;
        if (expected && res > 0 && n_fds >= 0) {
                on_register(s, res, fds, n_fds);
                return;
        }
        for (int i = 0; i < n_fds; i++)
                close(fds[i]);
        if (s->state == SESSION_ENDING)
                free_if_idle(s);
        else if (s->state == SESSION_UNATTENDED)
                close_if(&s->sock);
        else
                lose_agent(s); /* the end of the connection, or something that a paged client never sends */
}

int session_offer(struct session *s)
{
        bool returns = s->state == SESSION_RETURNING;
        struct vmpager_offer offer = {
                .hdr = header(VMPAGER_OFFER, sizeof(offer)),
                .ring_bytes = s->ring_bytes,
                .staging_pages = VMPAGER_BATCH_PAGES,
                .flags = returns ? VMPAGER_OFFER_RESUMES : 0,
        };
        const int resumed[] = { s->uffd, s->memfd }, *device = &s->worker->config->device;
        int r = send_packet(s->sock, &offer, sizeof(offer), returns ? resumed : device, returns ? 2 : 1);

        if (r == 0)
                receive(s);
        return r;
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
                .recv_op = { .done = on_recv },
                .patience_op = { .done = on_patience },
                .pidfd_op = { .done = on_pidfd },
                .uffd_op = { .done = on_uffd },
                .eventfd_op = { .done = on_eventfd },
                .timer_op = { .done = on_timer },
                .again_op = { .done = on_again },
        };
        DL_APPEND(w->sessions, s);
        w->n_sessions++;
        return s;
}

void session_start(struct worker *w, int sock, const struct sock_peer *peer, uint64_t limit, uint64_t grant)
{
        struct session *s = session_new(w);

        if (!s) {
                session_refuse(sock, "no memory for another client");
                close(sock);
                close(peer->pidfd);
                return;
        }
        s->peer = *peer;
        s->limit = limit;
        s->grant = grant;
        s->sock = sock;
        s->n_slots = handshake_slots(limit);
        s->ring_bytes = VMPAGER_RING_BYTES(s->n_slots);
        session_watch_process(s);
        session_patience(s);
        if (session_offer(s) < 0)
                session_end(s);
}
