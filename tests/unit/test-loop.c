// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop, on real descriptors. A test that hangs is ended by check's time limit. */
#include "sys/loop.h"
#include "sys/sock.h"
#include "util/error.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

/* An operation that keeps what became of it. */
struct seen {
        struct op op;
        int calls;
        int res;
        unsigned flags;
        int order;
};

static int ticket;

static void note(struct op *op, int res, unsigned flags)
{
        struct seen *s = op_owner(op, struct seen, op);

        ck_assert_int_eq(op->armed, (flags & LOOP_MORE) != 0);
        s->calls++;
        s->res = res;
        s->flags = flags;
        s->order = ++ticket;
}

#define SEEN { .op.done = note }

static struct loop *loop_of_test(void)
{
        struct loop *loop = NULL;
        struct error e = { 0 };

        if (loop_new(&loop, &e) < 0)
                ck_abort_msg("%s", e.text);
        return loop;
}

static void turn_until(struct loop *loop, const struct seen *s, int calls)
{
        while (s->calls < calls)
                ck_assert_int_eq(loop_turn(loop), 0);
}

/* Hands what is queued to the kernel, without waiting for it. */
static void submit(struct loop *loop)
{
        struct seen s = SEEN;

        loop_defer(loop, &s.op);
        ck_assert_int_eq(loop_turn(loop), 0);
        ck_assert_int_eq(s.calls, 1);
}

