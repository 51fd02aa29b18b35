// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unix sockets and the descriptors that travel over them.
 *
 * A listening socket's file outlives its daemon. So before a path is taken over, somebody has to knock: a refused
 * connection means that nobody listens. That and what follows is not atomic; two daemons that start at once on one
 * path have to be kept apart by their caller.
 *
 * A received descriptor belongs to nobody until it was taken out of the packet: whatever is wrong with the packet,
 * all of them are closed.
 */
#include "sys/sock.h"

#include "util/cleanup.h"
#include "util/error.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

static int address(struct sockaddr_un *sa, const char *path)
{
        *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if (!*path)
                return -EINVAL; /* would be an abstract address */
        if (strlen(path) >= sizeof(sa->sun_path))
                return -ENAMETOOLONG;
        strcpy(sa->sun_path, path);
        return 0;
}

static int bind_to(int fd, const struct sockaddr_un *sa)
{
        return bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;
}

/* Whether somebody listens there: 0, or -EADDRINUSE, or why it cannot be told. */
static int unanswered(const struct sockaddr_un *sa, int type, struct error *e)
{
        _cleanup_(closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;

        if (fd < 0)
                return error_sys(e, -errno, "cannot make a socket");
        /* connect(2) refuses at other files too, which are not ours to remove. */
        if (lstat(sa->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : error_sys(e, -errno, "cannot look at %s", sa->sun_path);
        if (!S_ISSOCK(st.st_mode))
                return error_set(e, -EEXIST, "%s is there and is not a socket: remove it or name another path",
                                 sa->sun_path);
        if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
                if (errno == ECONNREFUSED || errno == ENOENT)
                        return 0;
                /* a full queue, or a listener of another type: somebody is there */
                if (errno != EAGAIN && errno != EPROTOTYPE)
                        return error_sys(e, -errno, "cannot find out who listens on %s", sa->sun_path);
        }
        return error_set(e, -EADDRINUSE, "%s is in use: another daemon listens on it; stop that one or name another "
                                         "socket", sa->sun_path);
}

/* Binds, replacing a dead socket. */
static int take_path(int fd, const struct sockaddr_un *sa, int type, struct error *e)
{
        int r = bind_to(fd, sa);

        if (r == -EADDRINUSE) {
                r = unanswered(sa, type, e);
                if (r < 0)
                        return r;
                if (unlink(sa->sun_path) < 0 && errno != ENOENT)
                        return error_sys(e, -errno, "cannot remove the dead socket %s", sa->sun_path);
                r = bind_to(fd, sa);
        }
        return r < 0 ? error_sys(e, r, "cannot bind a socket to %s", sa->sun_path) : 0;
}

int sock_listen(const char *path, int type, mode_t mode, struct error *e)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un sa;
        int r = address(&sa, path);

        if (r < 0)
                return error_sys(e, r, "cannot use \"%s\" as the path of a socket (at most %zu bytes)", path,
                                 sizeof(sa.sun_path) - 1);
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_sys(e, -errno, "cannot make a socket");
        r = take_path(fd, &sa, type, e);
        if (r < 0)
                return r;
        /* Before listen() nobody can connect, whatever mode the umask gave. */
        if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
                r = error_sys(e, -errno, "cannot listen on %s", path);
                unlink(path);
                return r;
        }
        return take_fd(&fd);
}

int sock_connect(const char *path, int type)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un sa;
        int r = address(&sa, path);

        if (r < 0)
                return r;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        do
                r = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
        while (r == -EINTR);
        return r < 0 ? r : take_fd(&fd);
}

int sock_peer(int fd, struct sock_peer *out)
{
        struct ucred cred;
        socklen_t len = sizeof(cred);
        int pidfd = -1;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
                return -errno;
        if (cred.pid <= 0)
                return -ESRCH; /* not connected, or of a pid namespace that is out of sight */
        len = sizeof(pidfd);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
                return -errno;
        *out = (struct sock_peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid, .pidfd = pidfd };
        return 0;
}

void sock_packet_in(struct sock_packet *p, void *buf, size_t len)
{
        memset(p, 0, sizeof(*p));
        p->iov = (struct iovec){ buf, len };
        p->msg.msg_iov = &p->iov;
        p->msg.msg_iovlen = 1;
        p->msg.msg_control = p->control;
        p->msg.msg_controllen = sizeof(p->control);
}

void sock_packet_out(struct sock_packet *p, const void *buf, size_t len, const int *fds, int n)
{
        struct cmsghdr *cmsg;

        assert(n >= 0 && n <= SOCK_MAX_FDS);
        memset(p, 0, sizeof(*p));
        p->iov = (struct iovec){ (void *)(uintptr_t)buf, len };
        p->msg.msg_iov = &p->iov;
        p->msg.msg_iovlen = 1;
        if (n == 0)
                return;
        p->msg.msg_control = p->control;
        p->msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
        cmsg = CMSG_FIRSTHDR(&p->msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * (size_t)n);
}

int sock_packet_fds(struct sock_packet *p, int fds[SOCK_MAX_FDS])
{
        int got[SOCK_MAX_FDS], n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&p->msg); c; c = CMSG_NXTHDR(&p->msg, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                /* All of them fit: so many the control buffer can hold. */
                assert(n + (int)count <= SOCK_MAX_FDS);
                memcpy(got + n, CMSG_DATA(c), count * sizeof(int));
                n += (int)count;
        }
        p->msg.msg_controllen = 0;

        if (p->msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                while (n)
                        close(got[--n]);
                return -EMSGSIZE;
        }
        memcpy(fds, got, (size_t)n * sizeof(int));
        return n;
}
