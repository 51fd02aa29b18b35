/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel lets a process with more than one thread neither have a user namespace of its own (unshare(2)) nor join
 * some namespaces (setns(2)). A program that has only its first thread must be able to, so the agent steps aside:
 *
 *     program's thread                              agent
 *     makes a socket, the door; aside = 1     ->
 *                                                   between two batches: away = 1, sends its descriptors to the door
 *                                             <-    AWAY, and ends
 *     takes them; makes the call; starts the agent anew, which takes them from the program's table
 *
 * Meanwhile vmpagerd serves the program as before, and lets nobody wait for an eviction (ring->away). The descriptors
 * are in the program's table only while its one thread is in here. If the agent cannot be started again (in a program
 * that has unshared its pid namespace, no thread can) they are closed, and vmpagerd goes on without an agent.
 *
 * The call is made first without all this: most are not about threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "preload.h"
#include "syscall.h"

#define ASIDE_FDS     3
#define ASIDE_HIGH    512 /* where the descriptors go in the program's table, if its limit allows it */
#define ASIDE_LOOK_MS 1
#define ASIDE_MS      10000

/* What struct agent's `aside` says. */
enum { ASIDE_NOT, ASIDE_ASKED, ASIDE_REFUSED };

#define EXPORT __attribute__((visibility("default")))

/* One message with the descriptors beside it. */
struct aside_packet {
        struct msghdr msg;
        struct iovec iov;
        char byte;
        union {
                struct cmsghdr hdr;
                uint8_t bytes[CMSG_SPACE(ASIDE_FDS * sizeof(int))];
        } control;
};

static void aside_pack(struct aside_packet *p)
{
        p->byte = 0;
        p->iov.iov_base = &p->byte;
        p->iov.iov_len = 1;
        p->msg = (struct msghdr){
                .msg_iov = &p->iov,
                .msg_iovlen = 1,
                .msg_control = &p->control,
                .msg_controllen = sizeof(p->control),
        };
}

