/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's thread does nothing but run its loop. Other threads reach it only through loop_post(): a client to
 * take, a question to answer, the order to stop. So a session needs no lock.
 */
#include "client/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#include "client/session.h"
#include "client/unattended.h"
#include "store/store.h"
#include "util/error.h"
#include "util/log.h"

/* A forked child whose session may be made in a moment is looked for again after this time. */
#define TAKE_LATER_NS 1000000ull

/* What worker_start() waits for. */
struct start {
        struct worker *worker;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool done;
        int result;
        struct error *error;
};

static void *map(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

static int set_up(struct worker *w, struct error *e)
{
        struct store_port *store_port;
        char *buffers, *zeros;
        int r, index;

        r = loop_new(&w->loop, e);
        if (r < 0)
                return r;
        buffers = map(PAGER_FETCHES * PAGE_SIZE_);
        zeros = map(PAGER_ZERO_BYTES);
        if (!buffers || !zeros)
                return error_set(e, -ENOMEM, "no memory for a worker's buffers");
        index = loop_register_buffer(w->loop, buffers, PAGER_FETCHES * PAGE_SIZE_);
        r = store_port_open(w->config->store, w->loop, &store_port);
        if (r < 0)
                return error_sys(e, r, "the store cannot be used by worker %u", w->number);
        pager_init(&w->pager, w->config->store, store_port, w->config->idle, buffers, index < 0 ? -1 : index, zeros);
        w->pager.grow_when_full = w->config->grow_when_full;
        w->pager.owner = w->config->owner;
        w->pager.ram_bytes = w->config->ram_bytes;
        w->pager.ram_percent = w->config->ram_percent;
        w->pager.readahead = w->config->readahead;
        return 0;
}

static void tear_down(struct worker *w)
{
        store_port_close(w->pager.store_port);
        if (w->pager.buffers)
                munmap(w->pager.buffers, PAGER_FETCHES * PAGE_SIZE_);
        if (w->pager.zeros)
                munmap((void *)w->pager.zeros, PAGER_ZERO_BYTES);
        loop_free(w->loop);
        w->loop = NULL;
}

static void *run(void *arg)
{
        struct start *start = arg;
        struct worker *w = start->worker;
        int r = set_up(w, start->error);

        pthread_mutex_lock(&start->lock);
        start->result = r;
        start->done = true;
        pthread_cond_signal(&start->cond);
        pthread_mutex_unlock(&start->lock);
        if (r < 0)
                return NULL;
        r = loop_run(w->loop);
        if (r < 0)
                log_error("worker %u: its loop failed: %s", w->number, strerror(-r));
        tear_down(w);
        return NULL;
}

int worker_start(struct worker *w, unsigned number, const struct worker_config *config, struct error *e)
{
        struct start start = {
                .worker = w, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .error = e
        };
        int r;

        *w = (struct worker){ .config = config, .number = number };
        r = pthread_create(&w->thread, NULL, run, &start);
        if (r)
                return error_sys(e, -r, "worker %u cannot be started", number);
        pthread_mutex_lock(&start.lock);
        while (!start.done)
                pthread_cond_wait(&start.cond, &start.lock);
        pthread_mutex_unlock(&start.lock);
        if (start.result < 0)
                pthread_join(w->thread, NULL);
        return start.result;
}

static void stop_if_idle(struct worker *w)
{
        if (w->stopping && w->n_sessions == 0)
                loop_stop(w->loop);
}

static void stop(void *arg)
{
        struct worker *w = arg;
        struct session *s, *next;

        w->stopping = true;
        DL_FOREACH_SAFE(w->sessions, s, next) {
                if (s->state == SESSION_UNATTENDED || s->state == SESSION_RETURNING)
                        unattended_stop(s);
                session_end(s);
        }
        stop_if_idle(w);
}

void worker_stop(struct worker *w)
{
        if (!w->loop)
                return;
        if (loop_post(w->loop, stop, w) < 0)
                return;
        pthread_join(w->thread, NULL);
}

void worker_forget(struct worker *w, struct session *s)
{
        DL_DELETE(w->sessions, s);
        w->n_sessions--;
        stop_if_idle(w);
}

struct taking {
        struct op later;
        struct worker *worker;
        int sock;
        struct sock_peer peer;
        struct client_terms terms;
        unsigned to_ask; /* workers that may have the session of a forked child, this one and those after it */
};

static void give_up(struct taking *t)
{
        close(t->sock);
        close(t->peer.pidfd);
        free(t);
}

static void take(void *arg);

static void pass_on(struct taking *t)
{
        const struct worker_config *config = t->worker->config;

        t->worker = &config->workers[(t->worker->number + 1) % config->n_workers];
        t->to_ask--;
        if (loop_post(t->worker->loop, take, t) < 0)
                give_up(t);
}

static void on_later(struct op *op, int res, unsigned flags)
{
        (void)res;
        (void)flags;
        take(op_owner(op, struct taking, later));
}

static void take(void *arg)
{
        struct taking *t = arg;
        struct session *s = t->to_ask && !t->worker->stopping ? unattended_find(t->worker, &t->peer) : NULL;

        if (t->worker->stopping) {
                give_up(t);
                return;
        }
        if (!s && t->to_ask && unattended_is_expected(t->worker, &t->peer)) {
                t->later.done = on_later;
                loop_timer(t->worker->loop, &t->later, loop_now(t->worker->loop) + TAKE_LATER_NS);
                return;
        }
        if (!s && t->to_ask > 1) {
                pass_on(t);
                return;
        }
        if (s)
                unattended_claim(s, t->sock, &t->peer);
        else
                session_start(t->worker, t->sock, &t->peer, &t->terms);
        free(t);
}

int worker_take(struct worker *w, int sock, const struct sock_peer *peer, const struct client_terms *terms, bool forked)
{
        struct taking *t = malloc(sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (struct taking){
                .worker = w,
                .sock = sock,
                .peer = *peer,
                .terms = *terms,
                .to_ask = forked ? w->config->n_workers : 0,
        };
        if (loop_post(w->loop, take, t) < 0) {
                free(t);
                return -ENOMEM;
        }
        return 0;
}

/* A question from another thread, which waits for the answer. */
struct question {
        struct worker *worker;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool done;
        struct client_snapshot *out;
        int n;
};

static void answer(void *arg)
{
        struct question *q = arg;
        struct worker *w = q->worker;
        struct client_snapshot *out = calloc(w->n_sessions + 1, sizeof(*out));
        struct session *s;
        int n = 0;

        if (out)
                DL_FOREACH(w->sessions, s)
                        if (s->state != SESSION_OFFERED && s->state != SESSION_ENDING)
                                snapshot_take(s, &out[n++]);
        pthread_mutex_lock(&q->lock);
        q->out = out;
        q->n = out ? n : -ENOMEM;
        q->done = true;
        pthread_cond_signal(&q->cond);
        pthread_mutex_unlock(&q->lock);
}

int worker_snapshots(struct worker *w, struct client_snapshot **out)
{
        struct question q = { .worker = w, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

        if (loop_post(w->loop, answer, &q) < 0)
                return -ENOMEM;
        pthread_mutex_lock(&q.lock);
        while (!q.done)
                pthread_cond_wait(&q.cond, &q.lock);
        pthread_mutex_unlock(&q.lock);
        if (q.n >= 0)
                *out = q.out;
        return q.n;
}
