// SPDX-License-Identifier: GPL-2.0-or-later
/* Unix sockets: taking a path, knowing the peer, passing descriptors. */
#include "sys/sock.h"
#include "util/error.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test-sock-XXXXXX";
static char path[64];

static void setup(void)
{
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/socket", dir);
}

static void teardown(void)
{
        unlink(path);
        rmdir(dir);
}

static int open_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static mode_t mode_of(const char *file)
{
        struct stat st;

        ck_assert_int_eq(lstat(file, &st), 0);
        return st.st_mode & 07777;
}

START_TEST(test_listen)
{
        static const mode_t modes[] = { 0666, 0600, 0660 };
        struct error e = { 0 };
        int fd;

        umask(_i == 1 ? 0 : 077);
        fd = sock_listen(path, SOCK_SEQPACKET, modes[_i], &e);
        if (fd < 0)
                ck_abort_msg("%s", e.text);
        ck_assert_uint_eq(mode_of(path), modes[_i]);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_eq(accept(fd, NULL, NULL), -1);
        ck_assert_int_eq(errno, EAGAIN);
        close(fd);
}
END_TEST

START_TEST(test_replace_dead)
{
        int fd = sock_listen(path, SOCK_SEQPACKET, 0600, NULL), other;

        close(fd); /* the file stays */
        ck_assert_int_eq(sock_connect(path, SOCK_SEQPACKET), -ECONNREFUSED);
        other = sock_listen(path, SOCK_STREAM, 0640, NULL);
        ck_assert_int_ge(other, 0);
        ck_assert_uint_eq(mode_of(path), 0640);
        fd = sock_connect(path, SOCK_STREAM);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        close(fd);
        close(other);
}
END_TEST

