/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's part of the protocol, played by a test, with tests/e2e/agent-child under the preload library as its
 * client. The library and the program are found beside the test (an out-of-tree build's layout), or where
 * PRELOAD_SO and AGENT_CHILD say. Whatever is waited for has a deadline of RIG_MS, and the child ends with the test.
 */
#ifndef TESTS_AGENT_RIG_H
#define TESTS_AGENT_RIG_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vmpager/protocol.h>
#include <vmpager/ring.h>
#include <vmpager/uffd-compat.h>

#include "../e2e/agent-pattern.h"
#include "temp-dir.h"

#define RIG_MS    20000
#define RIG_SLOTS 1024u

struct rig {
        pid_t pid;
        FILE *to, *from; /* the child's stdin and stdout */
        int errors;      /* its stderr */
        int listener, sock, uffd, event;
        uint64_t features; /* for UFFDIO_API */
        struct vmpager_register reg;
        struct vmpager_ring *ring;
        char begin[4096]; /* what the child said when it began */
};

static inline const char *rig_file(const char *variable, const char *beside)
{
        static char path[2][PATH_MAX];
        static unsigned turn;
        char *p = path[turn++ % 2];
        ssize_t n;

        if (getenv(variable))
                return getenv(variable);
        n = readlink("/proc/self/exe", p, PATH_MAX / 2);
        ck_assert_int_gt(n, 0);
        p[n] = '\0';
        snprintf(strrchr(p, '/') + 1, PATH_MAX / 2, "%s", beside);
        return p;
}

#define RIG_LIBRARY rig_file("PRELOAD_SO", "../../libvmpager-preload.so")
#define RIG_CHILD   rig_file("AGENT_CHILD", "../e2e/agent-child")

/* NULL when the tests can run, otherwise why not. */
static inline const char *rig_missing(void)
{
        if (geteuid() != 0)
                return "not root";
        if (access("/dev/userfaultfd", R_OK | W_OK) < 0)
                return "no /dev/userfaultfd";
        return NULL;
}

static inline void rig_wait_readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        ck_assert_msg(poll(&p, 1, RIG_MS) == 1, "nothing came on descriptor %d", fd);
}

static inline char *rig_socket(void)
{
        return temp_path(VMPAGER_SOCKET_NAME);
}

static inline void rig_listen(struct rig *rig)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *rig = (struct rig){ .listener = -1, .sock = -1, .uffd = -1, .event = -1,
                             .features = UFFD_FEATURE_MOVE | UFFD_FEATURE_PAGEFAULT_FLAG_WP |
                                         UFFD_FEATURE_WP_UNPOPULATED };
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig_socket());
        unlink(address.sun_path);
        rig->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(rig->listener, 0);
        ck_assert_int_eq(bind(rig->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(rig->listener, 8), 0);
        ck_assert_int_eq(chmod(address.sun_path, 0666), 0);
}

/* Starts program with just that environment; uid 0 leaves it as it is. */
static inline void rig_exec(struct rig *rig, const char *program, char *const env[], uid_t uid)
{
        int in[2], out[2], err[2];

        ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
        rig->pid = fork();
        ck_assert_int_ge(rig->pid, 0);
        if (rig->pid == 0) {
                char *argv[] = { (char *)"agent-child", NULL };

                if (uid && (setgid(uid) < 0 || setuid(uid) < 0))
                        _exit(126);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(in[0], 0);
                dup2(out[1], 1);
                dup2(err[1], 2);
                close_range(3, ~0U, 0);
                execve(program, argv, env);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        rig->to = fdopen(in[1], "we");
        rig->from = fdopen(out[0], "re");
        rig->errors = err[0];
        setvbuf(rig->to, NULL, _IOLBF, 0);
        setvbuf(rig->from, NULL, _IONBF, 0);
}

/* Starts agent-child with the library and VMPAGER_SOCKET, and one more variable unless it is NULL. */
static inline void rig_spawn(struct rig *rig, const char *variable)
{
        char preload[PATH_MAX + 16], name[PATH_MAX + 16];
        char *env[] = { preload, name, (char *)variable, NULL };

        snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", RIG_LIBRARY);
        snprintf(name, sizeof(name), "VMPAGER_SOCKET=%s", rig_socket());
        rig_exec(rig, RIG_CHILD, env, 0);
}

static inline void rig_send(struct rig *rig, void *message, size_t size, enum vmpager_msg_type type, int fd)
{
        struct vmpager_hdr *hdr = message;
        struct iovec iov = { message, size };
        union {
                struct cmsghdr hdr;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .bytes = { 0 } };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (!hdr->magic)
                *hdr = (struct vmpager_hdr){ VMPAGER_MAGIC, VMPAGER_PROTOCOL_MAJOR, VMPAGER_PROTOCOL_MINOR,
                                             (uint16_t)type, 0, (uint32_t)size };
        if (fd >= 0) {
                control.hdr.cmsg_level = SOL_SOCKET;
                control.hdr.cmsg_type = SCM_RIGHTS;
                control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control);
        }
        ck_assert_int_eq(sendmsg(rig->sock, &msg, MSG_NOSIGNAL), size);
}

