// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both ways have the same job loop: as many I/Os as the depth says are under way, each completion begins the next. A
 * latency is from just before an I/O is handed over until its completion is seen; the comparison of bytes comes after
 * that, and is in the time of the whole job on both sides.
 *
 * The waiting is the same: one io_uring_enter() that submits and sleeps for one completion, on a ring with
 * SINGLE_ISSUER and DEFER_TASKRUN, with a registered file and registered buffers. `spin` is the other way: it asks
 * again and again.
 */
#include "store-ways.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sys/loop.h"
#include "util/error.h"

enum { BUFFER_SOURCE, BUFFER_AREA };

struct place {
        struct store_io io; /* first; for the store */
        struct run *run;
        unsigned number;
        uint32_t page; /* of source, the first */
        uint32_t pages;
        uint64_t began;
};

/* A job that is under way. */
struct run {
        struct bench *b;
        const struct job *job;
        uint64_t begun, ended, pages;
        unsigned under_way;
        uint32_t *ns; /* of each I/O that has ended */
        uint64_t room;
        uint32_t written; /* pages, the next to write */
        struct place places[DEPTH_MOST];
};

void bench_fail(const char *what, int r)
{
        fprintf(stderr, "bench-store: %s%s%s\n", what, r ? ": " : "", r ? strerror(-r) : "");
        exit(EXIT_FAILURE);
}