static void pipe_of_test(int p[2])
{
        ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
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

START_TEST(test_defer)
{
        struct loop *loop = loop_of_test();
        struct seen a = SEEN, b = SEEN;

        loop_defer(loop, &a.op);
        loop_defer(loop, &b.op);
        ck_assert(a.op.armed);
        loop_cancel(loop, &b.op); /* its result is quicker */
        ck_assert_int_eq(a.calls, 0);
        ck_assert_int_eq(loop_turn(loop), 0);
        ck_assert_int_eq(a.calls, 1);
        ck_assert_int_eq(b.calls, 1);
        ck_assert_int_eq(b.res, 0);
        ck_assert_int_lt(a.order, b.order);
        loop_free(loop);
}
END_TEST

static struct loop *again_loop;

static void again(struct op *op, int res, unsigned flags)
{
        note(op, res, flags);
        if (op_owner(op, struct seen, op)->calls < 5)
                loop_defer(again_loop, op);
}

/* One that is deferred by a callback runs in the turn after. */
START_TEST(test_defer_again)
{
        struct seen s = { .op.done = again };

        again_loop = loop_of_test();
        loop_defer(again_loop, &s.op);
        for (int i = 1; i <= 5; i++) {
                ck_assert_int_eq(loop_turn(again_loop), 0);
                ck_assert_int_eq(s.calls, i);
        }
        loop_free(again_loop);
}
END_TEST

START_TEST(test_timers)
{
        struct loop *loop = loop_of_test();
        struct seen past = SEEN, near = SEEN, far = SEEN;
        uint64_t start = loop_now(loop);

        loop_timer(loop, &far.op, start + 60 * MS);
        loop_timer(loop, &near.op, start + 20 * MS);
        loop_timer(loop, &past.op, start - MS);
        turn_until(loop, &far, 1);
        ck_assert_uint_ge(loop_now(loop), start + 60 * MS);
        ck_assert_int_lt(past.order, near.order);
        ck_assert_int_lt(near.order, far.order);
        ck_assert_int_eq(past.res, 0);
        ck_assert_int_eq(far.res, 0);
        loop_free(loop);
}
END_TEST

START_TEST(test_cancel)
{
        struct loop *loop = loop_of_test();
        struct seen timer = SEEN, poll = SEEN, many = SEEN, read_ = SEEN, accept_ = SEEN;
        char dir[] = "/tmp/test-loop-XXXXXX", path[64], byte;
        int p[2], listener;

        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/s", dir);
        listener = sock_listen(path, SOCK_SEQPACKET, 0600, NULL);
        ck_assert_int_ge(listener, 0);
        pipe_of_test(p);
        loop_timer(loop, &timer.op, loop_now(loop) + 1000000 * MS);
        loop_poll(loop, &poll.op, p[0], POLLIN);
        loop_poll_multishot(loop, &many.op, p[0], POLLIN);
        loop_read(loop, &read_.op, p[0], &byte, 1, 0);
        loop_accept_multishot(loop, &accept_.op, listener);

        struct seen *const all[] = { &timer, &poll, &many, &read_, &accept_ };
        submit(loop);
        for (unsigned i = 0; i < 5; i++)
                loop_cancel(loop, &all[i]->op);
        for (unsigned i = 0; i < 5; i++) {
                turn_until(loop, all[i], 1);
                ck_assert_int_eq(all[i]->res, -ECANCELED);
                ck_assert_uint_eq(all[i]->flags, 0);
                loop_cancel(loop, &all[i]->op); /* of one that is not armed: nothing */
        }

        /* armed and cancelled within one turn */
        loop_timer(loop, &timer.op, loop_now(loop) + 1000000 * MS);
        loop_cancel(loop, &timer.op);
        turn_until(loop, &timer, 2);
        ck_assert_int_eq(timer.res, -ECANCELED);

        /* those cancels have not hit the next use of the same op */
        loop_poll(loop, &poll.op, p[1], POLLOUT);
        turn_until(loop, &poll, 2);
        ck_assert_int_eq(poll.res, POLLOUT);
        loop_free(loop);
        close(listener);
        unlink(path);
        rmdir(dir);
}
END_TEST

static struct seen late;
static int late_fd;

static void cancel_late(struct op *op, int res, unsigned flags)
{
        note(op, res, flags);
        loop_cancel(again_loop, &late.op);
}

static void arm_late(struct op *op, int res, unsigned flags)
{
        note(op, res, flags);
        if (late.calls == 1)
                loop_poll(again_loop, op, late_fd, POLLIN);
}

/* Both have completed; one cancels the other, which is armed anew behind that cancel: the cancel must not hit it. */
START_TEST(test_cancel_late)
{
        struct seen first = { .op.done = cancel_late };
        int ready = eventfd(1, EFD_CLOEXEC), p[2];

        pipe_of_test(p);
        again_loop = loop_of_test();
        late = (struct seen){ .op.done = arm_late };
        late_fd = p[0];
        loop_poll(again_loop, &first.op, ready, POLLIN);
        loop_poll(again_loop, &late.op, ready, POLLIN);
        turn_until(again_loop, &late, 1);
        ck_assert_int_eq(first.calls, 1);
        ck_assert_int_eq(late.res, POLLIN);
        submit(again_loop);
        submit(again_loop);
        ck_assert_int_eq(late.calls, 1);
        ck_assert_int_eq(write(p[1], "x", 1), 1);
        turn_until(again_loop, &late, 2);
        ck_assert_int_eq(late.res, POLLIN);
        loop_free(again_loop);
}
END_TEST

START_TEST(test_poll_multishot)
{
        struct loop *loop = loop_of_test();
        struct seen s = SEEN;
        uint64_t n = 1;
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        loop_poll_multishot(loop, &s.op, fd, POLLIN);
        for (int i = 1; i <= 10; i++) {
                ck_assert_int_eq(write(fd, &n, sizeof(n)), sizeof(n));
                turn_until(loop, &s, i);
                ck_assert_uint_eq(s.flags, LOOP_MORE);
                ck_assert_int_ne(s.res & POLLIN, 0);
                ck_assert_int_eq(read(fd, &n, sizeof(n)), sizeof(n));
                ck_assert_uint_eq(n, 1);
        }
        loop_cancel(loop, &s.op);
        turn_until(loop, &s, 11);
        ck_assert_int_eq(s.res, -ECANCELED);
        loop_free(loop);
        close(fd);
}
END_TEST

START_TEST(test_read_write)
{
        struct loop *loop = loop_of_test();
        struct seen w = SEEN, r = SEEN, bad = SEEN;
        char buf[16] = "";
        int fd = memfd_create("test", MFD_CLOEXEC), p[2];

        loop_write(loop, &w.op, fd, "hello", 5, 100);
        turn_until(loop, &w, 1);
        ck_assert_int_eq(w.res, 5);
        loop_read(loop, &r.op, fd, buf, sizeof(buf), 102);
        turn_until(loop, &r, 1);
        ck_assert_int_eq(r.res, 3);
        ck_assert_str_eq(buf, "llo");

        pipe_of_test(p); /* waits until there is something */
        loop_read(loop, &r.op, p[0], buf, sizeof(buf), 0);
        loop_write(loop, &w.op, p[1], "abc", 4, 0);
        turn_until(loop, &r, 2);
        ck_assert_int_eq(r.res, 4);
        ck_assert_str_eq(buf, "abc");
        turn_until(loop, &w, 2);

        loop_read(loop, &bad.op, -1, buf, 1, 0);
        turn_until(loop, &bad, 1);
        ck_assert_int_eq(bad.res, -EBADF);
        loop_free(loop);
}
END_TEST

/* What is pushed is under way before the turn. */
START_TEST(test_push)
{
        struct loop *loop = loop_of_test();
        struct pollfd ready = { .events = POLLIN };
        struct seen w = SEEN;
        int p[2];

        pipe_of_test(p);
        ready.fd = p[0];
        loop_write(loop, &w.op, p[1], "abc", 3, 0);
        ck_assert_int_eq(poll(&ready, 1, 0), 0);
        loop_push(loop);
        ck_assert_int_eq(poll(&ready, 1, -1), 1);
        ck_assert_int_eq(w.calls, 0);
        loop_push(loop); /* nothing */
        turn_until(loop, &w, 1);
        ck_assert_int_eq(w.res, 3);
        close(p[0]);
        close(p[1]);
        loop_free(loop);
}
END_TEST

START_TEST(test_fixed)
{
        struct loop *loop = loop_of_test();
        struct seen s = SEEN;
        char *mem = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int fd = memfd_create("test", MFD_CLOEXEC), buffer, file;

        buffer = loop_register_buffer(loop, mem, 65536);
        file = loop_register_file(loop, fd);
        ck_assert_int_ge(buffer, 0);
        ck_assert_int_ge(file, 0);
        memset(mem, 'x', 4096);
        loop_write_fixed(loop, &s.op, file, (unsigned)buffer, mem, 4096, 8192);
        turn_until(loop, &s, 1);
        ck_assert_int_eq(s.res, 4096);
        loop_read_fixed(loop, &s.op, file, (unsigned)buffer, mem + 4096, 8192, 8192 - 4096);
        turn_until(loop, &s, 2);
        ck_assert_int_eq(s.res, 8192);
        ck_assert_int_eq(mem[4096], 0);
        ck_assert_int_eq(memcmp(mem, mem + 8192, 4096), 0);

        loop_unregister_buffer(loop, buffer); /* the entry is empty again */
        loop_read_fixed(loop, &s.op, file, (unsigned)buffer, mem, 4096, 0);
        turn_until(loop, &s, 3);
        ck_assert_int_lt(s.res, 0);
        loop_unregister_file(loop, file);
        loop_read_fixed(loop, &s.op, file, (unsigned)buffer, mem, 4096, 0);
        turn_until(loop, &s, 4);
        ck_assert_int_eq(s.res, -EBADF);

        /* one outside the buffer is the caller's error and shows as such */
        buffer = loop_register_buffer(loop, mem, 4096);
        file = loop_register_file(loop, fd);
        loop_read_fixed(loop, &s.op, file, (unsigned)buffer, mem + 4096, 4096, 0);
        turn_until(loop, &s, 5);
        ck_assert_int_eq(s.res, -EFAULT);
        loop_free(loop);
}
END_TEST

START_TEST(test_tables)
{
        struct loop *loop = loop_of_test();
        static char mem[4096] __attribute__((aligned(4096)));
        bool used[1024] = { false };
        int n, last = -1, r;

        for (n = 0; (r = loop_register_buffer(loop, mem, sizeof(mem))) >= 0; n++) {
                ck_assert_int_lt(r, 1024);
                ck_assert(!used[r]);
                used[r] = true;
                last = r;
        }
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert_int_eq(n, 1024);
        loop_unregister_buffer(loop, last);
        ck_assert_int_eq(loop_register_buffer(loop, mem, sizeof(mem)), last);

        for (n = 0; (r = loop_register_file(loop, STDIN_FILENO)) >= 0; n++)
                last = r;
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert_int_eq(n, 64);
        loop_unregister_file(loop, last);
        ck_assert_int_eq(loop_register_file(loop, -1), -EBADF);
        ck_assert_int_eq(loop_register_file(loop, 9999), -EBADF);
        ck_assert_int_eq(loop_register_file(loop, STDIN_FILENO), last);

        loop_unregister_buffer(loop, 0);
        ck_assert_int_eq(loop_register_buffer(loop, NULL, 0), -EINVAL);
        ck_assert_int_eq(loop_register_buffer(loop, (void *)4096, 4096), -EFAULT);
        ck_assert_int_eq(loop_register_buffer(loop, mem, (1ull << 30) + 1), -EINVAL);
        ck_assert_int_eq(loop_register_buffer(loop, mem, sizeof(mem)), 0);
        loop_free(loop);
}
END_TEST

struct accepted {
        struct op op;
        int fds[8];
        int n;
};

static void accepted(struct op *op, int res, unsigned flags)
{
        struct accepted *a = op_owner(op, struct accepted, op);

        if (flags & LOOP_MORE)
                a->fds[a->n++] = res;
}

START_TEST(test_sockets)
{
        struct loop *loop = loop_of_test();
        struct accepted a = { .op.done = accepted };
        struct seen in = SEEN, out = SEEN;
        struct sock_packet pin, pout;
        char dir[] = "/tmp/test-loop-XXXXXX", path[64], buf[64];
        int listener, client[3], give[2], got[SOCK_MAX_FDS];

        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/s", dir);
        listener = sock_listen(path, SOCK_SEQPACKET, 0600, NULL);
        loop_accept_multishot(loop, &a.op, listener);
        for (int i = 0; i < 3; i++)
                client[i] = sock_connect(path, SOCK_SEQPACKET);
        while (a.n < 3)
                ck_assert_int_eq(loop_turn(loop), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(fcntl(a.fds[i], F_GETFD), FD_CLOEXEC);

        /* the receiver waits, also on a descriptor that is O_NONBLOCK */
        ck_assert_int_eq(fcntl(a.fds[0], F_SETFL, O_NONBLOCK), 0);
        sock_packet_in(&pin, buf, sizeof(buf));
        loop_recvmsg(loop, &in.op, a.fds[0], &pin.msg);
        submit(loop);
        ck_assert_int_eq(in.calls, 0);
        pipe_of_test(give);
        sock_packet_out(&pout, "packet", 7, give, 2);
        loop_sendmsg(loop, &out.op, client[0], &pout.msg);
        turn_until(loop, &in, 1);
        turn_until(loop, &out, 1);
        ck_assert_int_eq(out.res, 7);
        ck_assert_int_eq(in.res, 7);
        ck_assert_str_eq(buf, "packet");
        ck_assert_int_eq(sock_packet_fds(&pin, got), 2);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(write(got[1], "!", 1), 1);
        ck_assert_int_eq(read(give[0], buf, 1), 1);

        /* the end of the peer is a count of 0, and sending to it is no signal */
        sock_packet_in(&pin, buf, sizeof(buf));
        loop_recvmsg(loop, &in.op, a.fds[1], &pin.msg);
        close(client[1]);
        turn_until(loop, &in, 2);
        ck_assert_int_eq(in.res, 0);
        sock_packet_out(&pout, "x", 1, NULL, 0);
        loop_sendmsg(loop, &out.op, a.fds[1], &pout.msg);
        turn_until(loop, &out, 2);
        ck_assert_int_eq(out.res, -EPIPE);
        loop_free(loop);
        unlink(path);
        rmdir(dir);
}
END_TEST

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
        struct loop *loop;
        pthread_t thread;
        unsigned index;
};

struct posted {
        unsigned poster, n;
        struct loop_post post; /* of every second one */
};

static unsigned next_post[POSTERS], ended;
static struct loop *post_loop;

static void receive_post(void *arg)
{
        struct posted *p = arg;

        if (p->n != next_post[p->poster]++)
                ck_abort_msg("poster %u: %u came out of order", p->poster, p->n);
        if (p->n == POSTS - 1 && ++ended == POSTERS)
                loop_stop(post_loop);
        free(p);
}

static void *poster_main(void *arg)
{
        struct poster *me = arg;

        for (unsigned i = 0; i < POSTS; i++) {
                struct posted *p = malloc(sizeof(*p));

                *p = (struct posted){ .poster = me->index, .n = i };
                if (i % 2)
                        loop_post_with(me->loop, &p->post, receive_post, p);
                else if (loop_post(me->loop, receive_post, p) < 0)
                        abort();
        }
        return NULL;
}

START_TEST(test_post)
{
        struct poster posters[POSTERS];

        post_loop = loop_of_test();
        for (unsigned i = 0; i < POSTERS; i++) {
                posters[i] = (struct poster){ .loop = post_loop, .index = i };
                ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
        }
        ck_assert_int_eq(loop_run(post_loop), 0);
        for (unsigned i = 0; i < POSTERS; i++) {
                pthread_join(posters[i].thread, NULL);
                ck_assert_uint_eq(next_post[i], POSTS);
        }
        loop_free(post_loop);
}
END_TEST

static void post_again(void *arg)
{
        int *left = arg;

        if (--*left)
                ck_assert_int_eq(loop_post(post_loop, post_again, left), 0);
        else
                loop_stop(post_loop);
}

START_TEST(test_post_from_callback)
{
        int left = 100, never = 1;
        struct loop_post never_post;

        post_loop = loop_of_test();
        loop_post(post_loop, post_again, &left);
        ck_assert_int_eq(loop_run(post_loop), 0);
        ck_assert_int_eq(left, 0);
        loop_post(post_loop, post_again, &never); /* freed with the loop, not called */
        loop_post_with(post_loop, &never_post, post_again, &never);
        loop_free(post_loop);
        ck_assert_int_eq(never, 1);
}
END_TEST

/* More than the submission queue takes, and more completions at once than the completion queue takes. */
START_TEST(test_flood)
{
        enum { N = 12000 };
        struct loop *loop = loop_of_test();
        struct seen *s = calloc(N, sizeof(*s));
        int p[2];

        pipe_of_test(p);
        for (int i = 0; i < N; i++) {
                s[i].op.done = note;
                loop_poll(loop, &s[i].op, p[0], POLLIN);
        }
        ck_assert_int_eq(write(p[1], "x", 1), 1);
        for (int i = 0; i < N; i++) {
                turn_until(loop, &s[i], 1);
                if (!(s[i].res & POLLIN))
                        ck_abort_msg("poll %d: %d", i, s[i].res);
        }
        for (int i = 0; i < N; i++)
                loop_poll(loop, &s[i].op, p[0], POLLIN); /* completes as it is submitted */
        for (int i = 0; i < N; i++)
                turn_until(loop, &s[i], 2);
        for (int i = 0; i < N; i++)
                if (s[i].calls != 2)
                        ck_abort_msg("poll %d completed %d times", i, s[i].calls);
        loop_free(loop);
        free(s);
}
END_TEST

struct own {
        struct op op;
        int *count;
};

static void free_own(struct op *op, int res, unsigned flags)
{
        struct own *o = op_owner(op, struct own, op);

        (void)res;
        (void)flags;
        ++*o->count;
        free(o);
}

/* A callback may free its op. */
START_TEST(test_free_in_done)
{
        struct loop *loop = loop_of_test();
        int count = 0;

        for (int i = 0; i < 300; i++) {
                struct own *o = calloc(1, sizeof(*o));

                o->op.done = free_own;
                o->count = &count;
                if (i % 2)
                        loop_timer(loop, &o->op, 1);
                else
                        loop_defer(loop, &o->op);
        }
        while (count < 300)
                ck_assert_int_eq(loop_turn(loop), 0);
        loop_free(loop);
}
END_TEST

static void stopper(struct op *op, int res, unsigned flags)
{
        note(op, res, flags);
        loop_stop(again_loop);
}

/* The rest of the batch still runs; the loop can be run again. */
START_TEST(test_stop)
{
        struct seen a = { .op.done = stopper }, b = SEEN;

        again_loop = loop_of_test();
        for (int i = 1; i <= 2; i++) {
                loop_defer(again_loop, &a.op);
                loop_defer(again_loop, &b.op);
                ck_assert_int_eq(loop_run(again_loop), 0);
                ck_assert_int_eq(a.calls, i);
                ck_assert_int_eq(b.calls, i);
        }
        loop_free(again_loop);
}
END_TEST

static int clients[2];

static void unwanted(struct op *op, int res, unsigned flags)
{
        (void)op;
        ck_abort_msg("called: %d %u", res, flags);
}

/* All kinds are armed, of ops that are gone by then: no callback, no descriptor left behind, no crash. */
START_TEST(test_free_armed)
{
        int before = open_fds();
        struct loop *loop = loop_of_test();
        struct op *ops = calloc(7, sizeof(*ops));
        char dir[] = "/tmp/test-loop-XXXXXX", path[64], *buf = malloc(16);
        struct sock_packet packet;
        int p[2], listener;

        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/s", dir);
        listener = sock_listen(path, SOCK_SEQPACKET, 0600, NULL);
        pipe_of_test(p);
        for (int i = 0; i < 7; i++)
                ops[i].done = unwanted;
        loop_accept_multishot(loop, &ops[0], listener);
        loop_poll(loop, &ops[1], p[0], POLLIN);
        loop_poll_multishot(loop, &ops[2], p[0], POLLIN);
        loop_read(loop, &ops[3], p[0], buf, 16, 0);
        loop_timer(loop, &ops[4], loop_now(loop) + 1000000 * MS);
        submit(loop);
        for (int i = 0; i < 2; i++)
                clients[i] = sock_connect(path, SOCK_SEQPACKET); /* accepted by nobody but the drain */
        sock_packet_in(&packet, buf, 16);
        loop_recvmsg(loop, &ops[5], clients[0], &packet.msg); /* these two stay with the loop */
        loop_defer(loop, &ops[6]);
        free(ops);
        loop_free(loop);
        free(buf);

        /* the read from the pipe has ended, and holds it open no longer */
        signal(SIGPIPE, SIG_IGN);
        close(p[0]);
        ck_assert_int_eq(write(p[1], "x", 1), -1);
        ck_assert_int_eq(errno, EPIPE);
        close(p[1]);
        for (int i = 0; i < 2; i++)
                close(clients[i]);
        close(listener);
        unlink(path);
        rmdir(dir);
        ck_assert_int_eq(open_fds(), before);
        loop_free(NULL);
}
END_TEST

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
        (void)sig;
        signals++;
}