/* Alive, of the same and of another type, and alive with a queue that is full. */
START_TEST(test_in_use)
{
        struct error e = { 0 };
        int fd = sock_listen(path, SOCK_SEQPACKET, 0600, NULL), before, client, n = 0;

        before = open_fds();
        ck_assert_int_eq(sock_listen(path, SOCK_SEQPACKET, 0666, &e), -EADDRINUSE);
        ck_assert_ptr_nonnull(strstr(e.text, path));
        ck_assert_int_eq(sock_listen(path, SOCK_STREAM, 0666, NULL), -EADDRINUSE);
        ck_assert_int_eq(open_fds(), before);
        ck_assert_uint_eq(mode_of(path), 0600);

        ck_assert_int_eq(listen(fd, 1), 0);
        for (;;) {
                struct sockaddr_un sa = { .sun_family = AF_UNIX };

                strcpy(sa.sun_path, path);
                client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
                if (connect(client, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                        break;
                ck_assert_int_lt(++n, 100);
        }
        ck_assert_int_eq(errno, EAGAIN);
        ck_assert_int_eq(sock_listen(path, SOCK_SEQPACKET, 0600, NULL), -EADDRINUSE);
        close(fd);
}
END_TEST

/* What is not a socket is not removed. */
START_TEST(test_in_the_way)
{
        char link[80];
        struct error e = { 0 };
        int before, fd = open(path, O_CREAT | O_WRONLY, 0600);

        close(fd);
        before = open_fds();
        ck_assert_int_eq(sock_listen(path, SOCK_SEQPACKET, 0600, &e), -EEXIST);
        ck_assert_ptr_nonnull(strstr(e.text, "not a socket"));
        ck_assert_int_eq(access(path, F_OK), 0);

        snprintf(link, sizeof(link), "%s-link", path);
        ck_assert_int_eq(symlink("/nowhere", link), 0);
        ck_assert_int_eq(sock_listen(link, SOCK_SEQPACKET, 0600, NULL), -EEXIST);
        ck_assert_int_eq(unlink(link), 0);
        ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(test_bad_paths)
{
        char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
        struct error e = { 0 };
        int before = open_fds();

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        ck_assert_int_eq(sock_listen(longest, SOCK_SEQPACKET, 0600, &e), -ENAMETOOLONG);
        ck_assert_ptr_nonnull(strstr(e.text, "107"));
        ck_assert_int_eq(sock_connect(longest, SOCK_SEQPACKET), -ENAMETOOLONG);
        ck_assert_int_eq(sock_listen("", SOCK_SEQPACKET, 0600, NULL), -EINVAL);
        ck_assert_int_eq(sock_listen("/nowhere/at/all", SOCK_SEQPACKET, 0600, NULL), -ENOENT);
        ck_assert_int_eq(sock_connect("/nowhere/at/all", SOCK_SEQPACKET), -ENOENT);
        ck_assert_int_eq(sock_connect("", SOCK_SEQPACKET), -EINVAL);
        ck_assert_int_eq(open_fds(), before);
}
END_TEST

/* A connection from a child, which lives until it is killed. */
static pid_t child_connects(int listener, int *conn)
{
        struct pollfd p = { .fd = listener, .events = POLLIN };
        pid_t pid = fork();

        if (pid == 0) {
                if (sock_connect(path, SOCK_SEQPACKET) < 0)
                        _exit(1);
                for (;;)
                        pause();
        }
        ck_assert_int_eq(poll(&p, 1, 30000), 1);
        *conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_ge(*conn, 0);
        return pid;
}

START_TEST(test_peer)
{
        int listener = sock_listen(path, SOCK_SEQPACKET, 0600, NULL), conn;
        pid_t pid = child_connects(listener, &conn);
        struct pollfd gone = { .events = POLLIN };
        struct sock_peer peer = { .pidfd = -1 };

        ck_assert_int_eq(sock_peer(conn, &peer), 0);
        ck_assert_int_eq(peer.pid, pid);
        ck_assert_uint_eq(peer.uid, getuid());
        ck_assert_uint_eq(peer.gid, getgid());
        ck_assert_int_eq(fcntl(peer.pidfd, F_GETFD), FD_CLOEXEC);
        gone.fd = peer.pidfd;
        ck_assert_int_eq(poll(&gone, 1, 0), 0);
        kill(pid, SIGKILL);
        ck_assert_int_eq(poll(&gone, 1, 30000), 1);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        close(peer.pidfd);
}
END_TEST

/* The process that connected is gone: no pidfd, or one that says so, but never another process. */
START_TEST(test_peer_gone)
{
        int listener = sock_listen(path, SOCK_SEQPACKET, 0600, NULL), conn, r;
        pid_t pid = child_connects(listener, &conn);
        struct sock_peer peer = { .pid = 77, .pidfd = -1 };

        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        r = sock_peer(conn, &peer);
        if (r == 0) {
                struct pollfd gone = { .fd = peer.pidfd, .events = POLLIN };

                ck_assert_int_eq(poll(&gone, 1, 0), 1);
        } else {
                ck_assert_int_eq(peer.pid, 77);
        }
        r = sock_peer(listener, &peer);
        ck_assert(r < 0 || peer.pid == getpid()); /* a listener names itself */
        ck_assert_int_lt(sock_peer(STDIN_FILENO, &peer), 0);
}
END_TEST

/* Both ends of one connection, and packets between them. */
static void pair_of_test(int pair[2])
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static int receive(int fd, struct sock_packet *p, char *buf, size_t len)
{
        sock_packet_in(p, buf, len);
        return (int)recvmsg(fd, &p->msg, MSG_CMSG_CLOEXEC);
}

START_TEST(test_packets)
{
        int pair[2], fds[SOCK_MAX_FDS], pipes[SOCK_MAX_FDS], before;
        struct sock_packet p;
        struct stat a, b;
        char buf[16];

        pair_of_test(pair);
        for (int n = 0; n <= SOCK_MAX_FDS; n++) {
                for (int i = 0; i < n; i++)
                        pipes[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                before = open_fds();
                sock_packet_out(&p, "hello", 6, pipes, n);
                ck_assert_int_eq(sendmsg(pair[0], &p.msg, 0), 6);
                ck_assert_int_eq(receive(pair[1], &p, buf, sizeof(buf)), 6);
                ck_assert_str_eq(buf, "hello");
                ck_assert_int_eq(sock_packet_fds(&p, fds), n);
                ck_assert_int_eq(open_fds(), before + n);
                for (int i = 0; i < n; i++) {
                        ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
                        ck_assert_int_eq(fstat(fds[i], &a), 0);
                        ck_assert_int_eq(fstat(pipes[i], &b), 0);
                        ck_assert_uint_eq(a.st_rdev, b.st_rdev);
                        close(fds[i]);
                        close(pipes[i]);
                }
                ck_assert_int_eq(sock_packet_fds(&p, fds), 0); /* taken once */
        }
}
END_TEST

/* Bytes that are too many, or descriptors: nothing of it is kept. */
START_TEST(test_cut_short)
{
        union {
                struct cmsghdr hdr;
                char bytes[CMSG_SPACE(sizeof(int) * 8)];
        } control = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(int) * 8),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS } };
        struct iovec iov = { (char *)"x", 1 };
        struct msghdr many = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                               .msg_controllen = sizeof(control) };
        int pair[2], fds[SOCK_MAX_FDS] = { 77, 77, 77, 77 }, given[8] = { 0 }, before;
        struct sock_packet p;
        char buf[4];

        pair_of_test(pair);
        before = open_fds();
        sock_packet_out(&p, "too long", 9, given, 3);
        ck_assert_int_eq(sendmsg(pair[0], &p.msg, 0), 9);
        ck_assert_int_eq(receive(pair[1], &p, buf, sizeof(buf)), sizeof(buf));
        ck_assert_int_eq(sock_packet_fds(&p, fds), -EMSGSIZE);
        ck_assert_int_eq(open_fds(), before);

        memcpy(CMSG_DATA(&control.hdr), given, sizeof(given));
        ck_assert_int_eq(sendmsg(pair[0], &many, 0), 1);
        ck_assert_int_eq(receive(pair[1], &p, buf, sizeof(buf)), 1);
        ck_assert_int_eq(sock_packet_fds(&p, fds), -EMSGSIZE);
        ck_assert_int_eq(open_fds(), before);
        ck_assert_int_eq(fds[0], 77);
}
END_TEST

START_TEST(test_too_many_fds)
{
        int fds[SOCK_MAX_FDS + 1] = { 0 };
        struct sock_packet p;

        sock_packet_out(&p, "x", 1, fds, SOCK_MAX_FDS + 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sock");
        TCase *tc = tcase_create("sock");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_loop_test(tc, test_listen, 0, 3);
        tcase_add_test(tc, test_replace_dead);
        tcase_add_test(tc, test_in_use);
        tcase_add_test(tc, test_in_the_way);
        tcase_add_test(tc, test_bad_paths);
        tcase_add_test(tc, test_peer);
        tcase_add_test(tc, test_peer_gone);
        tcase_add_test(tc, test_packets);
        tcase_add_test(tc, test_cut_short);
        suite_add_tcase(suite, tc);
        tc = tcase_create("misuse");
        tcase_add_test_raise_signal(tc, test_too_many_fds, SIGABRT);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
