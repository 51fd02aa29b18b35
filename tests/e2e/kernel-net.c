/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets that send from, and receive to, memory whose pages are out of the program (see paged.h). */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "paged.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

#define BYTES (64 * 1024ul)
#define PART  MIB

/* All that sendmsg() and recvmsg() are told, each in a page of its own. */
struct envelope {
        struct msghdr *header;
        struct iovec *vector;
        char *control;
        uint8_t *data;
};

static struct envelope new_envelope(void)
{
        struct envelope e = { .header = (struct msghdr *)map(PAGE),
                              .vector = (struct iovec *)map(PAGE),
                              .control = (char *)map(PAGE),
                              .data = map(BYTES) };

        for (size_t i = 0; i < 4; i++)
                e.vector[i] = (struct iovec){ e.data + i * BYTES / 4, BYTES / 4 };
        *e.header = (struct msghdr){ .msg_iov = e.vector, .msg_iovlen = 4, .msg_control = e.control };
        return e;
}

static void evict_envelope(struct envelope *e)
{
        evict_out(e->data, BYTES);
        evict_out(e->control, PAGE);
        evict_out(e->vector, PAGE);
        evict_out(e->header, PAGE);
}

static void free_envelope(struct envelope *e)
{
        munmap(e->header, PAGE);
        munmap(e->vector, PAGE);
        munmap(e->control, PAGE);
        munmap(e->data, BYTES);
}

/* With a descriptor in the control data. */
static void messages(void)
{
        struct envelope out = new_envelope(), in = new_envelope();
        struct cmsghdr *c = (struct cmsghdr *)out.control;
        int fd[2], file = memfd_create("sent", MFD_CLOEXEC), got = -1;

        check_call(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd));
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &file, sizeof(file));
        out.header->msg_controllen = CMSG_SPACE(sizeof(int));
        in.header->msg_controllen = PAGE;
        fill(out.data, BYTES, 1, 0);
        fill(in.data, BYTES, 2, 0);
        fill(in.control, PAGE, 3, 0);
        evict_envelope(&in);
        evict_envelope(&out);
        check(sendmsg(fd[0], out.header, 0) == (ssize_t)BYTES, "sendmsg: %s", strerror(errno));
        check(recvmsg(fd[1], in.header, MSG_CMSG_CLOEXEC) == (ssize_t)BYTES, "recvmsg: %s", strerror(errno));
        check_filled("what came", in.data, BYTES, 1, 0);
        c = CMSG_FIRSTHDR(in.header);
        check(c && c->cmsg_type == SCM_RIGHTS, "no descriptor came");
        if (c)
                memcpy(&got, CMSG_DATA(c), sizeof(got));
        check(write(got, "x", 1) == 1 && lseek(file, 0, SEEK_END) == 1, "another descriptor came");
        close(got);
        close(file);
        close(fd[0]);
        close(fd[1]);
        free_envelope(&out);
        free_envelope(&in);
}

static void many_messages(void)
{
        struct mmsghdr *out = (struct mmsghdr *)map(PAGE), *in = (struct mmsghdr *)map(PAGE);
        struct envelope to[8], from[8];
        int fd[2];

        check_call(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fd));
        setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &(int){ 4 << 20 }, sizeof(int));
        for (size_t i = 0; i < 8; i++) {
                from[i] = new_envelope();
                to[i] = new_envelope();
                fill(from[i].data, BYTES, i + 1, 0);
                from[i].header->msg_control = to[i].header->msg_control = NULL;
                out[i].msg_hdr = *from[i].header;
                in[i].msg_hdr = *to[i].header;
        }
        for (size_t i = 0; i < 8; i++) {
                evict_envelope(&from[i]);
                evict_out(to[i].vector, PAGE);
        }
        evict_out(out, PAGE);
        evict_out(in, PAGE);
        for (size_t i = 0; i < 4; i++) {
                check(sendmmsg(fd[0], out + 2 * i, 2, 0) == 2, "sendmmsg: %s", strerror(errno));
                check(recvmmsg(fd[1], in + 2 * i, 2, 0, NULL) == 2, "recvmmsg: %s", strerror(errno));
        }
        for (size_t i = 0; i < 8; i++) {
                check(in[i].msg_len == BYTES && out[i].msg_len == BYTES, "message %zu: %u bytes", i, in[i].msg_len);
                check_filled("what came", to[i].data, BYTES, i + 1, 0);
                free_envelope(&from[i]);
                free_envelope(&to[i]);
        }
        munmap(out, PAGE);
        munmap(in, PAGE);
        close(fd[0]);
        close(fd[1]);
}

