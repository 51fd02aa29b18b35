/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_SOCK_H
#define SYS_SOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct error;

#define SOCK_MAX_FDS 4

/* Who is at the other end of a unix socket, as the kernel knows it. */
struct sock_peer {
        pid_t pid;
        uid_t uid;
        gid_t gid;
        int pidfd; /* CLOEXEC; belongs to the caller */
};

/*
 * Listens on a unix socket at path (type SOCK_SEQPACKET or SOCK_STREAM, with CLOEXEC and NONBLOCK) with the
 * given file mode. A socket that nobody answers on is a dead daemon's and is replaced; one that answers is
 * -EADDRINUSE. Returns a descriptor or a negative errno with e filled in.
 */
int sock_listen(const char *path, int type, mode_t mode, struct error *e);

/* Connects to a unix socket (blocking, CLOEXEC). Returns a descriptor or a negative errno. */
int sock_connect(const char *path, int type);

/*
 * The peer's credentials and a pidfd: SO_PEERPIDFD (Linux 6.5), which names the process that connected and
 * not whoever has its pid by now. Returns 0 or a negative errno; *out is untouched on failure.
 */
int sock_peer(int fd, struct sock_peer *out);

/* A received or outgoing packet with its descriptors, ready for loop_recvmsg() and loop_sendmsg(). */
struct sock_packet {
        struct msghdr msg;
        struct iovec iov;
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * SOCK_MAX_FDS)];
};

/* Prepares p for receiving up to len bytes and SOCK_MAX_FDS descriptors. */
void sock_packet_in(struct sock_packet *p, void *buf, size_t len);

/* Prepares p for sending len bytes and n descriptors (they stay the caller's). */
void sock_packet_out(struct sock_packet *p, const void *buf, size_t len, const int *fds, int n);

/*
 * The descriptors of a received packet, which are the caller's from now on (CLOEXEC when received with
 * MSG_CMSG_CLOEXEC, which loop_recvmsg() sets). Returns how many, or -EMSGSIZE when the packet or its descriptors
 * were cut short (then all were closed).
 */
int sock_packet_fds(struct sock_packet *p, int fds[SOCK_MAX_FDS]);

#endif