/* Receives one message of just that type and size; returns how many descriptors came. */
static inline unsigned rig_receive(struct rig *rig, void *message, size_t size, enum vmpager_msg_type type, int fds[4])
{
        struct iovec iov = { message, size };
        union {
                struct cmsghdr hdr;
                char bytes[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        struct vmpager_hdr *hdr = message;
        struct cmsghdr *c;

        rig_wait_readable(rig->sock);
        ck_assert_int_eq(recvmsg(rig->sock, &msg, MSG_CMSG_CLOEXEC), size);
        ck_assert_uint_eq(hdr->magic, VMPAGER_MAGIC);
        ck_assert_uint_eq(hdr->type, type);
        ck_assert_uint_eq(hdr->size, size);
        c = CMSG_FIRSTHDR(&msg);
        if (!c)
                return 0;
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        return (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static inline void rig_accept(struct rig *rig)
{
        struct vmpager_hello hello;
        int fds[4];

        rig_wait_readable(rig->listener);
        rig->sock = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_ge(rig->sock, 0);
        ck_assert_uint_eq(rig_receive(rig, &hello, sizeof(hello), VMPAGER_HELLO, fds), 0);
        ck_assert_uint_eq(hello.page_size, VMPAGER_PAGE);
}

static inline void rig_offer(struct rig *rig)
{
        struct vmpager_offer offer = { .ring_bytes = VMPAGER_RING_BYTES(RIG_SLOTS),
                                       .staging_pages = VMPAGER_BATCH_PAGES };
        int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

        ck_assert_int_ge(device, 0);
        rig_send(rig, &offer, sizeof(offer), VMPAGER_OFFER, device);
        close(device);
}

static inline void rig_register(struct rig *rig)
{
        struct uffdio_api api = { .api = UFFD_API, .features = rig->features };
        int fds[4];

        ck_assert_uint_eq(rig_receive(rig, &rig->reg, sizeof(rig->reg), VMPAGER_REGISTER, fds), 3);
        rig->uffd = fds[0];
        rig->event = fds[2];
        ck_assert_int_eq(ioctl(rig->uffd, UFFDIO_API, &api), 0);
        ck_assert_int_eq(fcntl(fds[1], F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
        rig->ring = mmap(NULL, VMPAGER_RING_BYTES(RIG_SLOTS), PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
        ck_assert_ptr_ne(rig->ring, MAP_FAILED);
        close(fds[1]);
        rig->ring->magic = VMPAGER_RING_MAGIC;
        rig->ring->n_slots = RIG_SLOTS;
        rig->ring->slots_at = VMPAGER_RING_SLOTS_AT;
}

static inline void rig_begin(struct rig *rig)
{
        rig_wait_readable(fileno(rig->from));
        ck_assert_ptr_nonnull(fgets(rig->begin, sizeof(rig->begin), rig->from));
}

/* From the accept to READY and the child's first line. */
static inline void rig_handshake(struct rig *rig)
{
        struct vmpager_ready ready = { .limit_bytes = 1 << 30 };

        rig_accept(rig);
        rig_offer(rig);
        rig_register(rig);
        rig_send(rig, &ready, sizeof(ready), VMPAGER_READY, -1);
        rig_begin(rig);
}

static inline void rig_start(struct rig *rig, uint64_t features)
{
        rig_listen(rig);
        rig->features |= features;
        rig_spawn(rig, NULL);
        rig_handshake(rig);
}

static inline void rig_tell(struct rig *rig, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vfprintf(rig->to, format, ap);
        va_end(ap);
        fputc('\n', rig->to);
}

static inline char *rig_answer(struct rig *rig)
{
        static char line[256];

        rig_wait_readable(fileno(rig->from));
        ck_assert_ptr_nonnull(fgets(line, sizeof(line), rig->from));
        line[strcspn(line, "\n")] = '\0';
        return line;
}

#define rig_do(rig, ...)                                        \
        do {                                                    \
                rig_tell((rig), __VA_ARGS__);                   \
                ck_assert_str_eq(rig_answer(rig), "ok");        \
        } while (0)

/* Maps and fills pages in the child and registers them, as the daemon would before it evicts from them. */
static inline uint64_t rig_map(struct rig *rig, unsigned pages, unsigned seed)
{
        uint64_t address;

        rig_tell(rig, "map %u %u", pages, seed);
        address = strtoull(rig_answer(rig), NULL, 10);
        ck_assert_uint_ne(address, 0);
        return address;
}

static inline void rig_watch(struct rig *rig, uint64_t address, unsigned pages)
{
        struct uffdio_register reg = { .range = { address, pages * PAGE },
                                       .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP };

        ck_assert_int_eq(ioctl(rig->uffd, UFFDIO_REGISTER, &reg), 0);
}

/* Number of the next batch, to be filled in and posted. */
static inline struct vmpager_batch *rig_batch(struct rig *rig, unsigned first_slot)
{
        struct vmpager_batch *b = &rig->ring->batch[rig->ring->posted % VMPAGER_RING_BATCHES];

        memset(b, 0, sizeof(*b));
        b->epoch = rig->ring->epoch;
        b->first_slot = first_slot;
        return b;
}

static inline void rig_add_run(struct vmpager_batch *b, uint64_t address, unsigned pages)
{
        b->run[b->n_runs++] = (struct vmpager_run){ .addr = address, .pages = pages };
        b->n_pages += pages;
}

static inline void rig_wake(_Atomic uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static inline void rig_post(struct rig *rig)
{
        atomic_fetch_add(&rig->ring->posted, 1);
        rig_wake(&rig->ring->posted);
}

static inline void rig_wait_event(struct rig *rig)
{
        uint64_t n;

        rig_wait_readable(rig->event);
        ck_assert_int_eq(read(rig->event, &n, sizeof(n)), sizeof(n));
}

/* Waits until all that was posted is completed. */
static inline void rig_wait_completed(struct rig *rig)
{
        while (atomic_load(&rig->ring->completed) != atomic_load(&rig->ring->posted))
                rig_wait_event(rig);
}

static inline void rig_evict(struct rig *rig)
{
        rig_post(rig);
        rig_wait_completed(rig);
}

static inline void *rig_slot(struct rig *rig, unsigned slot)
{
        return (uint8_t *)rig->ring + VMPAGER_RING_SLOTS_AT + (size_t)slot * PAGE;
}

/* Whether the child has a page there, by its pagemap. */
static inline bool rig_present(const struct rig *rig, uint64_t address)
{
        char path[64];
        uint64_t entry = 0;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/pagemap", rig->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pread(fd, &entry, sizeof(entry), (off_t)(address / PAGE * sizeof(entry))), sizeof(entry));
        close(fd);
        return entry >> 63;
}

/* What the child wrote to stderr until it closed it, and its exit status. */
static inline int rig_end(struct rig *rig, char *text, size_t size)
{
        size_t at = 0;
        int status;
        ssize_t n;

        fclose(rig->to);
        do {
                rig_wait_readable(rig->errors);
                n = read(rig->errors, text + at, size - 1 - at);
                ck_assert_int_ge(n, 0);
                at += (size_t)n;
        } while (n > 0 && at + 1 < size);
        text[at] = '\0';
        ck_assert_int_eq(waitpid(rig->pid, &status, 0), rig->pid);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

#endif