/* A TCP connection with oneself. */
static bool connect_tcp(int fd[2])
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool connected = false;

        fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (listener >= 0 && fd[0] >= 0 && bind(listener, (void *)&address, size) == 0 && listen(listener, 1) == 0 &&
            getsockname(listener, (void *)&address, &size) == 0 && connect(fd[0], (void *)&address, size) == 0) {
                fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                connected = fd[1] >= 0;
        }
        if (!connected)
                skip_case("no TCP to 127.0.0.1: %s", strerror(errno));
        close(listener);
        return connected;
}

struct receiver {
        pthread_t thread;
        int fd;
        uint8_t *to;
        size_t bytes;
};

static void *receive(void *arg)
{
        struct receiver *r = arg;

        while (r->bytes < PART) {
                ssize_t n = recv(r->fd, r->to + r->bytes, PART - r->bytes, 0);

                if (n <= 0)
                        break;
                r->bytes += (size_t)n;
        }
        return NULL;
}

/* How many sends the kernel has done with. */
static unsigned take_completions(int fd)
{
        struct pollfd ready = { .fd = fd };
        unsigned n = 0;

        while (poll(&ready, 1, 0) >= 0 && (ready.revents & POLLERR)) {
                union {
                        char bytes[256];
                        struct cmsghdr align;
                } control;
                struct msghdr header = { .msg_control = &control, .msg_controllen = sizeof(control) };
                struct cmsghdr *c;

                if (recvmsg(fd, &header, MSG_ERRQUEUE) < 0)
                        break;
                for (c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                        const struct sock_extended_err *e = (void *)CMSG_DATA(c);

                        if (e->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
                                n += e->ee_data - e->ee_info + 1;
                }
        }
        return n;
}

/* The socket has the pages themselves, while they go out of the program, and while they come back and are changed. */
static void zero_copy(void)
{
        uint8_t *from = map(PART);
        struct receiver r = { .to = map(PART) };
        unsigned sent = 0, completed = 0;
        double end = now_s() + DEADLINE_S;
        int fd[2];

        if (!connect_tcp(fd))
                return;
        if (setsockopt(fd[0], SOL_SOCKET, SO_ZEROCOPY, &(int){ 1 }, sizeof(int)) < 0) {
                skip_case("SO_ZEROCOPY: %s", strerror(errno));
                return;
        }
        r.fd = fd[1];
        fill(r.to, PART, 2, 0);
        fill_out(from, PART, 1, 0);
        evict_out(r.to, PART);
        /* As much as goes without a receiver; then out with it, while it is queued. */
        for (size_t at = 0; at < PART; sent++) {
                ssize_t n = send(fd[0], from + at, PART - at < BYTES ? PART - at : BYTES,
                                 MSG_ZEROCOPY | (r.thread ? 0 : MSG_DONTWAIT));

                if (n < 0 && errno == EAGAIN && !r.thread) {
                        evict_out(from, PART);
                        pthread_create(&r.thread, NULL, receive, &r);
                        sent--;
                        continue;
                }
                if (n < 0 && errno == ENOBUFS) {
                        completed += take_completions(fd[0]);
                        sent--;
                        continue;
                }
                if (n < 0) {
                        failed("send: %s", strerror(errno));
                        break;
                }
                at += (size_t)n;
        }
        if (!r.thread) {
                evict_out(from, PART);
                pthread_create(&r.thread, NULL, receive, &r);
        }
        pthread_join(r.thread, NULL);
        check(r.bytes == PART, "%zu bytes came", r.bytes);
        check_filled("what came", r.to, PART, 1, 0);
        while (completed < sent && now_s() < end)
                completed += take_completions(fd[0]);
        check(completed == sent, "%u of %u sends are completed", completed, sent);
        check_filled("what was sent", from, PART, 1, 0);
        munmap(from, PART);
        munmap(r.to, PART);
        close(fd[0]);
        close(fd[1]);
}

static const struct paged_case cases[] = {
        { "sendmsg, recvmsg", messages },
        { "sendmmsg, recvmmsg", many_messages },
        { "MSG_ZEROCOPY", zero_copy },
};

int main(int argc, char **argv)
{
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
