// SPDX-License-Identifier: GPL-2.0-or-later
/* userfaultfd, on memory of the test's own. Needs root and a kernel that vmpager runs on: skipped without. */
#include "sys/procfs.h"
#include "sys/sock.h"
#include "sys/uffd.h"
#include "util/error.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static char *map_pages(unsigned n)
{
        char *mem = mmap(NULL, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(mem, MAP_FAILED);
        return mem;
}

static uint64_t addr(const void *p)
{
        return (uintptr_t)p;
}

static int uffd_of_test(void)
{
        struct error e = { 0 };
        uint64_t features = 0;
        int dev = uffd_device(&features, &e), uffd;

        if (dev < 0)
                ck_abort_msg("%s", e.text);
        ck_assert_uint_eq(features & UFFD_NEEDED, UFFD_NEEDED);
        ck_assert_int_eq(fcntl(dev, F_GETFD), FD_CLOEXEC);
        uffd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        ck_assert_int_ge(uffd, 0);
        close(dev);
        ck_assert_int_eq(uffd_api(uffd, UFFD_NEEDED), 0);
        return uffd;
}

START_TEST(test_check)
{
        struct error e = { 0 };
        uint64_t features;

        ck_assert_int_eq(uffd_check(UFFD_NEEDED, &e), 0);
        ck_assert_int_eq(uffd_check(~UINT64_C(0), &e), 0);
        ck_assert_int_eq(e.code, 0);
        features = UFFD_NEEDED & ~(uint64_t)(UFFD_FEATURE_MOVE | UFFD_FEATURE_POISON);
        ck_assert_int_eq(uffd_check(features, &e), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(e.text, "lacks MOVE, POISON:"));
        ck_assert_ptr_nonnull(strstr(e.text, "6.8"));
        e = (struct error){ 0 };
        ck_assert_int_eq(uffd_check(0, &e), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(e.text, "EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP, THREAD_ID, MOVE"));
        ck_assert_int_eq(uffd_check(0, NULL), -EOPNOTSUPP);
}
END_TEST

/* An empty /dev, which only this test's process sees. */
static void hide_dev(void)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        ck_assert_int_eq(mount("tmpfs", "/dev", "tmpfs", 0, NULL), 0);
}

START_TEST(test_no_device)
{
        struct error e = { 0 };
        uint64_t features = 77;

        hide_dev();
        ck_assert_int_eq(uffd_device(&features, &e), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "CONFIG_USERFAULTFD"));
        ck_assert_ptr_nonnull(strstr(e.text, "6.8"));

        ck_assert_int_eq(mknod("/dev/userfaultfd", S_IFREG | 0600, 0), 0); /* something else of that name */
        e = (struct error){ 0 };
        ck_assert_int_eq(uffd_device(&features, &e), -ENOTTY);
        ck_assert_ptr_nonnull(strstr(e.text, "/dev/userfaultfd"));
        ck_assert_uint_eq(features, 77);
}
END_TEST

START_TEST(test_no_permission)
{
        struct error e = { 0 };
        uint64_t features = 77;

        ck_assert_int_eq(setgid(65534), 0);
        ck_assert_int_eq(setuid(65534), 0);
        ck_assert_int_eq(uffd_device(&features, &e), -EACCES);
        ck_assert_ptr_nonnull(strstr(e.text, "root"));
        ck_assert_uint_eq(features, 77);
}
END_TEST

