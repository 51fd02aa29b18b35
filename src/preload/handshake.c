/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the agent becomes vmpagerd's client: HELLO, OFFER, REGISTER, READY (vmpager/protocol.h). Runs
 * in the agent, so what it opens is in the agent's table only. /dev/userfaultfd and the ring's memfd are
 * closed again on the way; the connection, the userfaultfd and the eventfd stay. In a forked child that has pages
 * that are out, userfaultfd and ring come from the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vmpager/uffd-compat.h>

#include "preload.h"
#include "syscall.h"
#include "text.h"

/* Less than the constructor waits (init.c), so that it hears the reason. */
#define HANDSHAKE_MS 25000

#define ADVICE_RESTART "restart vmpagerd and look into its log"
#define ADVICE_SAME    "install both from the same build"
#define ADVICE_MEMORY  "free memory or raise the limits of this program"

union message {
        struct vmpager_hdr hdr;
        struct vmpager_offer offer;
        struct vmpager_ready ready;
        struct vmpager_refuse refuse;
        uint8_t bytes[1024]; /* a later minor version may have added to a message */
};

static struct vmpager_hdr handshake_header(enum vmpager_msg_type type, uint32_t size)
{
        return (struct vmpager_hdr){
                .magic = VMPAGER_MAGIC,
                .major = VMPAGER_PROTOCOL_MAJOR,
                .minor = VMPAGER_PROTOCOL_MINOR,
                .type = (uint16_t)type,
                .size = size,
        };
}

