/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbdkit as the tests' NBD server, on a unix socket in the temporary directory or on a TCP port, and a link to it. A
 * server ends with the process that started it. Every page is filled with its place and a generation.
 */
#ifndef TESTS_NBD_RIG_H
#define TESTS_NBD_RIG_H

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/nbd-link.h"
#include "sys/loop.h"
#include "temp-dir.h"
#include "unit-run.h"
#include "util/error.h"

#define MS     UINT64_C(1000000)
#define MINUTE (60000 * MS) /* a timeout that is not to pass */
#define PAGE   4096u
#define MIB    (1u << 20)

/* ---- servers ---- */

struct kit {
        pid_t pid;
        char socket[108]; /* path, as long as sun_path; empty: TCP */
        uint16_t port;
        char uri[512];
        char *argv[24];
};

/* A test waits for something that happens elsewhere: it looks again after a moment. check ends what takes too long. */
static inline void kit_moment(void)
{
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static inline bool kit_answers(const struct kit *kit)
{
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        snprintf(to.sun_path, sizeof(to.sun_path), "%s", kit->socket);
        r = connect(fd, (struct sockaddr *)&to, sizeof(to));
        close(fd);
        return r == 0;
}

/* A listening TCP socket on 127.0.0.1; *port 0: any. */
static inline int kit_listen(uint16_t *port)
{
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(*port) };
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        ck_assert_int_eq(listen(fd, 64), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
        *port = ntohs(at.sin_port);
        return fd;
}

/* Starts it (again), as kit_start() has it; it can be connected to afterwards. */
static inline void kit_run(struct kit *kit)
{
        int listener = kit->socket[0] ? -1 : kit_listen(&kit->port);

        unlink(kit->socket);
        kit->pid = fork();
        ck_assert_int_ge(kit->pid, 0);
        if (kit->pid == 0) {
                char pid[32];

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                setpgid(0, 0);
                if (listener >= 0) { /* sd_listen_fds(3) */
                        snprintf(pid, sizeof(pid), "%d", (int)getpid());
                        setenv("LISTEN_PID", pid, 1);
                        setenv("LISTEN_FDS", "1", 1);
                        if (listener != 3)
                                dup2(listener, 3);
                }
                execvp(kit->argv[0], kit->argv);
                _exit(127);
        }
        if (listener >= 0)
                close(listener);
        while (kit->socket[0] && !kit_answers(kit)) {
                int status;

                ck_assert_msg(waitpid(kit->pid, &status, WNOHANG) == 0, "nbdkit ended at once: %s",
                              "its line is above");
                kit_moment();
        }
}

/* nbdkit with these arguments (NULL at the end); where: "unix:NAME" or "tcp". */
static inline void kit_start(struct kit *kit, const char *where, ...)
{
        unsigned n = 0;
        va_list ap;
        char *arg;

        *kit = (struct kit){ .pid = -1 };
        kit->argv[n++] = strdup("nbdkit");
        kit->argv[n++] = strdup("-f");
        if (!strncmp(where, "unix:", 5)) {
                char *path = realpath(temp_dir, NULL);

                ck_assert_uint_lt(strlen(path) + strlen(where), sizeof(kit->socket));
                snprintf(kit->socket, sizeof(kit->socket), "%s/%s", path, where + 5);
                snprintf(kit->uri, sizeof(kit->uri), "nbd+unix:///?socket=%s", kit->socket);
                kit->argv[n++] = strdup("-U");
                kit->argv[n++] = strdup(kit->socket);
                free(path);
        }
        va_start(ap, where);
        while ((arg = va_arg(ap, char *)))
                kit->argv[n++] = strdup(arg);
        va_end(ap);
        ck_assert_uint_lt(n, 24);
        kit_run(kit);
        if (!kit->socket[0])
                snprintf(kit->uri, sizeof(kit->uri), "nbd://127.0.0.1:%u", kit->port);
}

static inline void kit_kill(struct kit *kit)
{
        if (kit->pid <= 0)
                return;
        setpgid(kit->pid, kit->pid); /* what it has started ends as well */
        kill(-kit->pid, SIGKILL);
        waitpid(kit->pid, NULL, 0);
        kit->pid = -1;
}

static inline void kit_end(struct kit *kit)
{
        kit_kill(kit);
        for (unsigned i = 0; kit->argv[i]; i++)
                free(kit->argv[i]);
}

/* SIGSTOP, and it has stopped. */
static inline void kit_stop(struct kit *kit)
{
        int status;

        kill(kit->pid, SIGSTOP);
        ck_assert_int_eq(waitpid(kit->pid, &status, WUNTRACED), kit->pid);
        ck_assert(WIFSTOPPED(status));
}

static inline void kit_continue(struct kit *kit)
{
        kill(kit->pid, SIGCONT);
}

/* ---- the log, which goes to stderr ---- */

static int log_fd = -1;

static inline void log_catch(void)
{
        log_fd = open(temp_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ck_assert_int_ge(log_fd, 0);
        dup2(log_fd, STDERR_FILENO);
}

/* How many lines of what was caught have the text. */
static inline unsigned log_count(const char *text)
{
        static char all[65536];
        ssize_t len = pread(log_fd, all, sizeof(all) - 1, 0);
        unsigned n = 0;
        char *next, *line;

        ck_assert_int_ge(len, 0);
        all[len] = '\0';
        for (line = all; *line; line = next) {
                next = line + strcspn(line, "\n");
                if (*next)
                        *next++ = '\0';
                n += strstr(line, text) != NULL;
        }
        return n;
}

/* ---- a link ---- */

struct rig {
        struct nbd_server *server;
        struct loop *loop;
        struct nbd_link *link;
        unsigned pending;
        bool submitting;
};

struct move {
        struct nbd_transfer t; /* first */
        struct rig *rig;
        bool over;
        int result;
        uint32_t generation;
};

static inline int server_try(const char *uri, unsigned connections, uint64_t timeout, struct nbd_server **out,
                             struct error *e)
{
        struct nbd_config config = { .name = "t", .uri = uri, .connections = connections, .timeout_ns = timeout };

        *e = (struct error){ 0 };
        return nbd_server_open(&config, out, e);
}

static inline struct nbd_server *server_open(const char *uri, unsigned connections, uint64_t timeout)
{
        struct nbd_server *server = NULL;
        struct error e;

        ck_assert_msg(server_try(uri, connections, timeout, &server, &e) == 0, "%s", e.text);
        return server;
}

/* A link of a server that is shared, on a loop of its own or on that of another. */
static inline struct rig rig_on(struct nbd_server *server, struct loop *loop)
{
        struct rig rig = { .server = server, .loop = loop };
        struct error e = { 0 };

        if (!loop)
                ck_assert_msg(loop_new(&rig.loop, &e) == 0, "%s", e.text);
        ck_assert_int_eq(nbd_link_open(server, rig.loop, &rig.link), 0);
        return rig;
}

static inline struct rig rig_new(const struct kit *kit, unsigned connections, uint64_t timeout)
{
        return rig_on(server_open(kit->uri, connections, timeout), NULL);
}

static inline void rig_end(struct rig *rig)
{
        ck_assert_uint_eq(rig->pending, 0);
        nbd_link_close(rig->link);
        loop_free(rig->loop);
        nbd_server_close(rig->server);
}

static inline void move_done(struct nbd_transfer *t, int res)
{
        struct move *m = (struct move *)t;

        if (m->rig->submitting || m->over)
                ck_abort_msg("done() was called %s", m->over ? "twice" : "inside submit");
        if (res >= 0)
                ck_assert_int_eq(res, (int)t->bytes);
        m->over = true;
        m->result = res;
        m->rig->pending--;
}

/* What a page is to hold. */
static inline void fill(void *memory, uint64_t offset, uint32_t bytes, uint32_t generation)
{
        uint64_t *word = memory;

        for (uint32_t i = 0; i < bytes / 8; i++)
                word[i] = ((offset + i * 8ull) / PAGE << 28 ^ generation) * 0x9e3779b97f4a7c15u + i % 512;
}

static inline bool holds(const void *memory, uint64_t offset, uint32_t bytes, uint32_t generation)
{
        static _Thread_local uint64_t expected[PAGE / 8];

        for (uint32_t at = 0; at < bytes; at += PAGE) {
                fill(expected, offset + at, PAGE, generation);
                if (memcmp((const char *)memory + at, expected, PAGE))
                        return false;
        }
        return true;
}

/* Starts to write `generation` there, or to read. */
static inline void move_start(struct rig *rig, struct move *m, bool write, uint64_t offset, uint32_t bytes,
                              uint32_t generation)
{
        *m = (struct move){ .rig = rig, .generation = generation };
        m->t = (struct nbd_transfer){ .done = move_done, .write = write, .bytes = bytes, .offset = offset };
        ck_assert_int_eq(posix_memalign(&m->t.memory, PAGE, bytes), 0);
        if (write)
                fill(m->t.memory, offset, bytes, generation);
        else
                memset(m->t.memory, 0xee, bytes);
        rig->pending++;
        rig->submitting = true;
        nbd_link_transfer(rig->link, &m->t);
        rig->submitting = false;
}

static inline void move_free(struct move *m)
{
        free(m->t.memory);
        m->t.memory = NULL;
}

static inline void rig_wait(struct rig *rig)
{
        while (rig->pending)
                ck_assert_int_eq(loop_turn(rig->loop), 0);
}

/* Moves and waits. A read that succeeds has to bring `generation`. */
static inline int move_run(struct rig *rig, bool write, uint64_t offset, uint32_t bytes, uint32_t generation)
{
        struct move m;

        move_start(rig, &m, write, offset, bytes, generation);
        rig_wait(rig);
        if (!write && m.result >= 0)
                ck_assert_msg(holds(m.t.memory, offset, bytes, generation), "wrong bytes at %llu",
                              (unsigned long long)offset);
        move_free(&m);
        return m.result < 0 ? m.result : 0;
}

/* Without nbdkit none of this can run. */
static inline void nbd_skip(void)
{
        if (system("nbdkit --version >/dev/null 2>&1") == 0)
                return;
        puts("nbdkit is not installed");
        exit(77);
}

#endif