START_TEST(test_copy)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(8), *src = map_pages(8);

        memset(src, 'a', 8 * PAGE);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem), src, PAGE), -ENOENT); /* not registered */
        ck_assert_int_eq(uffd_register(uffd, addr(mem), 8 * PAGE), 0);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + 4 * PAGE, src, PAGE), PAGE);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem), src, 8 * PAGE), 4 * PAGE); /* up to the one that is there */
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + 4 * PAGE, src, 4 * PAGE), -EEXIST);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + 5 * PAGE, src, 3 * PAGE), 3 * PAGE);
        ck_assert_int_eq(memcmp(mem, src, 8 * PAGE), 0);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + 1, src, PAGE), -EINVAL);
        ck_assert_int_eq(uffd_wake(uffd, addr(mem), 8 * PAGE), 0);
        ck_assert_int_eq(uffd_unregister(uffd, addr(mem), 8 * PAGE), 0);
        close(uffd);
        ck_assert_int_eq(uffd_wake(uffd, addr(mem), PAGE), -EBADF);
}
END_TEST

START_TEST(test_zeropage)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(4);

        ck_assert_int_eq(uffd_register(uffd, addr(mem), 4 * PAGE), 0);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(mem) + 2 * PAGE, PAGE), PAGE);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(mem), 4 * PAGE), 2 * PAGE);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(mem), PAGE), -EEXIST);
        ck_assert_int_eq(mem[0], 0);
        ck_assert_int_eq(mem[2 * PAGE], 0);
        mem[0] = 1; /* and it can be written */
        close(uffd);
}
END_TEST

/* A touch of it ends in SIGBUS, which the test's process is expected to die of. */
START_TEST(test_poison)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(4);

        ck_assert_int_eq(uffd_register(uffd, addr(mem), 4 * PAGE), 0);
        ck_assert_int_eq(uffd_poison(uffd, addr(mem), 4 * PAGE), 4 * PAGE);
        ck_assert_int_eq(uffd_poison(uffd, addr(mem), PAGE), -EEXIST);
        signal(SIGBUS, SIG_DFL); /* also where a sanitizer has put a handler */
        mem[0] = *(volatile char *)(mem + PAGE);
}
END_TEST

START_TEST(test_busy)
{
        int one = uffd_of_test(), other = uffd_of_test();
        char *mem = map_pages(2);

        ck_assert_int_eq(uffd_register(one, addr(mem), 2 * PAGE), 0);
        ck_assert_int_eq(uffd_register(other, addr(mem), 2 * PAGE), -EBUSY);
        ck_assert_int_eq(uffd_register(one, addr(mem), 0), -EINVAL);
        ck_assert_int_eq(uffd_api(one, 0), -EINVAL); /* once only */
        close(one);
        close(other);
}
END_TEST

struct faulter {
        char *at;
        char value;
};

static void *touch(void *arg)
{
        struct faulter *f = arg;

        f->value = *(volatile char *)f->at;
        return NULL;
}

static void wait_readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        ck_assert_int_eq(poll(&p, 1, 30000), 1);
        ck_assert_int_eq(p.revents, POLLIN);
}

START_TEST(test_fault)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(2), *src = map_pages(1);
        struct faulter f = { mem + PAGE + 5, 0 };
        struct uffd_msg msgs[4];
        pthread_t thread;

        memset(src, 'z', PAGE);
        ck_assert_int_eq(uffd_register(uffd, addr(mem), 2 * PAGE), 0);
        ck_assert_int_eq(uffd_read(uffd, msgs, 4), 0);
        ck_assert_int_eq(uffd_read(uffd, msgs, 0), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, touch, &f), 0);
        wait_readable(uffd);
        ck_assert_int_eq(uffd_read(uffd, msgs, 4), 1);
        ck_assert_uint_eq(msgs[0].event, UFFD_EVENT_PAGEFAULT);
        ck_assert_uint_eq(msgs[0].arg.pagefault.address & ~(uint64_t)(PAGE - 1), addr(mem) + PAGE);
        ck_assert_uint_ne(msgs[0].arg.pagefault.feat.ptid, (uint32_t)getpid());
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + PAGE, src, PAGE), PAGE);
        pthread_join(thread, NULL);
        ck_assert_int_eq(f.value, 'z');
        close(uffd);
}
END_TEST

static void *drop(void *arg)
{
        madvise(arg, PAGE, MADV_DONTNEED);
        return NULL;
}

