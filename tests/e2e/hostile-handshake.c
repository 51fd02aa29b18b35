// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients whose handshake is wrong, in every part of it: each has to be refused, or hung up on, with a reason.
 *
 *     hostile-handshake CASE SOCKET
 *
 * Prints what the daemon answered: its refusal, "hung up", or "taken". See hostile.h.
 */
#include "hostile.h"

#include <sys/resource.h>

static const char *path;
static struct hostile h;

static void tell(int type)
{
        if (type == VMPAGER_READY)
                puts("taken");
        else if (type == VMPAGER_REFUSE)
                printf("refused: %s\n", h.refused);
        else
                puts(type ? "something else" : "hung up");
}

static void say(const void *bytes, size_t size, const int *fds, size_t n)
{
        h.sock = hostile_connect(path);
        must(hostile_send(h.sock, bytes, size, fds, n) == (ssize_t)size);
        tell(hostile_receive(&h, NULL, 0, NULL));
}

static void garbage(void)
{
        char bytes[200];

        memset(bytes, 0x5a, sizeof(bytes));
        say(bytes, sizeof(bytes), NULL, 0);
}

static void one_byte(void)
{
        say("V", 1, NULL, 0);
}

static void too_long(void)
{
        static char bytes[100000];
        struct vmpager_hdr hdr = hostile_header(VMPAGER_HELLO, sizeof(bytes));

        memcpy(bytes, &hdr, sizeof(hdr));
        say(bytes, sizeof(bytes), NULL, 0);
}

static void short_hello(void)
{
        struct vmpager_hdr hdr = hostile_header(VMPAGER_HELLO, sizeof(hdr));

        say(&hdr, sizeof(hdr), NULL, 0);
}

static void other_size(void)
{
        struct vmpager_hello hello = { hostile_header(VMPAGER_HELLO, 4000000000u), VMPAGER_PAGE, 0 };

        say(&hello, sizeof(hello), NULL, 0);
}

static void other_pages(void)
{
        struct vmpager_hello hello = { hostile_header(VMPAGER_HELLO, sizeof(hello)), 65536, 0 };

        say(&hello, sizeof(hello), NULL, 0);
}

static void early_register(void)
{
        struct vmpager_register reg = { .hdr = hostile_header(VMPAGER_REGISTER, sizeof(reg)) };
        int fds[] = { 0, 1, 2 };

        say(&reg, sizeof(reg), fds, 3);
}

static void second_hello(void)
{
        struct vmpager_hello hello = { hostile_header(VMPAGER_HELLO, sizeof(hello)), VMPAGER_PAGE, 0 };

        hostile_hello(&h, path);
        must(hostile_send(h.sock, &hello, sizeof(hello), NULL, 0) == sizeof(hello));
        tell(hostile_receive(&h, NULL, 0, NULL));
}

/* REGISTER as it should be, but for one descriptor, or the number of them. */
static void with(int which, int fd, size_t n)
{
        struct vmpager_register reg;
        int fds[8];

        reg = hostile_message(&h);
        fds[0] = h.uffd;
        fds[1] = h.memfd;
        fds[2] = h.event;
        for (size_t i = 3; i < 8; i++)
                fds[i] = h.event;
        if (which >= 0)
                fds[which] = fd;
        tell(hostile_register(&h, &reg, fds, n));
}

static int fifo(void)
{
        int ends[2];

        must(pipe(ends) == 0);
        return ends[0];
}

static void no_descriptors(void)
{
        hostile_prepare(&h, path);
        with(-1, -1, 0);
}

static void two_descriptors(void)
{
        hostile_prepare(&h, path);
        with(-1, -1, 2);
}

static void many_descriptors(void)
{
        hostile_prepare(&h, path);
        with(-1, -1, 8);
}

static void pipe_for_userfaultfd(void)
{
        hostile_prepare(&h, path);
        with(0, fifo(), 3);
}

static void device_for_userfaultfd(void)
{
        int device;

        hostile_prepare(&h, path);
        device = open("/dev/zero", O_RDWR | O_CLOEXEC);
        with(0, device, 3);
}

static void pipe_for_eventfd(void)
{
        hostile_prepare(&h, path);
        with(2, fifo(), 3);
}

static void userfaultfd_for_eventfd(void)
{
        hostile_prepare(&h, path);
        with(2, h.uffd, 3);
}

static void pipe_for_ring(void)
{
        hostile_prepare(&h, path);
        with(1, fifo(), 3);
}

static void file_for_ring(void)
{
        char name[] = "/var/tmp/hostile-XXXXXX";
        int fd = mkstemp(name);

        must(fd >= 0);
        unlink(name);
        hostile_prepare(&h, path);
        must(ftruncate(fd, (off_t)h.offer.ring_bytes) == 0);
        with(1, fd, 3);
}

static void path_for_ring(void)
{
        hostile_prepare(&h, path);
        with(1, open("/", O_PATH | O_CLOEXEC), 3);
}