static void check(const char *what, int r)
{
        if (r < 0)
                bench_fail(what, r);
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

/* --- what both have ---------------------------------------------------------------------------- */

static void run_begin(struct run *r, struct bench *b, const struct job *job)
{
        memset(r, 0, sizeof(*r));
        r->b = b;
        r->job = job;
        r->room = job->write ? b->pages : job->count; /* a write may come in pieces */
        r->ns = calloc(r->room, sizeof(*r->ns));
        if (!r->ns)
                bench_fail("memory", -ENOMEM);
        for (unsigned i = 0; i < DEPTH_MOST; i++) {
                r->places[i].run = r;
                r->places[i].number = i;
        }
}

static bool has_more(const struct run *r)
{
        return r->job->write ? r->written < r->b->pages : r->begun < r->job->count;
}

static unsigned char *area_of(const struct place *p)
{
        return p->run->b->area + (size_t)p->number * RUN_MOST * STORE_PAGE;
}

static const unsigned char *source_of(const struct place *p)
{
        return p->run->b->source + (size_t)p->page * STORE_PAGE;
}

static void begun(struct place *p)
{
        p->run->begun++;
        p->run->under_way++;
}

/* Notes the time first, then looks at what was read. */
static void place_ended(struct place *p)
{
        struct run *r = p->run;
        uint64_t took = now() - p->began;

        if (r->ended == r->room)
                bench_fail("more I/Os than pages", 0);
        r->ns[r->ended++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
        r->pages += p->pages;
        r->under_way--;
        if (!r->job->write && memcmp(area_of(p), source_of(p), (size_t)p->pages * STORE_PAGE))
                bench_fail("what was read is not what was written", 0);
}

static int by_value(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static void run_end(struct run *r, uint64_t began, struct outcome *out)
{
        struct outcome o = { .ns = now() - began, .pages = r->pages };

        qsort(r->ns, r->ended, sizeof(*r->ns), by_value);
        o.p50 = r->ns[r->ended / 2];
        o.p99 = r->ns[(r->ended - 1) * 99 / 100];
        free(r->ns);
        *out = o;
}

/* --- by the store ------------------------------------------------------------------------------ */

static bool adjacent(const struct bench *b, uint32_t page, uint32_t pages)
{
        for (uint32_t i = 1; i < pages; i++)
                if (b->locs[page + i] != b->locs[page] + i)
                        return false;
        return true;
}

static void store_done(struct store_io *io, int result);

static void store_begin(struct place *p)
{
        struct run *r = p->run;
        struct bench *b = r->b;
        const struct job *job = r->job;

        p->began = now();
        p->io = (struct store_io){ .done = store_done, .write = job->write, .owner = b->owner };
        if (job->write) {
                uint32_t left = b->pages - r->written;

                p->page = r->written;
                p->pages = store_alloc(b->store, left < job->pages ? left : job->pages, &p->io.loc);
                if (!p->pages)
                        bench_fail("the store is full", 0);
                for (uint32_t i = 0; i < p->pages; i++)
                        b->locs[p->page + i] = p->io.loc + i;
                r->written += p->pages;
                p->io.buffer = b->source_buffer;
                p->io.memory = (void *)source_of(p);
        } else {
                p->pages = job->pages;
                do
                        p->page = (uint32_t)draw(b, b->pages / job->pages) * job->pages;
                while (!adjacent(b, p->page, p->pages));
                p->io.loc = b->locs[p->page];
                p->io.buffer = b->area_buffer;
                p->io.memory = area_of(p);
        }
        p->io.pages = p->pages;
        begun(p);
        store_submit(b->port, &p->io);
}

static void store_done(struct store_io *io, int result)
{
        struct place *p = (struct place *)io;

        check(io->write ? "write by the store" : "read by the store", result);
        place_ended(p);
        if (has_more(p->run))
                store_begin(p);
}

void forget_stored(struct bench *b)
{
        for (uint32_t i = 0, n; b->stored && i < b->pages; i += n) {
                for (n = 1; i + n < b->pages && b->locs[i + n] == b->locs[i] + n; n++)
                        ;
                store_unref(b->store, b->locs[i], n);
        }
        b->stored = false;
}

void run_by_store(struct bench *b, const struct job *job, struct outcome *out)
{
        static struct run r;
        uint64_t began;

        if (job->write)
                forget_stored(b);
        else if (!b->stored)
                bench_fail("nothing is stored", 0);
        run_begin(&r, b, job);
        began = now();
        for (unsigned i = 0; i < job->depth && has_more(&r); i++)
                store_begin(&r.places[i]);
        while (r.under_way)
                check("loop", loop_turn(b->loop));
        run_end(&r, began, out);
        b->stored = true;
}

/* --- by a ring --------------------------------------------------------------------------------- */

static void ring_begin(struct place *p)
{
        struct run *r = p->run;
        struct bench *b = r->b;
        const struct job *job = r->job;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
        unsigned bytes = job->pages * STORE_PAGE;

        p->began = now();
        p->pages = job->pages;
        if (job->write) {
                p->page = r->written;
                r->written += job->pages;
                io_uring_prep_write_fixed(sqe, 0, source_of(p), bytes, b->base + (uint64_t)p->page * STORE_PAGE,
                                          BUFFER_SOURCE);
        } else {
                p->page = (uint32_t)draw(b, b->pages / job->pages) * job->pages;
                io_uring_prep_read_fixed(sqe, 0, area_of(p), bytes, b->base + (uint64_t)p->page * STORE_PAGE,
                                         BUFFER_AREA);
        }
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        io_uring_sqe_set_data(sqe, p);
        begun(p);
}

static void ring_wait(struct bench *b, bool spin)
{
        if (!spin) {
                check("ring", io_uring_submit_and_wait(&b->ring, 1));
                return;
        }
        check("ring", io_uring_submit(&b->ring));
        while (!io_uring_cq_ready(&b->ring))
                check("ring", io_uring_get_events(&b->ring));
}

void run_by_ring(struct bench *b, const struct job *job, struct outcome *out)
{
        static struct run r;
        struct io_uring_cqe *cqe;
        uint64_t began;

        run_begin(&r, b, job);
        began = now();
        for (unsigned i = 0; i < job->depth && has_more(&r); i++)
                ring_begin(&r.places[i]);
        while (r.under_way) {
                ring_wait(b, job->spin);
                while (io_uring_peek_cqe(&b->ring, &cqe) == 0) {
                        struct place *p = io_uring_cqe_get_data(cqe);

                        if (cqe->res != (int)(job->pages * STORE_PAGE))
                                bench_fail("I/O by the ring", cqe->res < 0 ? cqe->res : -EIO);
                        io_uring_cqe_seen(&b->ring, cqe);
                        place_ended(p);
                        if (has_more(&r))
                                ring_begin(p);
                }
        }
        run_end(&r, began, out);
}

/* --- open, close ------------------------------------------------------------------------------- */

static void *memory(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (p == MAP_FAILED)
                bench_fail("memory", -errno);
        return p;
}

static void open_ring(struct bench *b, const char *path, uint64_t bytes)
{
        struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                                   IORING_SETUP_SUBMIT_ALL };
        struct iovec iov[] = { { (void *)b->source, (size_t)b->pages * STORE_PAGE },
                               { b->area, (size_t)DEPTH_MOST * RUN_MOST * STORE_PAGE } };

        b->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        check(path, b->fd < 0 ? -errno : 0);
        b->base = bytes;
        check(path, -posix_fallocate(b->fd, (off_t)bytes, (off_t)b->pages * STORE_PAGE));
        check("ring", io_uring_queue_init_params(64, &b->ring, &params));
        io_uring_register_ring_fd(&b->ring);
        check("register file", io_uring_register_files(&b->ring, &b->fd, 1));
        check("register buffers", io_uring_register_buffers(&b->ring, iov, 2));
}

void bench_open(struct bench *b, struct store *store, const struct store_owner_config *owner, const char *path,
                uint64_t bytes, uint32_t pages)
{
        struct error e = { 0 };

        *b = (struct bench){ .pages = pages, .random = 1, .store = store, .fd = -1 };
        b->source = memory((size_t)pages * STORE_PAGE);
        b->area = memory((size_t)DEPTH_MOST * RUN_MOST * STORE_PAGE);
        b->locs = calloc(pages, sizeof(*b->locs));
        if (!b->locs)
                bench_fail("memory", -ENOMEM);
        if (loop_new(&b->loop, &e) < 0)
                bench_fail(e.text, 0);
        check("port", store_port_open(store, b->loop, &b->port));
        check("owner", store_owner_new(store, owner, &b->owner));
        store_owner_limit(store, b->owner, UINT64_MAX); /* all that packs stays in memory, where there is such a tier */
        check("buffer",
              b->source_buffer = loop_register_buffer(b->loop, (void *)b->source, (size_t)pages * STORE_PAGE));
        check("buffer",
              b->area_buffer = loop_register_buffer(b->loop, b->area, (size_t)DEPTH_MOST * RUN_MOST * STORE_PAGE));
        if (bytes)
                open_ring(b, path, bytes);
}

void bench_close(struct bench *b)
{
        forget_stored(b);
        if (b->fd >= 0) {
                io_uring_queue_exit(&b->ring);
                close(b->fd);
        }
        store_owner_free(b->store, b->owner);
        store_port_close(b->port);
        loop_free(b->loop);
        store_destroy(b->store);
        munmap((void *)b->source, (size_t)b->pages * STORE_PAGE);
        munmap(b->area, (size_t)DEPTH_MOST * RUN_MOST * STORE_PAGE);
        free(b->locs);
}
