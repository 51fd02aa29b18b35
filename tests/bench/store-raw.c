// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a store's port costs over the bare ring: 4 KiB random reads at depth 1, and writes of 64 pages at depth 8, each
 * in alternating rounds through a disk store's port and through a liburing ring set up the same way, on the same file,
 * with registered buffer and file. Prints figures and judges nothing; only ratios within one run mean anything.
 *
 *     store-raw DIRECTORY [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/medium-file.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "store/store.h"
#include "sys/loop.h"
#include "util/error.h"
#include "util/hist.h"

#define STORE_BYTES (UINT64_C(1) << 30)
#define SLOTS       (STORE_BYTES / STORE_PAGE)
#define RUN         64u
#define DEPTH       8u
#define READS       2000u /* in a round */
#define WRITES      512u

struct bench {
        struct store *store;
        struct loop *loop;
        struct store_port *port;
        struct io_uring ring;
        int fd;
        int buffer;
        unsigned char *memory; /* DEPTH runs */
        uint64_t random;
        struct hist read_port, read_ring;
        uint64_t write_port_ns, write_ring_ns;
        unsigned left, pending;
};

struct bench_io {
        struct store_io io; /* first */
        struct bench *b;
};

static void fail(const char *what, int r)
{
        fprintf(stderr, "store-raw: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static void check(const char *what, int r)
{
        if (r < 0)
                fail(what, r);
}

static uint64_t now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t draw(struct bench *b, uint64_t below)
{
        b->random = b->random * 6364136223846793005u + 1442695040888963407u;
        return (b->random >> 20) % below;
}

static void read_done(struct store_io *io, int result)
{
        check("read through the port", result);
        ((struct bench_io *)io)->b->pending = 0;
}

static void reads_by_port(struct bench *b)
{
        for (unsigned i = 0; i < READS; i++) {
                struct bench_io w = { .b = b };
                uint64_t began = now();

                w.io = (struct store_io){ .done = read_done, .pages = 1, .loc = draw(b, SLOTS), .buffer = b->buffer,
                                          .memory = b->memory };
                b->pending = 1;
                store_submit(b->port, &w.io);
                while (b->pending)
                        check("loop", loop_turn(b->loop));
                hist_add(&b->read_port, now() - began);
        }
}

static void reads_by_ring(struct bench *b)
{
        for (unsigned i = 0; i < READS; i++) {
                uint64_t began = now();
                struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
                struct io_uring_cqe *cqe;

                io_uring_prep_read_fixed(sqe, 0, b->memory, STORE_PAGE, draw(b, SLOTS) * STORE_PAGE, 0);
                io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
                check("submit", io_uring_submit_and_wait(&b->ring, 1));
                check("wait", io_uring_peek_cqe(&b->ring, &cqe));
                check("read", cqe->res == (int)STORE_PAGE ? 0 : -EIO);
                io_uring_cqe_seen(&b->ring, cqe);
                hist_add(&b->read_ring, now() - began);
        }
}

/* Runs go one behind another round the store, as evictions do. */
static void write_done(struct store_io *io, int result)
{
        struct bench *b = ((struct bench_io *)io)->b;

        check("write through the port", result);
        if (!b->left) {
                b->pending--;
                return;
        }
        b->left--;
        io->loc = (io->loc + DEPTH * RUN) % SLOTS;
        store_submit(b->port, io);
}

static void writes_by_port(struct bench *b)
{
        struct bench_io w[DEPTH];
        uint64_t began = now(), start = draw(b, SLOTS / RUN / DEPTH) * DEPTH;

        b->left = WRITES - DEPTH;
        b->pending = DEPTH;
        for (unsigned i = 0; i < DEPTH; i++) {
                w[i].b = b;
                w[i].io = (struct store_io){ .done = write_done, .write = true, .pages = RUN,
                                             .loc = (start + i) * RUN % SLOTS, .buffer = b->buffer,
                                             .memory = b->memory + (size_t)i * RUN * STORE_PAGE };
                store_submit(b->port, &w[i].io);
        }
        while (b->pending)
                check("loop", loop_turn(b->loop));
        b->write_port_ns += now() - began;
}

static void ring_write(struct bench *b, unsigned i, uint64_t run)
{
        struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

        io_uring_prep_write_fixed(sqe, 0, b->memory + (size_t)i * RUN * STORE_PAGE, RUN * STORE_PAGE,
                                  run % (SLOTS / RUN) * RUN * STORE_PAGE, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        io_uring_sqe_set_data64(sqe, i);
}

static void writes_by_ring(struct bench *b)
{
        uint64_t began = now(), start = draw(b, SLOTS / RUN / DEPTH) * DEPTH, next[DEPTH];
        unsigned begun = DEPTH, ended = 0;
        struct io_uring_cqe *cqe;

        for (unsigned i = 0; i < DEPTH; i++)
                ring_write(b, i, next[i] = start + i);
        while (ended < WRITES) {
                check("submit", io_uring_submit_and_wait(&b->ring, 1));
                while (io_uring_peek_cqe(&b->ring, &cqe) == 0) {
                        unsigned i = (unsigned)cqe->user_data;

                        check("write", cqe->res == (int)(RUN * STORE_PAGE) ? 0 : -EIO);
                        io_uring_cqe_seen(&b->ring, cqe);
                        ended++;
                        if (begun < WRITES) {
                                ring_write(b, i, next[i] += DEPTH);
                                begun++;
                        }
                }
        }
        b->write_ring_ns += now() - began;
}

/* Leaves no extent unwritten, which would be read without the disk. */
static void fill(struct bench *b)
{
        for (uint64_t at = 0; at < STORE_BYTES; at += DEPTH * RUN * STORE_PAGE)
                if (pwrite(b->fd, b->memory, DEPTH * RUN * STORE_PAGE, (off_t)at) < 0)
                        fail("fill", -errno);
}

static void open_ring(struct bench *b, const char *path)
{
        struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
        struct iovec iov = { b->memory, DEPTH * RUN * STORE_PAGE };

        b->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        check(path, b->fd < 0 ? -errno : 0);
        check("ring", io_uring_queue_init_params(64, &b->ring, &params));
        io_uring_register_ring_fd(&b->ring);
        check("register file", io_uring_register_files(&b->ring, &b->fd, 1));
        check("register buffer", io_uring_register_buffers(&b->ring, &iov, 1));
}

static void print_reads(const char *way, const struct hist *h)
{
        printf("4 KiB read, depth 1,  %s: p50 %6.1f us, p99 %7.1f us (%" PRIu64 " reads)\n", way,
               (double)hist_quantile(h, 0.5) / 1e3, (double)hist_quantile(h, 0.99) / 1e3, hist_count(h));
}

static void print_writes(const char *way, unsigned rounds, uint64_t ns)
{
        printf("64-page write, depth %u, %s: %7.1f MB/s\n", DEPTH, way,
               (double)rounds * WRITES * RUN * STORE_PAGE / 1e6 / ((double)ns / 1e9));
}

int main(int argc, char **argv)
{
        static struct bench b;
        unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 5;
        struct medium_file_config config = {
                .name = "bench", .size = STORE_BYTES, .unit = STORE_PAGE, .unlink_on_close = true
        };
        struct page_store_medium medium = { .weight = 1 };
        struct error e = { 0 };
        char path[512];

        if (argc < 2 || !rounds) {
                fprintf(stderr, "usage: store-raw DIRECTORY [ROUNDS]\n");
                return 2;
        }
        snprintf(path, sizeof(path), "%s/store-raw.%d", argv[1], (int)getpid());
        config.path = path;
        b.random = 1;
        if (posix_memalign((void **)&b.memory, STORE_PAGE, DEPTH * RUN * STORE_PAGE))
                fail("memory", -ENOMEM);
        for (size_t i = 0; i < DEPTH * RUN * STORE_PAGE; i++)
                b.memory[i] = (unsigned char)draw(&b, 256);
        if (medium_file_open(&config, &medium.medium, &e) < 0 ||
            page_store_new(&(struct page_store_config){ 0 }, &medium, 1, &b.store, &e) < 0 ||
            loop_new(&b.loop, &e) < 0) {
                fprintf(stderr, "store-raw: %s\n", e.text);
                return EXIT_FAILURE;
        }
        check("port", store_port_open(b.store, b.loop, &b.port));
        check("buffer", b.buffer = loop_register_buffer(b.loop, b.memory, DEPTH * RUN * STORE_PAGE));
        open_ring(&b, path);

        fill(&b);
        for (unsigned i = 0; i < rounds; i++) {
                writes_by_port(&b);
                writes_by_ring(&b);
                reads_by_port(&b);
                reads_by_ring(&b);
        }
        print_reads("port", &b.read_port);
        print_reads("ring", &b.read_ring);
        print_writes("port", rounds, b.write_port_ns);
        print_writes("ring", rounds, b.write_ring_ns);

        io_uring_queue_exit(&b.ring);
        close(b.fd);
        loop_unregister_buffer(b.loop, b.buffer);
        store_port_close(b.port);
        loop_free(b.loop);
        store_destroy(b.store);
        free(b.memory);
        return EXIT_SUCCESS;
}
