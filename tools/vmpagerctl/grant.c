// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A grant: one SOCK_SEQPACKET connection that gives a limit to this process and its descendants for as long as
 * it is open (vmpager/protocol.h). After the program has ended, its statistics are asked for on the same
 * connection.
 */
#include "vmpagerctl/grant.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <vmpager/protocol.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmpagerctl/endpoint.h"

#define STATS_MOST (64u << 20) /* bytes; a bound on what a daemon gone mad can make us hold */

#define STATS_DATA_HEAD offsetof(struct vmpager_stats_data, bytes)

union reply {
        struct vmpager_hdr hdr;
        struct vmpager_granted granted;
        struct vmpager_refuse refuse;
        struct vmpager_stats_data data;
};

static struct vmpager_hdr header(enum vmpager_msg_type type, size_t size)
{
        return (struct vmpager_hdr){
                .magic = VMPAGER_MAGIC,
                .major = VMPAGER_PROTOCOL_MAJOR,
                .minor = VMPAGER_PROTOCOL_MINOR,
                .type = (uint16_t)type,
                .size = (uint32_t)size,
        };
}

static int lost(struct error *e, int r)
{
        if (r == -ETIMEDOUT)
                return error_set(e, r, "vmpagerd has not answered for %d s", ENDPOINT_PATIENCE_MS / 1000);
        if (r == -EPIPE || r == -ECONNRESET)
                return error_set(e, r, "vmpagerd has closed the connection");
        return error_sys(e, r, "cannot talk to vmpagerd");
}

static int tell(int fd, const void *data, size_t size, int64_t deadline, struct error *e)
{
        for (;;) {
                int r;

                if (send(fd, data, size, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno == EINTR)
                        continue;
                r = -errno;
                if (r == -EAGAIN)
                        r = endpoint_wait(fd, POLLOUT, deadline);
                if (r < 0)
                        return lost(e, r);
        }
}

/* Reads one message of `type`; a REFUSE becomes an error with its text. Returns its length. */
static ssize_t hear(int fd, enum vmpager_msg_type type, size_t least, union reply *m, int64_t deadline, struct error *e)
{
        ssize_t n;
        int r;

        do {
                r = endpoint_wait(fd, POLLIN, deadline);
                if (r < 0)
                        return lost(e, r);
                n = recv(fd, m, sizeof(*m), 0);
        } while (n < 0 && (errno == EINTR || errno == EAGAIN));
        if (n <= 0)
                return lost(e, n < 0 ? -errno : -ECONNRESET);

        if ((size_t)n < sizeof(m->hdr) || m->hdr.magic != VMPAGER_MAGIC)
                return error_set(e, -EPROTO, "what answers is not vmpagerd");
        if (m->hdr.major != VMPAGER_PROTOCOL_MAJOR)
                return error_set(e, -EPROTO,
                                 "vmpagerd speaks protocol %u.%u, this vmpagerctl %d.%d; install both of one version",
                                 m->hdr.major, m->hdr.minor, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR);
        if (m->hdr.type == VMPAGER_REFUSE && (size_t)n == sizeof(m->refuse))
                return error_set(e, -ECONNREFUSED, "vmpagerd refuses: %.*s", (int)sizeof(m->refuse.text) - 1,
                                 m->refuse.text);
        if (m->hdr.type != type || (size_t)n < least)
                return error_set(e, -EPROTO, "vmpagerd sent a message of type %u and %zd bytes where %d was due",
                                 m->hdr.type, n, type);
        return n;
}

int grant_open(const struct endpoint *at, uint64_t limit, uint64_t swap, struct error *e)
{
        struct vmpager_grant m = { .hdr = header(VMPAGER_GRANT, sizeof(m)), .limit_bytes = limit, .swap_bytes = swap };
        _cleanup_(freep) union reply *answer = malloc(sizeof(*answer));
        _cleanup_(closep) int fd = endpoint_connect(at, SOCK_SEQPACKET, e);
        int64_t deadline = endpoint_deadline(ENDPOINT_PATIENCE_MS);
        ssize_t n;
        int r;

        if (fd < 0)
                return fd;
        if (!answer)
                return error_set(e, -ENOMEM, "out of memory");
        r = tell(fd, &m, sizeof(m), deadline, e);
        if (r < 0)
                return endpoint_absent(r) ? -EPROTO : r;
        n = hear(fd, VMPAGER_GRANTED, sizeof(answer->granted), answer, deadline, e);
        if (n < 0)
                return endpoint_absent((int)n) ? -EPROTO : (int)n;
        if (swap && answer->hdr.minor < 1)
                return error_set(e, -EPROTO,
                                 "vmpagerd speaks protocol %u.%u, which knows no --swap; install both of one version",
                                 answer->hdr.major, answer->hdr.minor);
        return take_fd(&fd);
}

int grant_stats(int fd, char **json, struct error *e)
{
        struct vmpager_hdr m = header(VMPAGER_STATS, sizeof(m));
        _cleanup_(freep) union reply *answer = malloc(sizeof(*answer));
        _cleanup_(freep) char *text = NULL;
        int64_t deadline = endpoint_deadline(ENDPOINT_PATIENCE_MS);
        size_t used = 0;
        ssize_t n;
        int r;

        if (!answer)
                return error_set(e, -ENOMEM, "out of memory");
        r = tell(fd, &m, sizeof(m), deadline, e);
        if (r < 0)
                return r;
        do {
                char *longer;

                n = hear(fd, VMPAGER_STATS_DATA, STATS_DATA_HEAD, answer, deadline, e);
                if (n < 0)
                        return (int)n;
                if (answer->data.used > (size_t)n - STATS_DATA_HEAD || used + answer->data.used > STATS_MOST)
                        return error_set(e, -EPROTO, "vmpagerd sent statistics of a wrong length");
                longer = realloc(text, used + answer->data.used + 1);
                if (!longer)
                        return error_set(e, -ENOMEM, "out of memory");
                text = longer;
                memcpy(text + used, answer->data.bytes, answer->data.used);
                used += answer->data.used;
                text[used] = '\0';
        } while (!answer->data.last);

        *json = text;
        text = NULL;
        return 0;
}
