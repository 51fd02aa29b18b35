/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session without an agent. Its faults are served and its events carried out; nothing is evicted, since only an agent
 * can. So begins every forked child: UFFD_EVENT_FORK brings its userfaultfd before it runs. Its library then starts an
 * agent, whose HELLO claims the session. A child that was made without the library's knowledge (a raw clone(2),
 * _Fork(3)) stays so until it ends or calls exec, and so does a program whose agent has ended, and memory that has
 * outlived the process whose it was.
 */
#ifndef CLIENT_UNATTENDED_H
#define CLIENT_UNATTENDED_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/sock.h"

struct session;
struct worker;

/*
 * The session of a forked child of `parent`, with its userfaultfd, an empty space and the parent's limit; takes over
 * uffd. NULL, with uffd closed, where there cannot be one.
 */
struct session *unattended_new(struct session *parent, int uffd);

/* The agent has gone and the process has not: goes on without it. */
void unattended_begin(struct session *s);

/*
 * The session's process has ended or called exec, and its memory is another's too: the child of a vfork(2), or of a
 * clone(2) with CLONE_VM. Goes on for that one. Nothing waits for the old process' pidfd any more.
 */
void unattended_orphan(struct session *s);

/*
 * Looks after an unattended session: whether its process is still there, and which it is. For session-watch.c's timer.
 */
void unattended_look(struct session *s);

/* The daemon stops: nobody would keep its pages that are out from reading as zeros, so the process is ended. */
void unattended_stop(struct session *s);

/* Finds out which process it is, if that is not known. */
void unattended_identify(struct session *s);

/* The worker's unattended session whose memory is the peer's, or NULL. */
struct session *unattended_find(struct worker *w, const struct sock_peer *peer);

/*
 * Whether a fork of the peer's parent was read that is not carried out yet: the session may be still to come. Others'
 * forks do not count, or a client that stands still would hold up the children of all.
 */
bool unattended_is_expected(const struct worker *w, const struct sock_peer *peer);

/* The peer's agent takes the session: sends it the OFFER. Takes over sock and peer->pidfd. */
void unattended_claim(struct session *s, int sock, const struct sock_peer *peer);

#endif
