/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring with buffers, orders and registrations in memory whose pages are out of the program (see paged.h). Files are
 * made in the working directory.
 */
#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "paged.h"

#define BLOCK   (2 * MIB)
#define ENTRIES 32u
#define SLICE   (BLOCK / ENTRIES)

static int file = -1; /* BLOCK bytes, open with O_DIRECT where that can be had */

static bool have_ring(struct io_uring *ring, unsigned flags)
{
        int r = io_uring_queue_init(ENTRIES, ring, flags);

        if (r < 0)
                skip_case("io_uring: %s", strerror(-r));
        return r == 0;
}

/* The file has the bytes of this seed. */
static void write_file(uint64_t seed)
{
        uint8_t *shadow = map_shared(BLOCK);

        fill(shadow, BLOCK, seed, 0);
        check(pwrite(file, shadow, BLOCK, 0) == BLOCK, "pwrite: %s", strerror(errno));
        munmap(shadow, BLOCK);
}

static void check_file(uint64_t seed)
{
        uint8_t *shadow = map_shared(BLOCK);

        check(pread(file, shadow, BLOCK, 0) == BLOCK, "pread: %s", strerror(errno));
        check_filled("the file", shadow, BLOCK, seed, 0);
        munmap(shadow, BLOCK);
}

/* One transfer of the whole block in slices, at once. */
static void transfer(struct io_uring *ring, uint8_t *block, bool write, bool fixed, unsigned flags)
{
        for (unsigned i = 0; i < ENTRIES; i++) {
                struct io_uring_sqe *e = io_uring_get_sqe(ring);

                if (fixed && write)
                        io_uring_prep_write_fixed(e, file, block + i * SLICE, SLICE, i * SLICE, 0);
                else if (fixed)
                        io_uring_prep_read_fixed(e, file, block + i * SLICE, SLICE, i * SLICE, 0);
                else if (write)
                        io_uring_prep_write(e, file, block + i * SLICE, SLICE, i * SLICE);
                else
                        io_uring_prep_read(e, file, block + i * SLICE, SLICE, i * SLICE);
                e->flags |= (uint8_t)flags;
        }
        io_uring_submit(ring);
        for (unsigned i = 0; i < ENTRIES; i++) {
                struct io_uring_cqe *c;

                if (io_uring_wait_cqe(ring, &c) < 0) {
                        failed("io_uring_wait_cqe");
                        return;
                }
                check(c->res == (int)SLICE, "a transfer: %d", c->res);
                io_uring_cqe_seen(ring, c);
        }
}

static void round_trips(unsigned setup, unsigned flags)
{
        uint8_t *block = map(BLOCK);
        struct io_uring ring;

        if (!have_ring(&ring, setup))
                return;
        for (uint64_t round = 1; round <= 4; round++) {
                fill_out(block, BLOCK, round, 0);
                transfer(&ring, block, true, false, flags);
                check_file(round);
                write_file(round + 50);
                evict_out(block, BLOCK);
                transfer(&ring, block, false, false, flags);
                check_filled("what was read", block, BLOCK, round + 50, 0);
        }
        io_uring_queue_exit(&ring);
        munmap(block, BLOCK);
}

static void plain(void)
{
        round_trips(0, 0);
}

/* By a thread of the kernel's, on behalf of the program. */
static void by_workers(void)
{
        round_trips(0, IOSQE_ASYNC);
}

static void by_poller(void)
{
        round_trips(IORING_SETUP_SQPOLL, 0);
}

static long n_in(const uint8_t *block)
{
        return n_present(block, BLOCK);
}