/* While an event is unread the mappings are "changing": EAGAIN, and nothing done. */
START_TEST(test_event_unread)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(2), *src = map_pages(1);
        struct uffd_msg msgs[4];
        pthread_t thread;

        ck_assert_int_eq(uffd_register(uffd, addr(mem), 2 * PAGE), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, drop, mem), 0);
        wait_readable(uffd);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + PAGE, src, PAGE), -EAGAIN);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(mem) + PAGE, PAGE), -EAGAIN);
        ck_assert_int_eq(uffd_poison(uffd, addr(mem) + PAGE, PAGE), -EAGAIN);
        ck_assert_int_eq(uffd_read(uffd, msgs, 4), 1);
        ck_assert_uint_eq(msgs[0].event, UFFD_EVENT_REMOVE);
        pthread_join(thread, NULL);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + PAGE, src, PAGE), PAGE);
        close(uffd);
}
END_TEST

/* A call that waits for its events to be read. */
struct call {
        char *at, *to;
        int advice;
};

static void *make_call(void *arg)
{
        struct call *c = arg;

        if (c->to)
                c->to = mremap(c->at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, c->to);
        else
                ck_assert_int_eq(madvise(c->at, 4 * PAGE, c->advice), 0);
        return NULL;
}

static void call_and_read(int uffd, struct call c, unsigned events)
{
        struct uffd_msg msg;
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, make_call, &c), 0);
        while (events--) {
                wait_readable(uffd);
                ck_assert_int_eq(uffd_read(uffd, &msg, 1), 1);
        }
        pthread_join(thread, NULL);
        ck_assert_ptr_ne(c.to, MAP_FAILED);
}

static unsigned marks(const char *mem)
{
        struct procfs proc = PROCFS_NONE;
        struct procfs_run run[8];
        uint64_t next;
        unsigned found = 0;
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), n;

        ck_assert_int_ge(pidfd, 0);
        ck_assert_int_eq(procfs_open(&proc, getpid(), pidfd), 0);
        n = procfs_marked(&proc, addr(mem), addr(mem) + 4 * PAGE, run, 8, &next);
        ck_assert_int_ge(n, 0);
        ck_assert_uint_eq(next, addr(mem) + 4 * PAGE);
        for (int i = 0; i < n; i++)
                for (uint64_t a = run[i].start; a < run[i].end; a += PAGE)
                        found |= 1u << (a - addr(mem)) / PAGE;
        procfs_close(&proc);
        close(pidfd);
        return found;
}

/* A mark stays with an absent page wherever it goes, and ends with what ends the page. */
START_TEST(test_mark)
{
        int uffd = uffd_of_test();
        char *mem = map_pages(4), *other = map_pages(4), *src = map_pages(1);

        memset(src, 's', PAGE);
        ck_assert_int_eq(uffd_register(uffd, addr(mem), 4 * PAGE), 0);
        ck_assert_uint_eq(marks(mem), 0);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + PAGE, src, PAGE), PAGE);
        ck_assert_int_eq(uffd_mark(uffd, addr(mem), PAGE), 0);
        ck_assert_int_eq(uffd_mark(uffd, addr(mem) + 2 * PAGE, 2 * PAGE), 0);
        ck_assert_uint_eq(marks(mem), 1 | 4 | 8);

        call_and_read(uffd, (struct call){ .at = mem, .to = other }, 2);
        ck_assert_uint_eq(marks(other), 1 | 4 | 8);
        call_and_read(uffd, (struct call){ .at = other, .advice = MADV_FREE }, 1);
        ck_assert_uint_eq(marks(other), 1 | 4 | 8);

        /* COPY takes it away; the zero page and POISON are refused where one is. */
        ck_assert_int_eq(uffd_copy(uffd, addr(other), src, PAGE), PAGE);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(other) + 2 * PAGE, PAGE), -EEXIST);
        ck_assert_int_eq(uffd_poison(uffd, addr(other) + 2 * PAGE, PAGE), -EEXIST);
        ck_assert_int_eq(uffd_unmark(uffd, addr(other) + 2 * PAGE, PAGE), 0);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(other) + 2 * PAGE, PAGE), PAGE);
        ck_assert_uint_eq(marks(other), 8);
        other[0] = other[PAGE] = other[2 * PAGE] = 1; /* none of them is protected */
        call_and_read(uffd, (struct call){ .at = other, .advice = MADV_DONTNEED }, 1);
        ck_assert_uint_eq(marks(other), 0);
        close(uffd);
}
END_TEST

