/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session: one connected client, from its HELLO to its end. It belongs to one worker. It ends when the client's
 * socket or its process does (exec closes the one, exit both), or when the daemon gives it up.
 *
 * Calls: session_start() in the worker's thread; everything else follows from the loop. The session frees itself when
 * it has ended and nothing is under way for it any more.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <vmpager/protocol.h>

#include "client/terms.h"
#include "pager/space.h"
#include "sys/loop.h"
#include "sys/procfs.h"
#include "sys/sock.h"

struct worker;

enum session_state {
        SESSION_OFFERED, /* waits for REGISTER */
        SESSION_PAGED,
        SESSION_UNATTENDED, /* has pages that are out, and no agent (client/unattended.h) */
        SESSION_RETURNING,  /* the same, and its agent is offered what there is */
        SESSION_ENDING,
};

struct session {
        struct port port;            /* first: the pager's way back */
        struct session *prev, *next; /* in the worker's list */
        struct worker *worker;
        enum session_state state;
        struct sock_peer peer;
        char comm[16];
        struct client_terms terms;
        uint64_t serial;

        int sock, uffd, eventfd;
        int memfd;               /* the ring's, while an agent is to get it, or -1 */
        pid_t parent;            /* of a forked child: the pid of the client that forked it */
        uint64_t look_ns;        /* time until it is looked at again while unattended */
        unsigned leaving_looks;  /* how often it was seen on its way out then */
        uint64_t identify_after; /* ns: which process it is was not found, and is not looked for again before */
        bool attended;           /* it has an agent, or has ended with one */
        bool killed;             /* and told so */
        struct procfs proc;
        struct vmpager_ring *ring;
        uint64_t ring_bytes;
        uint32_t n_slots;
        void *table;

        struct op recv_op, patience_op, pidfd_op, uffd_op, eventfd_op, timer_op, again_op;
        struct sock_packet packet;
        union {
                struct vmpager_hdr hdr;
                struct vmpager_register reg;
                char bytes[512];
        } in;
        uint64_t timer_at; /* ns; 0: none wanted */
        bool slots_tried;  /* registering the slots with the loop was tried */
        bool spaced;       /* the space is set up */
        struct space space;
};

/* Begins the conversation with a client that said HELLO: sends the OFFER. Takes over sock and peer->pidfd. */
void session_start(struct worker *w, int sock, const struct sock_peer *peer, const struct client_terms *terms);

/* A session with nothing in it, in the worker's list; NULL without memory. */
struct session *session_new(struct worker *w);

/* Sends the OFFER, and waits for REGISTER. Returns 0 or a negative errno. */
int session_offer(struct session *s);

/* Watches the session's userfaultfd, and its process by peer.pidfd. */
void session_watch_uffd(struct session *s);
void session_watch_process(struct session *s);

/*
 * Arms the timer for what the session's state has to wait for, or sets it anew: a REGISTER, or the next look after a
 * session without an agent.
 */
void session_patience(struct session *s);

/* Whether the session's process has its memory no more: it has ended, or called exec. */
bool session_is_gone(const struct session *s);

/* Says to whom it concerns that its process is a client no more. The session may go on for what has its memory too. */
void session_process_ended(struct session *s);

/* Ends a session: what it stored is dropped. */
void session_end(struct session *s);

/*
 * Frees an ended session once nothing is under way for it; looks again soon while the store still has some of its
 * memory. To be called when one of its operations has come back.
 */
void session_free_if_idle(struct session *s);

/* Closes its socket. */
void session_hang_up(struct session *s);

/* Say what is to be called when something comes; by session_new(). */
void session_talk_init(struct session *s);
void session_watch_init(struct session *s);

/* Sends REFUSE with a text to a client socket; it is not closed. */
void session_refuse(int sock, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a message is well-formed and of our major version; if not, refuses it. */
bool session_check_header(int sock, const struct vmpager_hdr *hdr, int len, unsigned least);

/* The port's operations (client/port.c). */
extern const struct port_ops port_real;

#endif
