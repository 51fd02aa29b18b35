// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A link to an NBD server, with nbdkit: bytes verified over one and several connections, and what becomes of
 * transfers when the server answers errors, is slow, stops, dies, comes back, or comes back as another.
 */
#include "store/nbd-link.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>

#include "nbd-rig.h"

#define SIZE  (64u * MIB)
#define PAGES (SIZE / PAGE)

/*
 * How the tests of a loop have their server: one connection; four; one for all, in a thread of its own, to a server
 * that serves one client at a time; TCP; and TLS, where connecting goes by a thread.
 */
enum { ONE, FOUR, RELAYED, TCP, TLS, WAYS };

static unsigned connections_of(int way)
{
        return way == ONE ? 1 : 4;
}

/*
 * A server whose content stays when it is killed. With `filter` and its argument, if they are not NULL. One thread a
 * connection, where no more are needed for a delay: nbdkit 1.32 aborts when a client goes while two of them answer.
 */
static void start(struct kit *kit, int way, const char *filter, const char *arg)
{
        char file[300], psk[400], keys[300];
        const char *where = way >= TCP ? "tcp" : "unix:s";
        int fd = open(temp_path("content"), O_RDWR | O_CREAT | O_TRUNC, 0600);

        ck_assert_int_eq(ftruncate(fd, SIZE), 0);
        close(fd);
        snprintf(file, sizeof(file), "file=%s", temp_path("content"));
        snprintf(keys, sizeof(keys), "%s", temp_path("keys"));
        snprintf(psk, sizeof(psk), "--tls-psk=%s", keys);
        if (way == TLS) {
                FILE *f = fopen(keys, "w");

                fprintf(f, "alice:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
                fclose(f);
        }
        kit_start(kit, where, way == RELAYED ? "--filter=noparallel" : "--filter=nofilter",
                  filter ? filter : "--filter=nofilter", filter ? "--threads=16" : "--threads=1",
                  way == TLS ? "--tls=require" : "--tls=off", way == TLS ? psk : "--newstyle", "file", file,
                  way == RELAYED ? "serialize=connections" : arg, way == RELAYED ? arg : NULL, NULL);
        if (way == TLS)
                snprintf(kit->uri, sizeof(kit->uri), "nbds://alice@127.0.0.1:%u/?tls-psk-file=%s", kit->port, keys);
}

/* ---- random transfers ---- */

#define MOVES 128

/* What the pages of a range hold, and which are in use by a transfer or may be written late by the server. */
struct pages {
        struct rig *rig;
        unsigned first, n;
        uint64_t random;
        uint32_t *generation; /* of all PAGES; 0: never written, which is zeros */
        bool *busy, *doubtful;
        uint32_t last;
        unsigned doubts;
        struct move moves[MOVES];
};

static uint64_t pages_random(struct pages *p, uint64_t n)
{
        p->random ^= p->random << 13;
        p->random ^= p->random >> 7;
        p->random ^= p->random << 17;
        return p->random % n;
}

static struct pages *pages_new(struct rig *rig, unsigned first, unsigned n, uint64_t seed)
{
        struct pages *p = calloc(1, sizeof(*p));

        *p = (struct pages){ .rig = rig, .first = first, .n = n, .random = seed | 1 };
        p->generation = calloc(PAGES, sizeof(*p->generation));
        p->busy = calloc(PAGES, sizeof(*p->busy));
        p->doubtful = calloc(PAGES, sizeof(*p->doubtful));
        for (unsigned i = 0; i < MOVES; i++)
                p->moves[i].over = true;
        return p;
}

static void pages_free(struct pages *p)
{
        free(p->generation);
        free(p->busy);
        free(p->doubtful);
        free(p);
}

/* A transfer of one page, of a few, or of as many as make it several requests. */
static void pages_start(struct pages *p, struct move *m)
{
        static const unsigned most[] = { 1, 1, 1, 1, 4, 4, 16, 64, 256, 600 };
        unsigned n = 1 + (unsigned)pages_random(p, most[pages_random(p, sizeof(most) / sizeof(*most))]);
        unsigned at = p->first + (unsigned)pages_random(p, p->n - n);
        bool write = pages_random(p, 2);

        for (unsigned i = at; i < at + n; i++)
                if (p->busy[i] || (write && p->doubtful[i]))
                        return;
        memset(&p->busy[at], true, n);
        move_start(p->rig, m, write, (uint64_t)at * PAGE, n * PAGE, write ? ++p->last : 0);
}

static bool is_zero(const void *memory)
{
        const char *byte = memory;

        return *byte == 0 && memcmp(byte, byte + 1, PAGE - 1) == 0;
}

/* A transfer has ended well: what was read is right. */
static void pages_settle(struct pages *p, struct move *m)
{
        unsigned at = (unsigned)(m->t.offset / PAGE), n = m->t.bytes / PAGE;

        ck_assert_msg(m->result > 0, "a transfer failed: %s", strerror(-m->result));
        for (unsigned i = 0; i < n; i++) {
                const char *page = (const char *)m->t.memory + i * PAGE;

                p->busy[at + i] = false;
                if (m->t.write) {
                        p->generation[at + i] = m->generation;
                        p->doubtful[at + i] |= m->t.in_doubt;
                } else if (p->generation[at + i]) {
                        ck_assert_msg(holds(page, (at + i) * (uint64_t)PAGE, PAGE, p->generation[at + i]),
                                      "page %u is wrong", at + i);
                } else {
                        ck_assert_msg(is_zero(page), "page %u is not zero", at + i);
                }
        }
        p->doubts += m->t.write && m->t.in_doubt;
        move_free(m);
}

/* So many transfers, and the end of them; disturb() is called now and then. */
static void pages_run(struct pages *p, unsigned transfers, void (*disturb)(struct pages *p))
{
        unsigned started = 0;

        while (started < transfers || p->rig->pending) {
                for (unsigned i = 0; i < MOVES; i++) {
                        struct move *m = &p->moves[i];

                        if (m->over && m->t.memory)
                                pages_settle(p, m);
                        if (m->over && started < transfers) {
                                started++;
                                pages_start(p, m);
                        }
                }
                if (disturb && pages_random(p, 200) == 0)
                        disturb(p);
                if (p->rig->pending)
                        ck_assert_int_eq(loop_turn(p->rig->loop), 0);
        }
        for (unsigned i = 0; i < MOVES; i++)
                if (p->moves[i].t.memory)
                        pages_settle(p, &p->moves[i]);
}

START_TEST(test_random)
{
        struct kit kit;
        struct rig rig;
        struct pages *p;

        start(&kit, _i, NULL, NULL);
        rig = rig_new(&kit, connections_of(_i), MINUTE);
        ck_assert_int_eq(nbd_server_facts(rig.server)->multi_conn, _i != RELAYED);
        p = pages_new(&rig, 0, PAGES, unit_random(UINT64_MAX));
        pages_run(p, 4000, NULL);
        ck_assert_uint_eq(p->doubts, 0);
        pages_free(p);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* The sockets of this process that are connected to the server, in `fds`. */
static unsigned server_sockets(int *fds, unsigned most)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *d;
        unsigned n = 0;

        while ((d = readdir(dir))) {
                struct sockaddr_storage peer;
                socklen_t len = sizeof(peer);
                int fd = atoi(d->d_name);

                if (n < most && getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
                        fds[n++] = fd;
        }
        closedir(dir);
        return n;
}

static void cut_one(struct pages *p)
{
        int fds[16];
        unsigned n = server_sockets(fds, 16);

        if (n)
                shutdown(fds[pages_random(p, n)], SHUT_RDWR);
}

/* Connections are cut at random: all goes well, but for places that the server may write late. */
START_TEST(test_cut)
{
        struct kit kit;
        struct rig rig;
        struct pages *p;

        log_catch();
        start(&kit, _i, NULL, NULL);
        rig = rig_new(&kit, connections_of(_i), MINUTE);
        p = pages_new(&rig, 0, PAGES, unit_random(UINT64_MAX));
        do
                pages_run(p, 1000, cut_one);
        while (!p->doubts);
        pages_free(p);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* ---- several workers ---- */

struct worker {
        pthread_t thread;
        struct nbd_server *server;
        unsigned number, count;
        uint64_t seed;
        struct worker *other;
        struct pages *pages;
        pthread_barrier_t *barrier;
};

static void *worker_main(void *arg)
{
        struct worker *w = arg;
        struct rig rig = rig_on(w->server, NULL);

        w->pages = pages_new(&rig, w->number * (PAGES / w->count), PAGES / w->count, w->seed);
        pages_run(w->pages, 2000, NULL);
        pthread_barrier_wait(w->barrier);
        /* What another worker has written. */
        for (unsigned i = w->other->pages->first; i < w->other->pages->first + w->other->pages->n; i++)
                if (w->other->pages->generation[i])
                        ck_assert_int_eq(
                                move_run(&rig, false, (uint64_t)i * PAGE, PAGE, w->other->pages->generation[i]), 0);
        pthread_barrier_wait(w->barrier);
        pages_free(w->pages);
        nbd_link_close(rig.link);
        loop_free(rig.loop);
        return NULL;
}

START_TEST(test_workers)
{
        struct worker workers[3];
        pthread_barrier_t barrier;
        struct nbd_server *server;
        struct kit kit;

        start(&kit, _i, NULL, NULL);
        server = server_open(kit.uri, 2, MINUTE);
        pthread_barrier_init(&barrier, NULL, 3);
        for (unsigned i = 0; i < 3; i++)
                workers[i] = (struct worker){ .server = server,
                                              .number = i,
                                              .count = 3,
                                              .barrier = &barrier,
                                              .seed = unit_random(UINT64_MAX),
                                              .other = &workers[(i + 1) % 3] };
        for (unsigned i = 0; i < 3; i++)
                ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
        for (unsigned i = 0; i < 3; i++)
                pthread_join(workers[i].thread, NULL);
        pthread_barrier_destroy(&barrier);
        nbd_server_close(server);
        kit_end(&kit);
}
END_TEST

/* ---- what the server answers ---- */

static void file_make(const char *name)
{
        close(open(temp_path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

START_TEST(test_errors)
{
        char reads[300], writes[300];
        struct move moves[300];
        struct kit kit;
        struct rig rig;

        snprintf(reads, sizeof(reads), "error-pread-file=%s", temp_path("reads"));
        snprintf(writes, sizeof(writes), "error-pwrite-file=%s", temp_path("writes"));
        kit_start(&kit, "unix:s", "--filter=error", "memory", "64M", "error-pread=EIO", "error-pwrite=ENOSPC",
                  "error-pread-rate=100%", "error-pwrite-rate=100%", reads, writes, NULL);
        rig = rig_new(&kit, 4, MINUTE);
        ck_assert_int_eq(move_run(&rig, true, 8 * PAGE, 4 * PAGE, 1), 0);

        file_make("reads");
        for (unsigned i = 0; i < 300; i++)
                move_start(&rig, &moves[i], i % 2, (8 + i) * PAGE, i == 0 ? 2 * MIB : PAGE, 1);
        rig_wait(&rig);
        for (unsigned i = 0; i < 300; i++) {
                ck_assert_int_eq(moves[i].result, i % 2 ? (int)PAGE : -EIO);
                ck_assert(!moves[i].t.in_doubt);
                move_free(&moves[i]);
        }
        ck_assert_int_eq(unlink(temp_path("reads")), 0);
        file_make("writes");
        ck_assert_int_eq(move_run(&rig, true, 8 * PAGE, 4 * PAGE, 2), -ENOSPC);
        ck_assert_int_eq(move_run(&rig, true, 8 * PAGE, 2 * MIB, 2), -ENOSPC);
        ck_assert_int_eq(move_run(&rig, false, 8 * PAGE, 4 * PAGE, 1), 0);
        ck_assert_int_eq(unlink(temp_path("writes")), 0);
        ck_assert_int_eq(move_run(&rig, true, 8 * PAGE, 4 * PAGE, 3), 0);
        ck_assert_int_eq(move_run(&rig, false, 8 * PAGE, 4 * PAGE, 3), 0);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* Reads that wait for a slow server keep nothing else waiting: writes there, and another server. */
START_TEST(test_slow)
{
        struct move slow[NBD_UNDER_WAY / 2];
        struct rig rig, other;
        struct kit kit, quick;

        kit_start(&kit, "unix:s", "--filter=delay", "--threads=64", "memory", "64M", "delay-read=3", NULL);
        kit_start(&quick, "unix:q", "memory", "64M", NULL);
        rig = rig_new(&kit, 1, MINUTE);
        other = rig_on(server_open(quick.uri, 1, MINUTE), rig.loop);
        ck_assert_int_eq(move_run(&rig, true, 0, MIB, 1), 0);
        for (unsigned i = 0; i < NBD_UNDER_WAY / 2; i++)
                move_start(&rig, &slow[i], false, i * PAGE, PAGE, 1);
        for (unsigned i = 0; i < 50; i++) {
                ck_assert_int_eq(move_run(&other, true, i * PAGE, PAGE, i), 0);
                ck_assert_int_eq(move_run(&other, false, i * PAGE, PAGE, i), 0);
        }
        ck_assert_uint_eq(rig.pending, NBD_UNDER_WAY / 2);
        rig_wait(&rig);
        for (unsigned i = 0; i < NBD_UNDER_WAY / 2; i++) {
                ck_assert(holds(slow[i].t.memory, i * PAGE, PAGE, 1));
                move_free(&slow[i]);
        }
        nbd_link_close(other.link);
        nbd_server_close(other.server);
        rig_end(&rig);
        kit_end(&kit);
        kit_end(&quick);
}
END_TEST

START_TEST(test_trim)
{
        struct move m = { 0 };
        struct kit kit;
        struct rig rig;

        if (_i == 0)
                kit_start(&kit, "unix:s", "memory", "64M", NULL);
        else
                kit_start(&kit, "unix:s", "eval", "get_size=echo 64M", "pread=exit 1", "pwrite=exit 1", NULL);
        rig = rig_new(&kit, 1, MINUTE);
        if (_i == 0)
                ck_assert_int_eq(move_run(&rig, true, 0, 2 * MIB, 1), 0);
        m = (struct move){ .rig = &rig, .t = { .done = move_done, .offset = MIB, .bytes = MIB } };
        rig.pending = rig.submitting = 1;
        nbd_link_trim(rig.link, &m.t);
        rig.submitting = false;
        rig_wait(&rig);
        ck_assert_int_eq(m.result, _i ? -EOPNOTSUPP : (int)MIB);
        if (_i == 0) {
                ck_assert_int_eq(move_run(&rig, false, 0, MIB, 1), 0);
                move_start(&rig, &m, false, MIB, PAGE, 0);
                rig_wait(&rig);
                ck_assert(is_zero(m.t.memory));
                move_free(&m);
        }
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* ---- a server that dies ---- */

/*
 * How often the log says that the server is lost and not yet back: 0 or 1. It may say both once more at a loss, when a
 * connection is completed by what the server had sent before it died.
 */
static unsigned lost_now(void)
{
        return log_count("is lost") - log_count("is back");
}

static void wait_until_lost(struct rig *rig, int way)
{
        while (!lost_now()) {
                if (way == RELAYED) /* it is another thread that writes it */
                        kit_moment();
                else
                        ck_assert_int_eq(loop_turn(rig->loop), 0);
        }
}

#define HELD 400

/* Killed with transfers under way, started again: they are carried out, and the log has a line for each. */
START_TEST(test_restart)
{
        struct move moves[HELD];
        unsigned doubts = 0;
        struct kit kit;
        struct rig rig;

        log_catch();
        start(&kit, _i, "--filter=delay", "delay-write=20ms");
        rig = rig_new(&kit, connections_of(_i), MINUTE);
        ck_assert_int_eq(move_run(&rig, true, 0, HELD / 2 * PAGE, 1), 0);
        for (unsigned round = 1; round <= 3; round++) {
                for (unsigned i = 0; i < HELD; i++)
                        move_start(&rig, &moves[i], i >= HELD / 2,
                                   (uint64_t)(i + round * 1000 * (i >= HELD / 2)) * PAGE, PAGE, 1);
                while (rig.pending > HELD / 2)
                        ck_assert_int_eq(loop_turn(rig.loop), 0);
                kit_kill(&kit);
                wait_until_lost(&rig, _i);
                ck_assert_uint_gt(rig.pending, 0);
                kit_run(&kit);
                rig_wait(&rig);
                for (unsigned i = 0; i < HELD; i++) {
                        ck_assert_int_eq(moves[i].result, (int)PAGE);
                        ck_assert(holds(moves[i].t.memory, moves[i].t.offset, PAGE, 1));
                        doubts += moves[i].t.in_doubt;
                        if (!moves[i].t.write)
                                ck_assert(!moves[i].t.in_doubt);
                        else
                                ck_assert_int_eq(move_run(&rig, false, moves[i].t.offset, PAGE, 1), 0);
                        move_free(&moves[i]);
                }
                ck_assert_uint_ge(log_count("is lost"), round);
                ck_assert_uint_le(log_count("is lost"), round * connections_of(_i));
                ck_assert_uint_eq(lost_now(), 0);
        }
        ck_assert_uint_gt(doubts, 0);
        ck_assert_uint_le(doubts, 3 * connections_of(_i) * NBD_UNDER_WAY);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* Gone for good: what was under way fails in time, and so does what comes later. It may still come back. */
START_TEST(test_gone)
{
        const uint64_t timeout = 500 * MS;
        struct move moves[HELD];
        struct kit kit;
        struct rig rig;
        uint64_t began;

        log_catch();
        start(&kit, _i, NULL, NULL);
        rig = rig_new(&kit, connections_of(_i), timeout);
        ck_assert_int_eq(move_run(&rig, true, 0, HELD * PAGE, 1), 0);
        for (unsigned i = 0; i < HELD; i++)
                move_start(&rig, &moves[i], i % 2, i * PAGE, PAGE, 1);
        kit_kill(&kit);
        rig_wait(&rig);
        for (unsigned i = 0; i < HELD; i++) {
                if (moves[i].result > 0) /* it was quicker */
                        ck_assert(holds(moves[i].t.memory, i * PAGE, PAGE, 1));
                else
                        ck_assert_int_eq(moves[i].result, -ETIMEDOUT);
                move_free(&moves[i]);
        }
        began = loop_now(rig.loop);
        ck_assert_int_eq(move_run(&rig, true, 0, MIB, 2), -ETIMEDOUT);
        ck_assert_int_eq(move_run(&rig, false, 0, MIB, 1), -ETIMEDOUT);
        ck_assert_uint_ge(loop_now(rig.loop), began + 2 * timeout);
        ck_assert_uint_eq(lost_now(), 1);
        ck_assert_uint_ge(log_count("is given up"), 1);

        kit_run(&kit);
        while (move_run(&rig, false, 0, HELD * PAGE, 1) != 0)
                ;
        ck_assert_uint_eq(lost_now(), 0);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* A link whose server is not there is closed in any state of its connections. */
START_TEST(test_close)
{
        struct nbd_server *server;
        struct kit kit;

        log_catch();
        start(&kit, _i, NULL, NULL);
        server = server_open(kit.uri, 4, MINUTE);
        for (unsigned i = 0; i < 20; i++) {
                struct rig rig = rig_on(server, NULL);

                if (i == 10)
                        kit_kill(&kit);
                for (unsigned n = 0; n < i % 10; n++) {
                        loop_post(rig.loop, free, NULL); /* a turn has something to wait for */
                        ck_assert_int_eq(loop_turn(rig.loop), 0);
                }
                nbd_link_close(rig.link);
                loop_free(rig.loop);
        }
        nbd_server_close(server);
        kit_end(&kit);
}
END_TEST

/* ---- a server that stops ---- */

/* Shorter than the timeout: nothing happens. */
START_TEST(test_pause)
{
        struct move moves[20];
        struct kit kit;
        struct rig rig;

        log_catch();
        start(&kit, _i, NULL, NULL);
        rig = rig_new(&kit, connections_of(_i), MINUTE);
        ck_assert_int_eq(move_run(&rig, true, 0, MIB, 1), 0);
        kit_stop(&kit);
        for (unsigned i = 0; i < 20; i++)
                move_start(&rig, &moves[i], i % 2, i * PAGE, PAGE, 1);
        ck_assert_uint_eq(rig.pending, 20);
        kit_continue(&kit);
        rig_wait(&rig);
        for (unsigned i = 0; i < 20; i++) {
                ck_assert_int_eq(moves[i].result, (int)PAGE);
                ck_assert(!moves[i].t.in_doubt);
                move_free(&moves[i]);
        }
        ck_assert_uint_eq(log_count("is lost"), 0);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/*
 * Longer: its requests fail, another server's go on. When it goes on it carries out what it had: the write that was
 * given up comes late, and is what in_doubt warns of.
 */
START_TEST(test_stopped)
{
        struct move writing, reading, look = { 0 };
        struct rig rig, other;
        struct kit kit, quick;
        unsigned served = 0;

        log_catch();
        start(&kit, _i, NULL, NULL);
        kit_start(&quick, "unix:q", "memory", "64M", NULL);
        rig = rig_new(&kit, connections_of(_i), 1000 * MS);
        other = rig_on(server_open(quick.uri, 1, MINUTE), rig.loop);
        ck_assert_int_eq(move_run(&rig, true, 0, MIB, 1), 0);
        ck_assert_int_eq(move_run(&other, true, 0, PAGE, 0), 0);
        kit_stop(&kit);
        move_start(&rig, &writing, true, 0, PAGE, 2);
        move_start(&rig, &reading, false, PAGE, PAGE, 1);
        while (rig.pending) {
                ck_assert_int_eq(move_run(&other, true, served % 1000 * PAGE, PAGE, served), 0);
                ck_assert_int_eq(move_run(&other, false, served % 1000 * PAGE, PAGE, served), 0);
                served++;
        }
        ck_assert_uint_gt(served, 10);
        ck_assert_int_eq(writing.result, -ETIMEDOUT);
        ck_assert(writing.t.in_doubt);
        ck_assert_int_eq(reading.result, -ETIMEDOUT);
        ck_assert(!reading.t.in_doubt);
        ck_assert_uint_ge(log_count("is lost (it did not answer a request in 1s)"), 1);
        move_free(&writing);
        move_free(&reading);

        kit_continue(&kit);
        do {
                move_free(&look);
                move_start(&rig, &look, false, 0, PAGE, 0);
                rig_wait(&rig);
        } while (look.result < 0 || !holds(look.t.memory, 0, PAGE, 2));
        move_free(&look);
        ck_assert_uint_eq(lost_now(), 0);
        nbd_link_close(other.link);
        nbd_server_close(other.server);
        rig_end(&rig);
        kit_end(&kit);
        kit_end(&quick);
}
END_TEST

/* One request has no answer, others do: it is repeated on other connections, and given up at last. */
START_TEST(test_stuck)
{
        struct kit kit;
        struct rig rig;

        log_catch();
        kit_start(&kit, "unix:s", "eval", "get_size=echo 64M", "can_multi_conn=exit 0",
                  "pread=[ $4 = 0 ] && exec sleep 1000; head -c $3 /dev/zero", "pwrite=cat >/dev/null", NULL);
        rig = rig_new(&kit, 4, 500 * MS);
        ck_assert_int_eq(move_run(&rig, true, 4 * PAGE, PAGE, 1), 0);
        ck_assert_int_eq(move_run(&rig, false, 0, PAGE, 1), -ETIMEDOUT);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

/* ---- a server that is another ---- */

START_TEST(test_changed)
{
        struct kit kit, smaller;
        struct rig rig;
        struct move m;

        log_catch();
        start(&kit, _i, NULL, NULL);
        rig = rig_new(&kit, connections_of(_i), 1000 * MS);
        ck_assert_int_eq(move_run(&rig, true, 0, MIB, 1), 0);
        kit_kill(&kit);
        kit_start(&smaller, "unix:s", "memory", "32M", NULL);
        ck_assert_int_eq(move_run(&rig, true, 0, PAGE, 1), -ESTALE);
        ck_assert_int_eq(move_run(&rig, false, 0, PAGE, 1), -ESTALE);
        ck_assert_uint_eq(log_count("its size is 32M"), 1);
        kit_end(&smaller);
        kit_start(&smaller, "unix:s", "-r", "memory", "64M", NULL);
        ck_assert_int_eq(move_run(&rig, false, 0, PAGE, 1), -ESTALE);
        move_start(&rig, &m, false, 0, PAGE, 1);
        kit_end(&smaller);

        kit_run(&kit);
        rig_wait(&rig);
        ck_assert_int_eq(m.result, (int)PAGE);
        ck_assert(holds(m.t.memory, 0, PAGE, 1));
        move_free(&m);
        rig_end(&rig);
        kit_end(&kit);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("link");

#ifndef HAVE_LIBNBD
        puts("built without libnbd");
        return 77;
#endif
        nbd_skip();
        unit_random_start();
        tcase_set_timeout(tc, 240);
        tcase_add_unchecked_fixture(tc, temp_dir_make, temp_dir_remove);
        tcase_add_loop_test(tc, test_random, 0, WAYS);
        tcase_add_loop_test(tc, test_cut, 0, WAYS);
        tcase_add_loop_test(tc, test_workers, 0, TCP);
        tcase_add_test(tc, test_errors);
        tcase_add_test(tc, test_slow);
        tcase_add_loop_test(tc, test_trim, 0, 2);
        tcase_add_loop_test(tc, test_restart, 0, WAYS);
        tcase_add_loop_test(tc, test_gone, 0, WAYS);
        tcase_add_loop_test(tc, test_close, 0, WAYS);
        tcase_add_loop_test(tc, test_pause, 0, WAYS);
        tcase_add_loop_test(tc, test_stopped, 0, WAYS);
        tcase_add_test(tc, test_stuck);
        tcase_add_loop_test(tc, test_changed, 0, TCP);
        return unit_run("nbd-link", tc);
}