/* Rules 3 and 5: registered buffers are pinned; they stay, and what is read to them is seen. */
static void fixed_buffers(void)
{
        static struct pressure other;
        uint8_t *block = map(BLOCK);
        struct iovec *vector = (struct iovec *)map(PAGE);
        struct io_uring ring;
        int r;

        if (!have_ring(&ring, 0))
                return;
        fill(block, BLOCK, 1, 0);
        *vector = (struct iovec){ block, BLOCK };
        evict_out(block, BLOCK);
        evict_out(vector, PAGE);
        r = io_uring_register_buffers(&ring, vector, 1);
        if (r < 0) {
                skip_case("no buffers can be registered: %s", strerror(-r));
                return;
        }
        check(n_in(block) == BLOCK / PAGE, "%ld pages of the buffer came in", n_in(block));
        check_filled("registered", block, BLOCK, 1, 0);
        pressure_start(&other);
        for (uint64_t round = 1; round <= 30 && !has_failed; round++) {
                write_file(round + 50);
                transfer(&ring, block, false, true, 0);
                check_filled("what was read", block, BLOCK, round + 50, 0);
                fill(block, BLOCK, round + 100, 0);
                transfer(&ring, block, true, true, 0);
                check_file(round + 100);
        }
        pressure_stop(&other);
        check(n_in(block) == BLOCK / PAGE, "%ld pages of the buffer stayed", n_in(block));
        io_uring_unregister_buffers(&ring);
        io_uring_queue_exit(&ring);
        evict_out(block, BLOCK);
        check_filled("no longer registered", block, BLOCK, 130, 0);
        munmap(block, BLOCK);
        munmap(vector, PAGE);
}

/* The kernel picks one of the buffers in a ring of them, which is in memory that was out when it was registered. */
static void provided_buffers(void)
{
        struct io_uring_buf_ring *buffers = (struct io_uring_buf_ring *)map(PAGE);
        struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)buffers, .ring_entries = ENTRIES, .bgid = 3 };
        uint8_t *block = map(BLOCK);
        struct io_uring ring;
        int fd[2], r;

        if (!have_ring(&ring, 0))
                return;
        fill(buffers, PAGE, 3, 0);
        evict_out(buffers, PAGE);
        r = io_uring_register_buf_ring(&ring, &reg, 0);
        if (r < 0) {
                skip_case("no ring of buffers can be registered: %s", strerror(-r));
                return;
        }
        io_uring_buf_ring_init(buffers);
        for (unsigned i = 0; i < ENTRIES; i++)
                io_uring_buf_ring_add(buffers, block + i * SLICE, SLICE, (uint16_t)i, ENTRIES - 1, (int)i);
        io_uring_buf_ring_advance(buffers, ENTRIES);
        fill_out(block, BLOCK, 1, 0);
        check_call(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
        for (unsigned i = 0; i < 8; i++) {
                struct io_uring_sqe *e = io_uring_get_sqe(&ring);
                uint8_t *shadow = map_shared(4 * PAGE);
                struct io_uring_cqe *c;

                fill(shadow, 4 * PAGE, 2, 4 * i);
                io_uring_prep_recv(e, fd[1], NULL, 4 * PAGE, MSG_WAITALL);
                e->flags |= IOSQE_BUFFER_SELECT;
                e->buf_group = 3;
                io_uring_submit(&ring);
                check(write(fd[0], shadow, 4 * PAGE) == 4 * PAGE, "write: %s", strerror(errno));
                r = io_uring_wait_cqe(&ring, &c);
                if (r < 0 || c->res != (int)(4 * PAGE) || !(c->flags & IORING_CQE_F_BUFFER)) {
                        failed("recv: %d", r < 0 ? r : c->res);
                } else {
                        size_t number = c->flags >> IORING_CQE_BUFFER_SHIFT;

                        check_filled("what came", block + number * SLICE, 4 * PAGE, 2, 4 * i);
                        check_filled("behind it", block + number * SLICE + 4 * PAGE, SLICE - 4 * PAGE, 1,
                                     number * SLICE / PAGE + 4);
                        io_uring_cqe_seen(&ring, c);
                }
                munmap(shadow, 4 * PAGE);
                pressure_step(&pressure);
        }
        close(fd[0]);
        close(fd[1]);
        io_uring_queue_exit(&ring);
        munmap(block, BLOCK);
        munmap(buffers, PAGE);
}

static const struct paged_case cases[] = {
        { "io_uring with evicted buffers", plain },
        { "io_uring by its workers", by_workers },
        { "io_uring with IORING_SETUP_SQPOLL", by_poller },
        { "io_uring with fixed buffers while pages go out", fixed_buffers },
        { "io_uring with provided buffers", provided_buffers },
};

int main(int argc, char **argv)
{
        file = open("kernel-ring.data", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
        if (file < 0)
                file = open("kernel-ring.data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file < 0) {
                perror("kernel-ring.data");
                return 2;
        }
        unlink("kernel-ring.data");
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
