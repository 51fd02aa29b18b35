/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conversation with a client's agent: OFFER -> REGISTER -> READY. After that nothing is heard but its end. */
#include "client/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "client/handshake.h"
#include "client/unattended.h"
#include "client/worker.h"
#include "util/error.h"
#include "util/log.h"

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
        struct vmpager_ready ready = { .hdr = header(VMPAGER_READY, sizeof(ready)), .limit_bytes = s->terms.limit };
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
        space_set_limit(&s->space, s->terms.limit);
        space_set_swap(&s->space, s->terms.swap);
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
                session_free_if_idle(s);
        else if (s->state == SESSION_UNATTENDED)
                session_hang_up(s);
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

void session_talk_init(struct session *s)
{
        s->recv_op.done = on_recv;
}