static void small_ring(void)
{
        hostile_prepare(&h, path);
        with(1, hostile_memfd(h.offer.ring_bytes - VMPAGER_PAGE, F_SEAL_SHRINK | F_SEAL_GROW), 3);
}

static void large_ring(void)
{
        hostile_prepare(&h, path);
        with(1, hostile_memfd(h.offer.ring_bytes << 20, F_SEAL_SHRINK | F_SEAL_GROW), 3);
}

static void unsealed_ring(void)
{
        hostile_prepare(&h, path);
        with(1, hostile_memfd(h.offer.ring_bytes, 0), 3);
}

static void ring_that_shrinks(void)
{
        hostile_prepare(&h, path);
        with(1, hostile_memfd(h.offer.ring_bytes, F_SEAL_GROW), 3);
}

static void ring_not_to_be_written(void)
{
        hostile_prepare(&h, path);
        with(1, hostile_memfd(h.offer.ring_bytes, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 3);
}

static void ring_for_reading(void)
{
        char name[64];

        hostile_prepare(&h, path);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", h.memfd);
        with(1, open(name, O_RDONLY | O_CLOEXEC), 3);
}

static void used_userfaultfd(void)
{
        struct uffdio_api api = { .api = UFFD_API };

        hostile_prepare(&h, path);
        must(ioctl(h.uffd, UFFDIO_API, &api) == 0);
        with(-1, -1, 3);
}

static void excluded(uint32_t n, uint64_t start, uint64_t end)
{
        struct vmpager_register reg;
        int fds[3];

        hostile_prepare(&h, path);
        reg = hostile_message(&h);
        reg.n_excluded = n;
        reg.excluded[0] = (struct vmpager_range){ start, end };
        fds[0] = h.uffd;
        fds[1] = h.memfd;
        fds[2] = h.event;
        tell(hostile_register(&h, &reg, fds, 3));
}

static void many_excluded(void)
{
        excluded(UINT32_MAX, 0, UINT64_MAX);
}

static void excluded_backwards(void)
{
        excluded(1, 1 << 30, 1 << 20);
}

static void all_excluded(void)
{
        excluded(1, 0, UINT64_MAX);
}

/* The same userfaultfd for two connections. */
static void same_userfaultfd(void)
{
        struct hostile first;

        hostile_join(&first, path);
        hostile_prepare(&h, path);
        with(0, first.uffd, 3);
}

/* READY, and then another message. */
static void more_after_ready(void)
{
        struct vmpager_register reg;

        hostile_join(&h, path);
        reg = hostile_message(&h);
        must(hostile_send(h.sock, &reg, sizeof(reg), NULL, 0) == sizeof(reg));
        tell(hostile_receive(&h, NULL, 0, NULL));
}

static void nothing(void)
{
        hostile_connect(path);
}

static void half(void)
{
        hostile_hello(&h, path);
}

/* As many as this process may have, of both kinds, and stays until it is killed. */
static void crowd(void)
{
        struct rlimit limit = { 800, 800 };

        must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        for (int i = 0; i < 200; i++) {
                nothing();
                half();
        }
        puts("there");
        fflush(stdout);
        for (;;)
                pause();
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(void);
        } cases[] = {
                { "garbage", garbage },
                { "one-byte", one_byte },
                { "too-long", too_long },
                { "short-hello", short_hello },
                { "other-size", other_size },
                { "other-pages", other_pages },
                { "early-register", early_register },
                { "second-hello", second_hello },
                { "no-descriptors", no_descriptors },
                { "two-descriptors", two_descriptors },
                { "many-descriptors", many_descriptors },
                { "pipe-for-userfaultfd", pipe_for_userfaultfd },
                { "device-for-userfaultfd", device_for_userfaultfd },
                { "pipe-for-eventfd", pipe_for_eventfd },
                { "userfaultfd-for-eventfd", userfaultfd_for_eventfd },
                { "pipe-for-ring", pipe_for_ring },
                { "file-for-ring", file_for_ring },
                { "path-for-ring", path_for_ring },
                { "small-ring", small_ring },
                { "large-ring", large_ring },
                { "unsealed-ring", unsealed_ring },
                { "ring-that-shrinks", ring_that_shrinks },
                { "ring-not-to-be-written", ring_not_to_be_written },
                { "ring-for-reading", ring_for_reading },
                { "used-userfaultfd", used_userfaultfd },
                { "same-userfaultfd", same_userfaultfd },
                { "many-excluded", many_excluded },
                { "excluded-backwards", excluded_backwards },
                { "all-excluded", all_excluded },
                { "more-after-ready", more_after_ready },
                { "crowd", crowd },
        };

        if (argc != 3) {
                fprintf(stderr, "usage: hostile-handshake CASE SOCKET\n");
                return 2;
        }
        path = argv[2];
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (strcmp(argv[1], cases[i].name) == 0) {
                        cases[i].run();
                        return 0;
                }
        fprintf(stderr, "hostile-handshake: there is no case %s\n", argv[1]);
        return 2;
}
