/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that speaks vmpager/protocol.h itself, and can lie at every point: what hostile*.c share. Functions that
 * are given what the daemon would refuse return what it answered.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <vmpager/protocol.h>
#include <vmpager/ring.h>
#include <vmpager/uffd-compat.h>

struct hostile {
        int sock, uffd, memfd, event;
        struct vmpager_offer offer;
        struct vmpager_ring *ring;
        uint8_t *staging;
        char refused[600]; /* text of the last REFUSE */
};

#define must(condition)                                                                                       \
        do {                                                                                                  \
                if (!(condition)) {                                                                           \
                        fprintf(stderr, "hostile: line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
                        exit(2);                                                                              \
                }                                                                                             \
        } while (0)

static inline struct vmpager_hdr hostile_header(uint16_t type, size_t size)
{
        return (struct vmpager_hdr){ VMPAGER_MAGIC, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR, type, 0,
                                     (uint32_t)size };
}

static inline int hostile_connect(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        must(sock >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        must(connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0);
        return sock;
}

/* Sends bytes and up to 8 descriptors. Returns what sendmsg() does. */
static inline ssize_t hostile_send(int sock, const void *bytes, size_t size, const int *fds, size_t n)
{
        struct iovec iov = { (void *)(uintptr_t)bytes, size };
        union {
                struct cmsghdr hdr;
                char bytes[CMSG_SPACE(8 * sizeof(int))];
        } control = { 0 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n) {
                control.hdr = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.hdr), fds, n * sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        }
        return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Waits for a message; returns its type, 0 when the connection was closed. A descriptor goes to *fd. */
static inline int hostile_receive(struct hostile *h, void *out, size_t size, int *fd)
{
        union {
                struct vmpager_hdr hdr;
                struct vmpager_refuse refuse;
                char bytes[1024];
        } m;
        struct iovec iov = { &m, sizeof(m) };
        union {
                struct cmsghdr hdr;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        struct pollfd p = { h->sock, POLLIN, 0 };

        must(poll(&p, 1, 30000) == 1);
        if (recvmsg(h->sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
                return 0;
        if (fd && CMSG_FIRSTHDR(&msg))
                memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
        if (m.hdr.type == VMPAGER_REFUSE)
                snprintf(h->refused, sizeof(h->refused), "%s", m.refuse.text);
        if (out)
                memcpy(out, &m, size);
        return m.hdr.type;
}

/* HELLO, OFFER. Returns /dev/userfaultfd as it was offered. */
static inline int hostile_hello(struct hostile *h, const char *path)
{
        struct vmpager_hello hello = { hostile_header(VMPAGER_HELLO, sizeof(hello)), VMPAGER_PAGE, 0 };
        int device = -1;

        *h = (struct hostile){ .sock = hostile_connect(path), .uffd = -1, .memfd = -1, .event = -1 };
        must(hostile_send(h->sock, &hello, sizeof(hello), NULL, 0) == sizeof(hello));
        must(hostile_receive(h, &h->offer, sizeof(h->offer), &device) == VMPAGER_OFFER && device >= 0);
        return device;
}

static inline int hostile_memfd(uint64_t bytes, int seals)
{
        int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
        if (seals)
                must(fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

/* All that an honest client has at this point. */
static inline void hostile_prepare(struct hostile *h, const char *path)
{
        int device = hostile_hello(h, path);

        h->uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        must(h->uffd >= 0);
        close(device);
        h->memfd = hostile_memfd(h->offer.ring_bytes, F_SEAL_SHRINK | F_SEAL_GROW);
        h->ring = mmap(NULL, h->offer.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, h->memfd, 0);
        h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        h->staging = mmap(NULL, VMPAGER_BATCH_PAGES * VMPAGER_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
        must(h->ring != MAP_FAILED && h->staging != MAP_FAILED && h->event >= 0);
        atomic_store(&h->ring->tid, (uint32_t)gettid()); /* or it waits for room that it makes itself */
}

static inline struct vmpager_register hostile_message(const struct hostile *h)
{
        struct vmpager_register reg = { .hdr = hostile_header(VMPAGER_REGISTER, sizeof(reg)),
                                        .staging = (uintptr_t)h->staging,
                                        .n_excluded = 1 };

        reg.excluded[0].start = (uintptr_t)h->staging;
        reg.excluded[0].end = reg.excluded[0].start + VMPAGER_BATCH_PAGES * VMPAGER_PAGE;
        return reg;
}

/* REGISTER with these descriptors; returns the type of the answer. */
static inline int hostile_register(struct hostile *h, const struct vmpager_register *reg, const int *fds, size_t n)
{
        must(hostile_send(h->sock, reg, sizeof(*reg), fds, n) == sizeof(*reg));
        return hostile_receive(h, NULL, 0, NULL);
}

/* An honest client up to READY. */
static inline void hostile_join(struct hostile *h, const char *path)
{
        struct vmpager_register reg;
        int fds[3];

        hostile_prepare(h, path);
        reg = hostile_message(h);
        fds[0] = h->uffd;
        fds[1] = h->memfd;
        fds[2] = h->event;
        must(hostile_register(h, &reg, fds, 3) == VMPAGER_READY);
}

static inline void hostile_notify(const struct hostile *h)
{
        uint64_t one = 1;

        (void)!write(h->event, &one, sizeof(one));
}

#endif
