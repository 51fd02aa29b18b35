/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMPAGERCTL_ENDPOINT_H
#define VMPAGERCTL_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

struct error;

/* How long the daemon may take for an answer. */
#define ENDPOINT_PATIENCE_MS 10000

struct endpoint {
        char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/*
 * Where vmpagerd listens for clients: VMPAGER_SOCKET, or the default. -ENAMETOOLONG with a text where it cannot be a
 * socket's name.
 */
int endpoint_client(struct endpoint *out, struct error *e);

/* Where it listens for this tool: beside VMPAGER_SOCKET where that is set, or the default. */
int endpoint_control(struct endpoint *out, struct error *e);

/*
 * Connects to a unix socket of `type` (SOCK_STREAM, SOCK_SEQPACKET). Returns a descriptor (CLOEXEC, non-blocking: use
 * endpoint_wait()) or a negative errno; a text goes into e, except when nobody listens there: see endpoint_absent().
 */
int endpoint_connect(const struct endpoint *at, int type, struct error *e);

/* Whether what endpoint_connect() returned means that no daemon is there. */
bool endpoint_absent(int r);

/* A point in time `ms` from now, for endpoint_wait(). */
int64_t endpoint_deadline(int ms);

/* Waits for poll(2) events on fd. 0, -ETIMEDOUT, or another negative errno. */
int endpoint_wait(int fd, short events, int64_t deadline);

#endif