/* A child makes a userfaultfd of its memory, hands it over, and waits until it is killed. */
static pid_t child_with_uffd(int *uffd)
{
        struct sock_packet packet;
        int pair[2], fds[SOCK_MAX_FDS], own;
        char byte = 0;
        pid_t pid;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        pid = fork();
        if (pid == 0) {
                own = uffd_of_test();
                sock_packet_out(&packet, &byte, 1, &own, 1);
                if (sendmsg(pair[1], &packet.msg, 0) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        sock_packet_in(&packet, &byte, 1);
        ck_assert_int_eq(recvmsg(pair[0], &packet.msg, MSG_CMSG_CLOEXEC), 1);
        ck_assert_int_eq(sock_packet_fds(&packet, fds), 1);
        *uffd = fds[0];
        return pid;
}

START_TEST(test_other_process)
{
        char *mem = map_pages(2), *src = map_pages(2);
        int uffd, status;
        pid_t pid = child_with_uffd(&uffd);

        memset(src, 's', 2 * PAGE);
        ck_assert_int_eq(uffd_register(uffd, addr(mem), 2 * PAGE), 0);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem), src, PAGE), PAGE);
        ck_assert_int_eq(mem[0], 0); /* the child's, not this one */

        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(uffd_copy(uffd, addr(mem) + PAGE, src, PAGE), -ESRCH);
        ck_assert_int_eq(uffd_zeropage(uffd, addr(mem) + PAGE, PAGE), -ESRCH);
        ck_assert_int_eq(uffd_poison(uffd, addr(mem) + PAGE, PAGE), -ESRCH);
        ck_assert_int_lt(uffd_register(uffd, addr(mem), 2 * PAGE), 0);
        close(uffd);
}
END_TEST

START_TEST(test_read_before_api)
{
        struct uffd_msg msg;
        uint64_t features;
        int dev = uffd_device(&features, NULL), uffd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

        ck_assert_int_eq(uffd_read(uffd, &msg, 1), -EINVAL);
        ck_assert_int_eq(uffd_api(uffd, UINT64_C(1) << 63), -EINVAL);
        close(uffd);
        close(dev);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("uffd");
        TCase *plain = tcase_create("plain"), *root = tcase_create("root");
        struct error e = { 0 };
        uint64_t features;
        SRunner *runner;
        int dev, failed;

        tcase_add_test(plain, test_check);
        suite_add_tcase(suite, plain);

        tcase_set_timeout(root, 60);
        tcase_add_test(root, test_no_device);
        tcase_add_test(root, test_no_permission);
        tcase_add_test(root, test_copy);
        tcase_add_test(root, test_zeropage);
        tcase_add_test_raise_signal(root, test_poison, SIGBUS);
        tcase_add_test(root, test_busy);
        tcase_add_test(root, test_fault);
        tcase_add_test(root, test_event_unread);
        tcase_add_test(root, test_mark);
        tcase_add_test(root, test_other_process);
        tcase_add_test(root, test_read_before_api);

        dev = uffd_device(&features, &e);
        if (dev >= 0) {
                close(dev);
                suite_add_tcase(suite, root);
        }
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        if (failed)
                return EXIT_FAILURE;
        if (dev < 0)
                printf("skipped: all but test_check: %s\n", e.text);
        return dev < 0 ? 77 : EXIT_SUCCESS;
}