START_TEST(test_signal)
{
        struct loop *loop = loop_of_test();
        struct sigaction sa = { .sa_handler = on_signal };
        struct itimerval soon = { .it_value.tv_usec = 1000, .it_interval.tv_usec = 1000 };

        sigaction(SIGALRM, &sa, NULL);
        setitimer(ITIMER_REAL, &soon, NULL);
        while (signals < 5)
                ck_assert_int_eq(loop_turn(loop), 0);
        memset(&soon, 0, sizeof(soon));
        setitimer(ITIMER_REAL, &soon, NULL);
        loop_free(loop);
}
END_TEST

START_TEST(test_armed_twice)
{
        struct loop *loop = loop_of_test();
        struct seen s = SEEN;

        loop_defer(loop, &s.op);
        loop_defer(loop, &s.op);
}
END_TEST

/* io_uring_setup() is refused as kernel.io_uring_disabled and old kernels do, without touching either. */
static void refuse_io_uring(unsigned code)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog prog = { sizeof(filter) / sizeof(*filter), filter };

        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(test_refused)
{
        static const int codes[] = { EPERM, ENOSYS, ENOMEM };
        struct loop *loop = NULL;
        struct error e = { 0 };
        int before = open_fds();

        refuse_io_uring((unsigned)codes[_i]);
        ck_assert_int_eq(loop_new(&loop, &e), -codes[_i]);
        ck_assert_ptr_null(loop);
        ck_assert_int_eq(e.code, -codes[_i]);
        ck_assert_ptr_nonnull(strstr(e.text, "io_uring"));
        ck_assert_ptr_null(strchr(e.text, '\n'));
        ck_assert_int_eq(loop_new(&loop, NULL), -codes[_i]);
        ck_assert_int_eq(open_fds(), before);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("loop");
        TCase *tc = tcase_create("loop");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_defer);
        tcase_add_test(tc, test_defer_again);
        tcase_add_test(tc, test_timers);
        tcase_add_test(tc, test_cancel);
        tcase_add_test(tc, test_cancel_late);
        tcase_add_test(tc, test_poll_multishot);
        tcase_add_test(tc, test_read_write);
        tcase_add_test(tc, test_push);
        tcase_add_test(tc, test_fixed);
        tcase_add_test(tc, test_tables);
        tcase_add_test(tc, test_sockets);
        tcase_add_test(tc, test_post);
        tcase_add_test(tc, test_post_from_callback);
        tcase_add_test(tc, test_flood);
        tcase_add_test(tc, test_free_in_done);
        tcase_add_test(tc, test_stop);
        tcase_add_test(tc, test_free_armed);
        tcase_add_test(tc, test_signal);
        tcase_add_test_raise_signal(tc, test_armed_twice, SIGABRT);
        tcase_add_loop_test(tc, test_refused, 0, 3);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