/* Bounds each following call on the socket by what is left until the deadline. */
static bool handshake_bound(struct agent *a, int64_t deadline)
{
        int64_t left = deadline - sys_now_ms();
        struct __kernel_old_timeval tv = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

        if (left <= 0)
                return agent_refuse(a, "vmpagerd does not answer", ETIMEDOUT, ADVICE_RESTART);
        sys_call(SYS_setsockopt, a->sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        sys_call(SYS_setsockopt, a->sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
        return true;
}

static bool handshake_connect(struct agent *a, int64_t deadline)
{
        long error;

        a->sock = (int)sys_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (a->sock < 0)
                return agent_refuse(a, "cannot make a socket", a->sock, "unix(7) sockets must be allowed");
        do {
                if (!handshake_bound(a, deadline))
                        return false;
                error = sys_call(SYS_connect, a->sock, &a->address, sizeof(a->address));
        } while (error == -EINTR || error == -EAGAIN);

        if (error == -EISCONN)
                error = 0;
        if (error == -ENOENT || error == -ECONNREFUSED)
                return agent_refuse(a, "no vmpagerd is running there", error,
                                    "start vmpagerd, or name its socket in VMPAGER_SOCKET");
        if (error == -EACCES || error == -EPERM)
                return agent_refuse(a, "this user may not use vmpagerd", error,
                                    "give access to its socket and the directories above it");
        if (error == -EPROTOTYPE)
                return agent_refuse(a, "that socket is not vmpagerd's", error, "name the right one in VMPAGER_SOCKET");
        if (error < 0)
                return agent_refuse(a, "cannot connect to vmpagerd", error, ADVICE_RESTART);
        return true;
}

static bool handshake_send(struct agent *a, const void *message, size_t size, const int *fds, unsigned int n_fds)
{
        struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
        union {
                struct cmsghdr hdr;
                uint8_t bytes[CMSG_SPACE(3 * sizeof(int))];
        } control = { 0 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        long error;

        if (n_fds > 0) {
                int *data = (int *)CMSG_DATA(&control.hdr);

                control.hdr.cmsg_level = SOL_SOCKET;
                control.hdr.cmsg_type = SCM_RIGHTS;
                control.hdr.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                for (unsigned int i = 0; i < n_fds; i++)
                        data[i] = fds[i];
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        do {
                error = sys_call(SYS_sendmsg, a->sock, &msg, MSG_NOSIGNAL);
        } while (error == -EINTR);
        if (error < 0)
                return agent_refuse(a, "vmpagerd hung up during the handshake", error, ADVICE_RESTART);
        return true;
}

/* What comes with an OFFER: /dev/userfaultfd, or a userfaultfd and a ring. -1 for what did not come. */
struct descriptors {
        int first, second;
};

/* Takes the first two descriptors that came and closes all others. */
static struct descriptors handshake_take_fds(struct msghdr *msg)
{
        struct cmsghdr *hdr = CMSG_FIRSTHDR(msg);
        struct descriptors taken = { -1, -1 };

        if (!hdr || hdr->cmsg_level != SOL_SOCKET || hdr->cmsg_type != SCM_RIGHTS)
                return taken;
        for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= hdr->cmsg_len; i++) {
                int one = ((const int *)CMSG_DATA(hdr))[i];

                if (i == 0)
                        taken.first = one;
                else if (i == 1)
                        taken.second = one;
                else
                        sys_close(one);
        }
        return taken;
}

static void handshake_close(const struct descriptors *fds)
{
        if (fds->first >= 0)
                sys_close(fds->first);
        if (fds->second >= 0)
                sys_close(fds->second);
}

static bool handshake_refused(struct agent *a, const union message *m, size_t size)
{
        size_t most = sizeof(a->text) - 1;

        if (most > size - offsetof(struct vmpager_refuse, text))
                most = size - offsetof(struct vmpager_refuse, text);
        text_clean(a->text, sizeof(a->text), m->refuse.text, most);
        return agent_refuse(a, NULL, 0, NULL);
}

static bool handshake_other_version(struct agent *a, const struct vmpager_hdr *theirs)
{
        size_t at = 0;

        at = text_add(a->text, sizeof(a->text), at, "the library speaks protocol ");
        at = text_add_number(a->text, sizeof(a->text), at, VMPAGER_PROTOCOL_MAJOR);
        at = text_add(a->text, sizeof(a->text), at, ".");
        at = text_add_number(a->text, sizeof(a->text), at, VMPAGER_PROTOCOL_MINOR);
        at = text_add(a->text, sizeof(a->text), at, ", vmpagerd at ");
        at = text_add(a->text, sizeof(a->text), at, a->address.sun_path);
        at = text_add(a->text, sizeof(a->text), at, " ");
        at = text_add_number(a->text, sizeof(a->text), at, theirs->major);
        at = text_add(a->text, sizeof(a->text), at, ".");
        at = text_add_number(a->text, sizeof(a->text), at, theirs->minor);
        text_add(a->text, sizeof(a->text), at, ": " ADVICE_SAME);
        return agent_refuse(a, NULL, 0, NULL);
}

/*
 * Receives one message, which must be of that type and at least that size. Descriptors that come with it go to
 * *fds, also when false is returned.
 */
static bool handshake_receive(struct agent *a, int64_t deadline, union message *m, enum vmpager_msg_type type,
                              size_t size, struct descriptors *fds)
{
        struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
        union {
                struct cmsghdr hdr;
                uint8_t bytes[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct msghdr msg;
        long got;

        *fds = (struct descriptors){ -1, -1 };
        do {
                if (!handshake_bound(a, deadline))
                        return false;
                msg = (struct msghdr){
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
                };
                got = sys_call(SYS_recvmsg, a->sock, &msg, MSG_CMSG_CLOEXEC);
        } while (got == -EINTR || got == -EAGAIN);
        if (got <= 0)
                return agent_refuse(a, "vmpagerd hung up during the handshake", got, ADVICE_RESTART);
        *fds = handshake_take_fds(&msg);

        if ((size_t)got < sizeof(m->hdr) || m->hdr.magic != VMPAGER_MAGIC)
                return agent_refuse(a, "that socket is not vmpagerd's", 0, "name the right one in VMPAGER_SOCKET");
        if (m->hdr.type == VMPAGER_REFUSE)
                return handshake_refused(a, m, (size_t)got);
        if (m->hdr.major != VMPAGER_PROTOCOL_MAJOR)
                return handshake_other_version(a, &m->hdr);
        if (m->hdr.type != type || m->hdr.size != (size_t)got || (size_t)got < size)
                return agent_refuse(a, "vmpagerd sent a message that the library does not expect", 0, ADVICE_SAME);
        return true;
}

static bool handshake_hello(struct agent *a)
{
        struct vmpager_hello hello = {
                .hdr = handshake_header(VMPAGER_HELLO, sizeof(hello)),
                .page_size = VMPAGER_PAGE,
                .flags = a->forked ? VMPAGER_HELLO_FORKED : 0,
        };

        return handshake_send(a, &hello, sizeof(hello), NULL, 0);
}

static bool handshake_map_ring(struct agent *a, int memfd)
{
        long mapped = sys_call(SYS_mmap, 0, a->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

        if (sys_failed(mapped))
                return agent_refuse(a, "cannot map the ring", mapped, ADVICE_MEMORY);
        a->ring = (struct vmpager_ring *)mapped;
        a->slots = (uint8_t *)a->ring + VMPAGER_RING_SLOTS_AT;
        sys_call(SYS_madvise, a->ring, a->ring_bytes, MADV_DONTFORK);
        return true;
}

/* Takes the descriptors of a sound offer over; those that stay open are -1 in fds afterwards. */
static bool handshake_take_offer(struct agent *a, const struct vmpager_offer *offer, struct descriptors *fds)
{
        a->staging_pages = offer->staging_pages;
        a->ring_bytes = offer->ring_bytes;
        a->n_slots = (uint32_t)((offer->ring_bytes - VMPAGER_RING_SLOTS_AT) / VMPAGER_PAGE);
        if (offer->flags & VMPAGER_OFFER_RESUMES) {
                a->uffd = fds->first;
                fds->first = -1;
                return handshake_map_ring(a, fds->second);
        }
        a->uffd = (int)sys_ioctl(fds->first, USERFAULTFD_IOC_NEW, (void *)(long)(O_CLOEXEC | O_NONBLOCK));
        if (a->uffd < 0)
                return agent_refuse(a, "cannot make a userfaultfd", a->uffd,
                                    "vmpagerd must hand out /dev/userfaultfd (Linux 6.1 or newer)");
        return true;
}

static bool handshake_offer(struct agent *a, int64_t deadline)
{
        union message m;
        struct descriptors fds;
        bool ok = handshake_receive(a, deadline, &m, VMPAGER_OFFER, sizeof(m.offer), &fds);

        if (ok && (m.offer.staging_pages < 1 || m.offer.staging_pages > VMPAGER_BATCH_PAGES ||
                   m.offer.ring_bytes < VMPAGER_RING_BYTES(1) ||
                   m.offer.ring_bytes > VMPAGER_RING_BYTES(VMPAGER_RING_SLOTS_MAX) ||
                   m.offer.ring_bytes % VMPAGER_PAGE != 0 || fds.first < 0 ||
                   ((m.offer.flags & VMPAGER_OFFER_RESUMES) && fds.second < 0)))
                ok = agent_refuse(a, "vmpagerd's offer makes no sense", 0, ADVICE_SAME);
        ok = ok && handshake_take_offer(a, &m.offer, &fds);
        handshake_close(&fds);
        return ok;
}

/*
 * Staging has to look like the program's own memory, private, anonymous, readable and writable, or MOVE
 * refuses it; and nobody else's fork may share its pages.
 */
static bool handshake_map_staging(struct agent *a)
{
        size_t bytes = (size_t)a->staging_pages * VMPAGER_PAGE;
        long error = sys_call(SYS_mmap, a->staging, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

        if (sys_failed(error))
                return agent_refuse(a, "cannot map the staging area", error, ADVICE_MEMORY);
        sys_call(SYS_madvise, a->staging, bytes, MADV_DONTFORK);
        sys_call(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, a->staging, bytes, "vmpager");
        return true;
}

/* Makes the ring and maps it. The memfd goes to *fd. */
static bool handshake_make_ring(struct agent *a, int *fd)
{
        long error;

        *fd = (int)sys_call(SYS_memfd_create, "vmpager-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (*fd < 0)
                return agent_refuse(a, "cannot make the ring", *fd, ADVICE_MEMORY);
        error = sys_call(SYS_ftruncate, *fd, a->ring_bytes);
        if (error == 0)
                error = sys_call(SYS_fcntl, *fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        if (error < 0)
                return agent_refuse(a, "cannot size and seal the ring", error, ADVICE_MEMORY);

        return handshake_map_ring(a, *fd);
}

static bool handshake_register(struct agent *a)
{
        struct vmpager_register reg = {
                .hdr = handshake_header(VMPAGER_REGISTER, sizeof(reg)),
                .staging = (uintptr_t)a->staging,
                .n_excluded = 2,
        };
        bool resumes = a->ring;
        int memfd = -1;
        bool ok = handshake_map_staging(a) && (resumes || handshake_make_ring(a, &memfd));

        if (ok) {
                a->event = (int)sys_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
                if (a->event < 0)
                        ok = agent_refuse(a, "cannot make an eventfd", a->event, ADVICE_MEMORY);
        }
        if (ok) {
                const int all[3] = { a->uffd, memfd, a->event };

                atomic_store(&a->ring->tid, (uint32_t)a->tid);
                reg.excluded[0] = a->own;
                reg.excluded[1].start = (uintptr_t)a->ring;
                reg.excluded[1].end = (uintptr_t)a->ring + a->ring_bytes;
                ok = resumes ? handshake_send(a, &reg, sizeof(reg), &a->event, 1) :
                               handshake_send(a, &reg, sizeof(reg), all, 3);
        }
        if (memfd >= 0)
                sys_close(memfd);
        return ok;
}

static bool handshake_ready(struct agent *a, int64_t deadline)
{
        union message m;
        struct descriptors fds;
        bool ok = handshake_receive(a, deadline, &m, VMPAGER_READY, sizeof(m.ready), &fds);

        handshake_close(&fds);
        if (ok && (a->ring->magic != VMPAGER_RING_MAGIC || a->ring->n_slots != a->n_slots ||
                   a->ring->slots_at != VMPAGER_RING_SLOTS_AT))
                ok = agent_refuse(a, "vmpagerd set the ring up in another way than the library", 0, ADVICE_SAME);
        return ok;
}

bool handshake_run(struct agent *a)
{
        int64_t deadline = sys_now_ms() + HANDSHAKE_MS;

        return handshake_connect(a, deadline) && handshake_hello(a) && handshake_offer(a, deadline) &&
               handshake_register(a) && handshake_ready(a, deadline);
}
