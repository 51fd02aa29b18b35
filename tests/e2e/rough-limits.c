// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that leave themselves next to nothing: resource limits, a userfaultfd of their own in the midst, an address
 * space without chance, memory that cannot be moved. See rough.h.
 */
#include "rough.h"

#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/uio.h>

static void lower(int resource, rlim_t to)
{
        struct rlimit limit = { to, to };

        rough_must(setrlimit(resource, &limit) == 0);
}

static void few_files(void)
{
        lower(RLIMIT_NOFILE, 0);
        rough_must(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
}

static void little_address_space(void)
{
        lower(RLIMIT_AS, 4096);
        rough_must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
}

static void nothing_locked(void)
{
        lower(RLIMIT_MEMLOCK, 0);
}

static void *idle(void *arg)
{
        return arg;
}

/* As another user: root is not bound by it. */
static void few_processes(void)
{
        pthread_t thread;

        lower(RLIMIT_NPROC, 1);
        rough_must(setresuid(65533, 65533, 65533) == 0);
        rough_must(pthread_create(&thread, NULL, idle, NULL) == EAGAIN);
}

static void all_little(void)
{
        few_files();
        nothing_locked();
        lower(RLIMIT_DATA, 0);
        lower(RLIMIT_FSIZE, 0);
        lower(RLIMIT_SIGPENDING, 0);
        lower(RLIMIT_MSGQUEUE, 0);
        little_address_space();
}

/* How deep a stack grows whose limit was set while the program runs: 6 MiB are used. */
static __attribute__((noinline)) uint64_t deep(unsigned frames)
{
        volatile uint64_t frame[PAGE / sizeof(uint64_t)];

        for (size_t i = 0; i < PAGE / sizeof(uint64_t); i++)
                frame[i] = frames + i;
        return (frames ? deep(frames - 1) : 0) + frame[17] - 17 - frames;
}

static void stack(void)
{
        struct rlimit limit;

        rough_must(getrlimit(RLIMIT_STACK, &limit) == 0);
        limit.rlim_cur = 7 << 20;
        rough_must(setrlimit(RLIMIT_STACK, &limit) == 0);
        for (int i = 0; i < 3; i++) {
                rough_must(deep(1500) == 0);
                rough_pass(&part[0]);
        }
        limit.rlim_cur = 64 << 10;
        rough_must(setrlimit(RLIMIT_STACK, &limit) == 0);
}

/* Started by setarch(8). */
static void not_random(void)
{
        rough_must(personality(0xffffffff) & ADDR_NO_RANDOMIZE);
        rough_must(personality(ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT) >= 0);
        rough_must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

/* --- memory that cannot be moved, four times the limit ----------------------------------------------------- */

static void locked(void)
{
        rough_must(mlock(memory, n_pages * PAGE) == 0);
}

static void all_locked(void)
{
        rough_must(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
        rough_pass(&part[0]);
        rough_must(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

/* Locked and let go, again and again: what can be moved again is. */
static void locked_at_times(void)
{
        for (int i = 0; i < 3; i++) {
                locked();
                rough_pass(&part[0]);
                rough_must(munlock(memory, n_pages * PAGE) == 0);
                rough_pass(&part[0]);
        }
}

/* Pinned for I/O, as a buffer of an io_uring. */
static void pinned(void)
{
        struct iovec iov = { memory, n_pages * PAGE };
        struct io_uring_params params = { 0 };
        int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

        rough_must(ring >= 0);
        rough_must(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1) == 0);
}

/* --- a userfaultfd of its own ------------------------------------------------------------------------------ */

#define OWN_PAGES 4096ul /* as much as the limit */

static int own_fd;
static uint64_t *own;

static uint64_t own_word(uint64_t page, uint64_t word)
{
        return (page * WORDS + word) * UINT64_C(0xd6e8feb86659fd93) + 1;
}

/* Answers OWN_PAGES faults. Its buffer is memory that vmpager pages. */
static void *own_handler(void *arg)
{
        uint64_t *buffer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        rough_must(buffer != MAP_FAILED);
        for (unsigned long n = 0; n < OWN_PAGES;) {
                struct uffdio_copy copy = { .len = PAGE, .src = (uintptr_t)buffer };
                struct uffd_msg msg;

                rough_must(read(own_fd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_PAGEFAULT);
                copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
                for (uint64_t w = 0; w < WORDS; w++)
                        buffer[w] = own_word((copy.dst - (uintptr_t)own) / PAGE, w);
                if (ioctl(own_fd, UFFDIO_COPY, &copy) == 0)
                        n++;
                else
                        rough_must(errno == EEXIST); /* a thread that was interrupted asks twice */
        }
        munmap(buffer, PAGE);
        return arg;
}

static void own_check(void)
{
        for (uint64_t p = 0; p < OWN_PAGES; p++)
                for (uint64_t w = 0; w < WORDS; w++)
                        rough_must(own[p * WORDS + w] == own_word(p, w));
}

/* A new range, registered with it. False when something else is registered there already. */
static bool own_register(void)
{
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

        own = mmap(NULL, OWN_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        rough_must(own != MAP_FAILED);
        reg.range.start = (uintptr_t)own;
        reg.range.len = OWN_PAGES * PAGE;
        if (ioctl(own_fd, UFFDIO_REGISTER, &reg) == 0)
                return true;
        rough_must(errno == EBUSY && munmap(own, OWN_PAGES * PAGE) == 0);
        return false;
}

static void own_open(void)
{
        struct uffdio_api api = { .api = UFFD_API };

        own_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
        rough_must(own_fd >= 0 && ioctl(own_fd, UFFDIO_API, &api) == 0);
}

/*
 * The range's faults come to the program, and to it alone; none of its pages are evicted, or they would come a second
 * time, which nobody answers.
 */
static void own_work(void)
{
        pthread_t handler;

        rough_must((errno = pthread_create(&handler, NULL, own_handler, NULL)) == 0);
        own_check();
        rough_must((errno = pthread_join(handler, NULL)) == 0);
        rough_pass(&part[0]);
        own_check();
}

/* Before the program comes near its limit: main() calls own_open() and own_register(). */
static void own_early(void)
{
        own_work();
}

/*
 * At the limit the daemon registers each new mapping as soon as it sees it, and the kernel has one userfaultfd for
 * each: the program is told EBUSY then. It tries with new mappings; how often it had to is in said[1].
 */
static void own_late(void)
{
        own_open();
        while (!own_register())
                rough_must(++control->said[1] < 1000);
        own_work();
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "files", 1, few_files },
                { "address-space", 1, little_address_space },
                { "locked", 1, nothing_locked },
                { "processes", 1, few_processes },
                { "all", 2, all_little },
                { "stack", 1, stack },
                { "not-random", 1, not_random },
                { "mlock", 2, locked },
                { "mlockall", 1, all_locked },
                { "mlock-at-times", 1, locked_at_times },
                { "pinned", 1, pinned },
                { "own-userfaultfd", 1, own_early },
                { "own-userfaultfd-late", 1, own_late },
        };

        if (argc == 4 && strcmp(argv[1], "own-userfaultfd") == 0) {
                rough_open(argv[2], argv[3]);
                own_open();
                rough_must(own_register());
        }
        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