/* Sends the agent's descriptors to the door. */
static bool aside_send(struct agent *a)
{
        struct aside_packet p;
        long sock = sys_call(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), sent;
        int *fds = (int *)CMSG_DATA(&p.control.hdr);

        if (sock < 0)
                return false;
        aside_pack(&p);
        p.msg.msg_name = &a->door;
        p.msg.msg_namelen = a->door_bytes;
        p.control.hdr.cmsg_level = SOL_SOCKET;
        p.control.hdr.cmsg_type = SCM_RIGHTS;
        p.control.hdr.cmsg_len = CMSG_LEN(ASIDE_FDS * sizeof(int));
        fds[0] = a->sock;
        fds[1] = a->uffd;
        fds[2] = a->event;
        sent = sys_call(SYS_sendmsg, sock, &p.msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        sys_close((int)sock);
        return sent == 1;
}

bool aside_give(struct agent *a)
{
        uint32_t asked = ASIDE_ASKED;

        if (!atomic_compare_exchange_strong(&a->aside, &asked, ASIDE_NOT))
                return false;
        atomic_store(&a->ring->away, 1);
        if (!aside_send(a)) {
                atomic_store(&a->ring->away, 0);
                atomic_store(&a->aside, ASIDE_REFUSED);
                return false;
        }
        atomic_store(&a->outcome, AGENT_AWAY);
        sys_futex_wake(&a->outcome);
        return true;
}

/* A socket with an address that the kernel chose (unix(7), "Autobind feature"). */
static int aside_open_door(struct agent *a)
{
        struct sockaddr_un none = { .sun_family = AF_UNIX };
        int door = (int)sys_call(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (door < 0)
                return -1;
        a->door_bytes = sizeof(a->door);
        if (sys_call(SYS_bind, door, &none, sizeof(none.sun_family)) < 0 ||
            sys_call(SYS_getsockname, door, &a->door, &a->door_bytes) < 0) {
                sys_close(door);
                return -1;
        }
        return door;
}

/* Has the agent step aside. False when it does not, and is still there. */
static bool aside_ask(struct agent *a)
{
        int64_t deadline = sys_now_ms() + ASIDE_MS;

        atomic_store(&a->aside, ASIDE_ASKED);
        while (atomic_load(&a->outcome) != AGENT_AWAY) {
                uint32_t asked = ASIDE_ASKED;

                /* It may just be about to sleep. */
                sys_futex_wake(&a->ring->posted);
                sys_futex_wait(&a->outcome, AGENT_READY, ASIDE_LOOK_MS);
                if (atomic_load(&a->aside) == ASIDE_REFUSED ||
                    (sys_now_ms() > deadline && atomic_compare_exchange_strong(&a->aside, &asked, ASIDE_NOT)))
                        return false;
        }
        return true;
}

/* Puts a descriptor where it is in nobody's way. */
static int aside_lift(int fd)
{
        int high = (int)sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, ASIDE_HIGH);

        if (high < 0)
                return fd;
        sys_close(fd);
        return high;
}

/* Takes what the agent has given, and waits until its thread is no more. */
static void aside_take(struct agent *a, int door)
{
        struct aside_packet p;
        const int *fds = (const int *)CMSG_DATA(&p.control.hdr);
        int64_t deadline = sys_now_ms() + ASIDE_MS;

        aside_pack(&p);
        a->sock = a->uffd = a->event = -1;
        if (sys_call(SYS_recvmsg, door, &p.msg, MSG_CMSG_CLOEXEC) == 1 &&
            p.msg.msg_controllen >= CMSG_LEN(ASIDE_FDS * sizeof(int)) &&
            p.control.hdr.cmsg_len == CMSG_LEN(ASIDE_FDS * sizeof(int))) {
                a->sock = aside_lift(fds[0]);
                a->uffd = aside_lift(fds[1]);
                a->event = aside_lift(fds[2]);
        }
        pthread_join(a->thread, NULL);
        /* It counts as a thread for a moment longer. */
        while (sys_call(SYS_tgkill, a->pid, a->tid, 0) == 0 && sys_now_ms() < deadline)
                sys_call(SYS_sched_yield);
}

/* The agent has taken its own out of a copy of the table. */
static void aside_close(const int fds[ASIDE_FDS])
{
        for (int i = 0; i < ASIDE_FDS; i++)
                if (fds[i] >= 0)
                        sys_close(fds[i]);
}

static void aside_return(struct agent *a)
{
        const int fds[ASIDE_FDS] = { a->sock, a->uffd, a->event };

        atomic_store(&a->outcome, AGENT_STARTING);
        if (a->sock >= 0 && init_create(a, agent_return) == 0)
                while (atomic_load(&a->outcome) == AGENT_STARTING)
                        sys_futex_wait(&a->outcome, AGENT_STARTING, ASIDE_MS);
        aside_close(fds);
}

/* Makes the call without the agent. What it returns is as from sys_call(). */
static long aside_call(struct agent *a, long number, long first, long second)
{
        int door = aside_open_door(a);
        long result = -EINVAL;

        if (door < 0)
                return result;
        if (aside_ask(a)) {
                aside_take(a, door);
                result = sys_call(number, first, second);
                aside_return(a);
        }
        sys_close(door);
        return result;
}

void aside_leave(void)
{
        struct agent *a = init_agent;
        uint64_t all = ~(uint64_t)0, mask;
        int door;

        if (!a || atomic_load(&a->outcome) != AGENT_READY || sys_call(SYS_getpid) != a->pid)
                return;
        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof(all));
        door = aside_open_door(a);
        if (door >= 0 && aside_ask(a)) {
                aside_take(a, door);
                aside_close((const int[ASIDE_FDS]){ a->sock, a->uffd, a->event });
        }
        if (door >= 0)
                sys_close(door);
        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof(mask));
}

static int aside_try(long number, long first, long second)
{
        int error = errno;
        long result = sys_call(number, first, second);
        struct agent *a = init_agent;
        uint64_t all = ~(uint64_t)0, mask;

        /* A child of vfork(2) has this memory as well, and is not the agent's process. */
        if ((result == -EINVAL || result == -EUSERS) && a && atomic_load(&a->outcome) == AGENT_READY &&
            sys_call(SYS_getpid) == a->pid) {
                sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof(all));
                result = aside_call(a, number, first, second);
                sys_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof(mask));
        }
        errno = result < 0 ? (int)-result : error;
        return result < 0 ? -1 : (int)result;
}

EXPORT int unshare(int flags)
{
        return aside_try(SYS_unshare, flags, 0);
}

EXPORT int setns(int fd, int type)
{
        return aside_try(SYS_setns, fd, type);
}
