/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel reads and writes memory whose pages are out of the program: data, and the arguments of system calls (see
 * paged.h). Files are made in the working directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "paged.h"

#define BLOCK (4 * MIB)
#define PART  (BLOCK / 4)
#define PIPE  (256 * 1024ul) /* goes into a pipe that was made larger */

/* A file in memory, which is shared and never paged, and what is in it. */
static int new_file(uint8_t **content)
{
        int fd = memfd_create("content", MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, BLOCK) < 0) {
                perror("memfd");
                exit(2);
        }
        *content = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return fd;
}

static void new_pipe(int fd[2])
{
        if (pipe2(fd, O_CLOEXEC) < 0 || fcntl(fd[1], F_SETPIPE_SZ, MIB) < 0) {
                perror("pipe");
                exit(2);
        }
}

/* All bytes of a pipe or socket, to memory that is never paged. */
static size_t drain(int fd, uint8_t *to, size_t bytes)
{
        size_t done = 0;

        while (done < bytes) {
                ssize_t n = read(fd, to + done, bytes - done);

                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        return done;
}

/* --- read and write -------------------------------------------------------------------------- */

/* Rule 8. */
static void reads_file(void)
{
        uint8_t *block = map(BLOCK), *content;
        int fd = new_file(&content);

        fill(content, BLOCK, 2, 0);
        fill_out(block, BLOCK, 1, 0);
        check(pread(fd, block + PART, 2 * PART, PART) == 2 * PART, "pread: %s", strerror(errno));
        check_filled("what was read", block + PART, 2 * PART, 2, PART / PAGE);
        check_filled("before it", block, PART, 1, 0);
        check_filled("behind it", block + 3 * PART, PART, 1, 3 * PART / PAGE);
        /* Not a whole page: the rest of it is what it was. */
        evict_out(block, PART);
        check(pread(fd, block + 100, PAGE, 100) == PAGE, "pread: %s", strerror(errno));
        fill(content + 100 + PAGE, 2 * PAGE - 100 - PAGE, 9, 9);
        check(memcmp(block + 100, content + 100, PAGE) == 0 && *(uint64_t *)block == pattern_word(1, 0, 0) &&
                      *(uint64_t *)(block + 2 * PAGE - 8) == pattern_word(1, 1, PAGE_WORDS - 1),
              "a read of a part of a page");
        munmap(block, BLOCK);
        munmap(content, BLOCK);
        close(fd);
}

static void writes_file(void)
{
        uint8_t *block = map(BLOCK), *content;
        int fd = new_file(&content);

        fill_out(block, BLOCK, 1, 0);
        check(pwrite(fd, block, BLOCK, 0) == BLOCK, "pwrite: %s", strerror(errno));
        check_filled("what was written", content, BLOCK, 1, 0);
        munmap(block, BLOCK);
        munmap(content, BLOCK);
        close(fd);
}

static void pipes(void)
{
        uint8_t *from = map(PIPE), *to = map(PIPE);
        int fd[2];

        new_pipe(fd);
        fill(to, PIPE, 2, 0);
        fill_out(from, PIPE, 1, 0);
        evict_out(to, PIPE);
        check(write(fd[1], from, PIPE) == PIPE, "write: %s", strerror(errno));
        check(read(fd[0], to, PIPE) == PIPE, "read: %s", strerror(errno));
        check_filled("what went through", to, PIPE, 1, 0);
        munmap(from, PIPE);
        munmap(to, PIPE);
        close(fd[0]);
        close(fd[1]);
}

/* The list of buffers is out as well as the buffers. */
static void vectors(void)
{
        uint8_t *block = map(BLOCK), *content;
        struct iovec *vector = (struct iovec *)map(PAGE);
        int fd = new_file(&content);

        fill(content, BLOCK, 2, 0);
        for (size_t i = 0; i < 64; i++)
                vector[i] = (struct iovec){ block + (63 - i) * 4 * PAGE, 2 * PAGE };
        fill_out(block, BLOCK, 1, 0);
        evict_out(vector, PAGE);
        check(preadv(fd, vector, 64, 0) == 128 * PAGE, "preadv: %s", strerror(errno));
        for (size_t i = 0; i < 64; i++) {
                check_filled("read", block + (63 - i) * 4 * PAGE, 2 * PAGE, 2, 2 * i);
                check_filled("not read", block + ((63 - i) * 4 + 2) * PAGE, 2 * PAGE, 1, (63 - i) * 4 + 2);
        }
        evict_out(block, BLOCK);
        evict_out(vector, PAGE);
        check(pwritev(fd, vector, 64, 0) == 128 * PAGE, "pwritev: %s", strerror(errno));
        check_filled("written", content, 128 * PAGE, 2, 0);
        munmap(block, BLOCK);
        munmap(vector, PAGE);
        munmap(content, BLOCK);
        close(fd);
}

static _Atomic unsigned ticks;

static void on_tick(int signal)
{
        (void)signal;
        atomic_fetch_add(&ticks, 1);
}

/* Signals interrupt the wait for a page within a system call: nothing may be seen of that. */
static void reads_under_signals(void)
{
        struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
        struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
        uint8_t *block = map(BLOCK), *content;
        int fd = new_file(&content);

        fill(content, BLOCK, 2, 0);
        sigaction(SIGALRM, &action, NULL);
        for (int i = 0; i < 4; i++) {
                fill_out(block, BLOCK, 1, 0);
                setitimer(ITIMER_REAL, &often, NULL);
                for (size_t at = 0; at < BLOCK; at += 16 * PAGE)
                        check(pread(fd, block + at, 16 * PAGE, (off_t)at) == 16 * PAGE, "pread: %s", strerror(errno));
                setitimer(ITIMER_REAL, &never, NULL);
                check_filled("what was read", block, BLOCK, 2, 0);
        }
        check(is_native || atomic_load(&ticks) > 0, "no signal came");
        munmap(block, BLOCK);
        munmap(content, BLOCK);
        close(fd);
}

/* --- O_DIRECT -------------------------------------------------------------------------------- */

#define DIRECT_THREADS 2u
#define DIRECT_ROUNDS  40u

struct direct {
        pthread_t thread;
        uint64_t number;
        char name[32];
        uint8_t *block, *shadow; /* paged; never paged */
        const char *wrong;
        int error;
};

/* Reads and writes a file past the page cache, and compares with what goes through it. */
static void *direct_run(void *arg)
{
        struct direct *d = arg;
        int plain = open(d->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int direct = open(d->name, O_RDWR | O_DIRECT | O_CLOEXEC);

        if (plain < 0 || direct < 0) {
                d->error = errno;
                return NULL;
        }
        for (uint64_t round = 0; round < DIRECT_ROUNDS && !d->wrong; round++) {
                uint64_t seed = d->number * 100 + round;

                fill(d->shadow, PART, seed, 0);
                if (pwrite(plain, d->shadow, PART, 0) != PART || fdatasync(plain) < 0)
                        d->wrong = "pwrite";
                else if (pread(direct, d->block, PART, 0) != PART)
                        d->wrong = "pread with O_DIRECT";
                else if (!is_filled(d->block, PART, seed, 0))
                        d->wrong = "what was read with O_DIRECT";
                fill(d->block, PART, seed + 5000, 0);
                if (pwrite(direct, d->block, PART, 0) != PART)
                        d->wrong = "pwrite with O_DIRECT";
                memset(d->shadow, 0, PART);
                if (pread(plain, d->shadow, PART, 0) != PART || !is_filled(d->shadow, PART, seed + 5000, 0))
                        d->wrong = "what was written with O_DIRECT";
                if (!is_filled(d->block, PART, seed + 5000, 0))
                        d->wrong = "what is in memory after O_DIRECT";
                d->error = errno;
        }
        close(plain);
        close(direct);
        unlink(d->name);
        return NULL;
}

/* Rules 3 and 5: pages that a device is about to write to are not taken away. */
static void direct_while_evicting(void)
{
        static struct pressure other;
        struct direct d[DIRECT_THREADS];

        for (unsigned i = 0; i < DIRECT_THREADS; i++) {
                d[i] = (struct direct){ .number = i + 1, .block = map(PART), .shadow = map_shared(PART) };
                snprintf(d[i].name, sizeof(d[i].name), "direct-%u", i);
                fill_out(d[i].block, PART, 1, 0);
        }
        pressure_start(&other);
        for (unsigned i = 0; i < DIRECT_THREADS; i++)
                pthread_create(&d[i].thread, NULL, direct_run, &d[i]);
        for (unsigned i = 0; i < DIRECT_THREADS; i++)
                pthread_join(d[i].thread, NULL);
        pressure_stop(&other);
        for (unsigned i = 0; i < DIRECT_THREADS; i++) {
                if (d[i].wrong)
                        failed("%s is wrong (errno %d)", d[i].wrong, d[i].error);
                else if (d[i].error == EINVAL)
                        skip_case("this file system has no O_DIRECT");
                munmap(d[i].block, PART);
                munmap(d[i].shadow, PART);
        }
}

/* Each transfer finds its buffer out. */
static void direct_evicted(void)
{
        uint8_t *block = map(PART), *shadow = map_shared(PART);
        int plain = open("direct", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int fd = open("direct", O_RDWR | O_DIRECT | O_CLOEXEC);

        if (fd < 0) {
                skip_case("O_DIRECT: %s", strerror(errno));
                return;
        }
        fill_out(block, PART, 1, 0);
        check(pwrite(fd, block, PART, 0) == PART, "pwrite: %s", strerror(errno));
        check(drain(plain, shadow, PART) == PART && is_filled(shadow, PART, 1, 0), "what was written is wrong");
        fill_out(block, PART, 2, 0);
        check(pread(fd, block, PART, 0) == PART, "pread: %s", strerror(errno));
        check_filled("what was read", block, PART, 1, 0);
        munmap(block, PART);
        munmap(shadow, PART);
        close(fd);
        close(plain);
        unlink("direct");
}

/* Linux AIO: orders, completions and buffers are out. */
static void aio(void)
{
        uint8_t *block = map(PART), *content;
        struct iocb *order = (struct iocb *)map(PAGE), **orders = (struct iocb **)map(PAGE);
        struct io_event *event = (struct io_event *)map(PAGE);
        int fd = new_file(&content);
        aio_context_t context = 0;

        if (syscall(SYS_io_setup, 16, &context) < 0) {
                skip_case("io_setup: %s", strerror(errno));
                return;
        }
        fill(content, BLOCK, 2, 0);
        fill(event, PAGE, 3, 0);
        for (unsigned i = 0; i < 16; i++) {
                order[i] = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD,
                                          .aio_fildes = (uint32_t)fd,
                                          .aio_buf = (uintptr_t)(block + i * 4 * PAGE),
                                          .aio_nbytes = 4 * PAGE,
                                          .aio_offset = i * 4 * (int64_t)PAGE };
                orders[i] = &order[i];
        }
        fill_out(block, PART, 1, 0);
        evict_out(order, PAGE);
        evict_out(orders, PAGE);
        evict_out(event, PAGE);
        check(syscall(SYS_io_submit, context, 16l, orders) == 16, "io_submit: %s", strerror(errno));
        check(syscall(SYS_io_getevents, context, 16l, 16l, event, NULL) == 16, "io_getevents: %s", strerror(errno));
        for (unsigned i = 0; i < 16; i++)
                check(event[i].res == 4 * PAGE, "a result is %ld", (long)event[i].res);
        check_filled("what was read", block, 64 * PAGE, 2, 0);
        check_filled("behind it", block + 64 * PAGE, PART - 64 * PAGE, 1, 64);
        syscall(SYS_io_destroy, context);
        munmap(block, PART);
        munmap(content, BLOCK);
        close(fd);
}

/* --- pages in pipes -------------------------------------------------------------------------- */

/* The pipe has the pages themselves, and they go out of the program while it has them. */
static void spliced(unsigned flags)
{
        uint8_t *block = map(PIPE), *shadow = map_shared(PIPE);
        struct iovec vector = { block, PIPE };
        int fd[2], copy[2];

        new_pipe(fd);
        new_pipe(copy);
        fill_out(block, PIPE, 1, 0);
        check(vmsplice(fd[1], &vector, 1, flags) == (ssize_t)PIPE, "vmsplice: %s", strerror(errno));
        check(tee(fd[0], copy[1], PIPE, 0) == (ssize_t)PIPE, "tee: %s", strerror(errno));
        evict_out(block, PIPE);
        check(drain(fd[0], shadow, PIPE) == PIPE && is_filled(shadow, PIPE, 1, 0), "what is in the pipe is wrong");
        evict_out(block, PIPE);
        check(drain(copy[0], shadow, PIPE) == PIPE && is_filled(shadow, PIPE, 1, 0), "what was teed is wrong");
        check_filled("what was spliced", block, PIPE, 1, 0);
        munmap(block, PIPE);
        munmap(shadow, PIPE);
        for (int i = 0; i < 2; i++) {
                close(fd[i]);
                close(copy[i]);
        }
}

static void spliced_plain(void)
{
        spliced(0);
}

static void spliced_gift(void)
{
        spliced(SPLICE_F_GIFT);
}

/* From a pipe to memory; splice and sendfile with their offsets out. */
static void spliced_to(void)
{
        uint8_t *block = map(PIPE), *content, *other;
        struct iovec vector = { block, PIPE };
        off_t *offset = (off_t *)map(PAGE);
        int file = new_file(&content), target = new_file(&other), fd[2];

        new_pipe(fd);
        fill(content, BLOCK, 2, 0);
        fill(block, PIPE, 1, 0);
        offset[0] = PART;
        evict_out(offset, PAGE);
        check(splice(file, offset, fd[1], NULL, PIPE, 0) == (ssize_t)PIPE, "splice: %s", strerror(errno));
        check(offset[0] == (off_t)(PART + PIPE), "the offset is %ld", (long)offset[0]);
        evict_out(block, PIPE);
        check(vmsplice(fd[0], &vector, 1, 0) == (ssize_t)PIPE, "vmsplice: %s", strerror(errno));
        check_filled("what was spliced", block, PIPE, 2, PART / PAGE);
        offset[0] = 2 * PART;
        evict_out(offset, PAGE);
        check(sendfile(target, file, offset, PIPE) == (ssize_t)PIPE, "sendfile: %s", strerror(errno));
        check(offset[0] == (off_t)(2 * PART + PIPE), "the offset is %ld", (long)offset[0]);
        check_filled("what was sent", other, PIPE, 2, 2 * PART / PAGE);
        munmap(block, PIPE);
        munmap(content, BLOCK);
        munmap(other, BLOCK);
        close(file);
        close(target);
        close(fd[0]);
        close(fd[1]);
}

/* --- other things that are written ----------------------------------------------------------- */

static void random_bytes(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check(getrandom(block + PART, PART, 0) == (ssize_t)PART, "getrandom: %s", strerror(errno));
        for (size_t i = PART; i < 2 * PART; i += PAGE)
                check(!is_filled(block + i, PAGE, 1, i / PAGE) && !is_zero(block + i, PAGE), "no random bytes");
        check_filled("before it", block, PART, 1, 0);
        check_filled("behind it", block + 2 * PART, 2 * PART, 1, 2 * PART / PAGE);
        munmap(block, BLOCK);
}

#define POLLED 600u /* pollfds, in more than one page */

static void polls(void)
{
        struct pollfd *fds = (struct pollfd *)map(2 * PAGE);
        struct {
                fd_set read, write;
                struct timeval wait;
        } *set = (void *)map(PAGE);
        struct epoll_event *event = (struct epoll_event *)map(PAGE);
        int fd[2], e = epoll_create1(EPOLL_CLOEXEC);

        new_pipe(fd);
        for (unsigned i = 0; i < POLLED; i++)
                fds[i] = (struct pollfd){ .fd = i % 2 ? fd[1] : fd[0], .events = POLLIN | POLLOUT, .revents = 77 };
        evict_out(fds, 2 * PAGE);
        check(poll(fds, POLLED, 0) == POLLED / 2, "poll: %s", strerror(errno));
        for (unsigned i = 0; i < POLLED; i++)
                check(fds[i].revents == (i % 2 ? POLLOUT : 0), "descriptor %u has %x", i, fds[i].revents);

        check(write(fd[1], "x", 1) == 1, "write: %s", strerror(errno));
        FD_SET(fd[0], &set->read);
        FD_SET(fd[1], &set->write);
        FD_SET(fd[0], &set->write);
        set->wait = (struct timeval){ 5, 0 };
        evict_out(set, PAGE);
        check(select(fd[1] + fd[0] + 1, &set->read, &set->write, NULL, &set->wait) == 2, "select: %s", strerror(errno));
        check(FD_ISSET(fd[0], &set->read) && FD_ISSET(fd[1], &set->write) && !FD_ISSET(fd[0], &set->write),
              "select has other descriptors");

        event[0] = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 0x123456789abcdef };
        event[1] = (struct epoll_event){ .events = EPOLLOUT, .data.u64 = 0xfedcba987654321 };
        evict_out(event, PAGE);
        check_call(epoll_ctl(e, EPOLL_CTL_ADD, fd[0], &event[0]));
        check_call(epoll_ctl(e, EPOLL_CTL_ADD, fd[1], &event[1]));
        memset(event, 0, 2 * sizeof(*event));
        evict_out(event, PAGE);
        check(epoll_wait(e, event, 8, 1000) == 2, "epoll_wait: %s", strerror(errno));
        check((event[0].data.u64 ^ event[1].data.u64) == (0x123456789abcdef ^ 0xfedcba987654321),
              "epoll_wait has others");
        munmap(fds, 2 * PAGE);
        munmap(set, PAGE);
        munmap(event, PAGE);
        close(e);
        close(fd[0]);
        close(fd[1]);
}

/* Each call's result goes to a page that is out, and is compared with the one that goes to the stack. */
static void structures(void)
{
        uint8_t *block = map(16 * PAGE);
        char *path = (char *)block, *name = (char *)(block + PAGE), *link = (char *)(block + 2 * PAGE);
        struct stat *paged_stat = (void *)(block + 3 * PAGE), plain_stat;
        struct utsname *paged_name = (void *)(block + 4 * PAGE), plain_name;
        struct rlimit *paged_limit = (void *)(block + 5 * PAGE), plain_limit;
        cpu_set_t *paged_cpus = (void *)(block + 6 * PAGE), plain_cpus;
        struct timespec *time = (void *)(block + 7 * PAGE);
        siginfo_t *info = (void *)(block + 8 * PAGE);
        struct sigaction *action = (void *)(block + 9 * PAGE);
        int *fd = (int *)(block + 10 * PAGE);
        sigset_t *signals = (void *)(block + 11 * PAGE);
        char *entries = (char *)(block + 12 * PAGE), plain[4096] = "";
        int dir, n, plain_n;

        fill(block, 16 * PAGE, 1, 0);
        memset(entries, 0, 4 * PAGE);
        strcpy(path, "/proc/self");
        sigemptyset(signals);
        sigaddset(signals, SIGUSR1);
        *time = (struct timespec){ 0, 1000 };
        *action = (struct sigaction){ .sa_handler = on_tick };
        evict_out(block, 16 * PAGE);
        check_call(stat(path, paged_stat));
        check_call(stat("/proc/self", &plain_stat));
        check(paged_stat->st_ino == plain_stat.st_ino && paged_stat->st_mode == plain_stat.st_mode, "stat");
        check(syscall(SYS_getcwd, name, PAGE) > 0 && getcwd(plain, sizeof(plain)) && !strcmp(name, plain), "getcwd");
        n = (int)readlink(path, link, PAGE);
        plain_n = (int)readlink("/proc/self", plain, sizeof(plain));
        check(n == plain_n && memcmp(link, plain, (size_t)n) == 0, "readlink");
        check_call(uname(paged_name));
        uname(&plain_name);
        check(strcmp(paged_name->release, plain_name.release) == 0, "uname");
        check_call(getrlimit(RLIMIT_STACK, paged_limit));
        getrlimit(RLIMIT_STACK, &plain_limit);
        check(paged_limit->rlim_cur == plain_limit.rlim_cur, "getrlimit");
        check(sched_getaffinity(0, sizeof(plain_cpus), paged_cpus) == 0 &&
                      sched_getaffinity(0, sizeof(plain_cpus), &plain_cpus) == 0 && CPU_EQUAL(paged_cpus, &plain_cpus),
              "sched_getaffinity");
        check_call(nanosleep(time, time));
        check_call(sigaction(SIGUSR2, action, NULL));
        evict_out(block + 9 * PAGE, PAGE);
        check(sigaction(SIGUSR2, NULL, action) == 0 && action->sa_handler == on_tick, "sigaction");
        check_call(sigprocmask(SIG_BLOCK, signals, NULL));
        kill(getpid(), SIGUSR1);
        evict_out(block + 8 * PAGE, PAGE);
        evict_out(block + 11 * PAGE, PAGE);
        check(sigwaitinfo(signals, info) == SIGUSR1 && info->si_pid == getpid(), "sigwaitinfo: %s", strerror(errno));
        check(pipe2(fd, O_CLOEXEC) == 0 && write(fd[1], "12345", 5) == 5, "pipe2: %s", strerror(errno));
        evict_out(block + 10 * PAGE + 100, PAGE / 2);
        check(ioctl(fd[0], FIONREAD, &fd[2]) == 0 && fd[2] == 5, "FIONREAD: %d", fd[2]);
        close(fd[0]);
        close(fd[1]);
        dir = open("/sys/kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        n = (int)syscall(SYS_getdents64, dir, entries, 4 * PAGE);
        lseek(dir, 0, SEEK_SET);
        memset(plain, 0, sizeof(plain));
        plain_n = (int)syscall(SYS_getdents64, dir, plain, sizeof(plain));
        check(n > 0 && n == plain_n && memcmp(entries, plain, (size_t)n) == 0, "getdents64: %d, %d", n, plain_n);
        close(dir);
        munmap(block, 16 * PAGE);
}

/* Rule 32. The program closes whatever it finds, and puts files of its own there. */
static void all_closed(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(syscall(SYS_close_range, 3u, ~0u, 0u));
        for (int i = 3; i < 40; i++)
                check(dup2(0, i) == i, "dup2: %s", strerror(errno));
        check_filled("all closed", block, BLOCK, 1, 0);
        fill_out(block, BLOCK, 2, 0);
        check_filled("all closed, and out again", block, BLOCK, 2, 0);
        check_call(syscall(SYS_close_range, 3u, ~0u, 0u));
        munmap(block, BLOCK);
}

static const struct paged_case cases[] = {
        { "read(2) to evicted pages", reads_file },
        { "write(2) from evicted pages", writes_file },
        { "pipes", pipes },
        { "preadv, pwritev with evicted vectors", vectors },
        { "read(2) to evicted pages under signals", reads_under_signals },
        { "O_DIRECT with evicted buffers", direct_evicted },
        { "O_DIRECT while pages go out", direct_while_evicting },
        { "io_submit", aio },
        { "vmsplice, tee", spliced_plain },
        { "vmsplice with SPLICE_F_GIFT", spliced_gift },
        { "vmsplice to memory, splice, sendfile", spliced_to },
        { "getrandom", random_bytes },
        { "poll, select, epoll_wait", polls },
        { "arguments and results of other calls", structures },
        { "every descriptor closed", all_closed },
};

int main(int argc, char **argv)
{
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
