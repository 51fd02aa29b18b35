// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One log for the process. log_write() makes the line in its own stack and holds the lock only to copy it into the
 * queue; the writer thread holds it only to copy a line out. So nobody waits for stderr but the writer.
 *
 *     any thread:   level, rate limit of the site -> format -> queue (or count as dropped)
 *     writer:       queue -> poll(stderr) -> write(stderr)
 *
 * The writer asks poll(2) first: a pipe or a socket that is writable takes a line without blocking. That is how
 * log_stop() can give up on a reader who does not read.
 */
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES       1024
#define LINE_BYTES  512
#define POLL_MS     100
#define STOP_POLLS  20 /* times POLL_MS: how long log_stop() waits for a reader */
#define PREFIX_MOST 32

static struct {
        pthread_mutex_t lock; /* of all up to the thread */
        pthread_cond_t wake;
        char (*lines)[LINE_BYTES]; /* not NULL while the writer runs */
        unsigned first, n;
        unsigned long long dropped;
        bool stopping;
        char prefix[PREFIX_MOST];

        pthread_t thread;
        pthread_mutex_t site_lock; /* taken alone */
        atomic_int most;
        atomic_bool hurry; /* log_stop() was called */
} logger = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
        .prefix = "vmpagerd",
        .site_lock = PTHREAD_MUTEX_INITIALIZER,
        .most = LOG_LEVEL_INFO,
};

static char queue_memory[LINES][LINE_BYTES];

/* Waits until stderr takes something. False: it does not, and whoever waits wants an end. */
static bool writable(unsigned *polls_left)
{
        struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

        for (;;) {
                bool hurry = atomic_load(&logger.hurry);
                int r = poll(&p, 1, hurry && !*polls_left ? 0 : POLL_MS);

                if (r > 0)
                        return !(p.revents & POLLNVAL);
                if (r < 0 && errno != EINTR)
                        return false;
                if (r == 0 && hurry) {
                        if (!*polls_left)
                                return false;
                        --*polls_left;
                }
        }
}

/* Writes a line, or drops the rest of it where stderr is gone. */
static void write_line(const char *line, unsigned *polls_left)
{
        size_t len = strlen(line), done = 0;

        while (done < len && writable(polls_left)) {
                ssize_t n = write(STDERR_FILENO, line + done, len - done);

                if (n >= 0)
                        done += (size_t)n;
                else if (errno != EINTR && errno != EAGAIN)
                        return;
        }
}

/* For lines that no thread writes: a SIGPIPE from them is taken back. */
static void write_at_once(const char *line)
{
        const struct timespec now = { 0 };
        sigset_t pipe_set, old, pending;
        unsigned no_polls = 0;

        sigemptyset(&pipe_set);
        sigaddset(&pipe_set, SIGPIPE);
        sigpending(&pending);
        pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
        write_line(line, &no_polls);
        if (!sigismember(&pending, SIGPIPE))
                sigtimedwait(&pipe_set, NULL, &now);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* With the lock: puts into the last place. */
static char *queue_next(void)
{
        return logger.lines[(logger.first + logger.n++) % LINES];
}

/* With the lock: says what was dropped. */
static void drop_notice(char *line)
{
        snprintf(line, LINE_BYTES, "%s: warning: %llu log lines were dropped, nobody took them in time\n",
                 logger.prefix, logger.dropped);
        logger.dropped = 0;
}

/* With the lock: the next line to write, false when there is none. */
static bool queue_take(char *line)
{
        if (logger.n) {
                memcpy(line, logger.lines[logger.first], LINE_BYTES);
                logger.first = (logger.first + 1) % LINES;
                logger.n--;
                return true;
        }
        if (!logger.dropped)
                return false;
        drop_notice(line);
        return true;
}

static void *writer(void *arg)
{
        unsigned polls_left = STOP_POLLS;
        char line[LINE_BYTES];

        (void)arg;
        pthread_mutex_lock(&logger.lock);
        for (;;) {
                if (queue_take(line)) {
                        pthread_mutex_unlock(&logger.lock);
                        write_line(line, &polls_left);
                        pthread_mutex_lock(&logger.lock);
                } else if (logger.stopping) {
                        break;
                } else {
                        pthread_cond_wait(&logger.wake, &logger.lock);
                }
        }
        logger.lines = NULL; /* from here on lines are written at once, behind all that were queued */
        pthread_mutex_unlock(&logger.lock);
        return NULL;
}

int log_start(const char *prefix, enum log_level most)
{
        sigset_t all, old;
        int r;

        pthread_mutex_lock(&logger.lock);
        if (logger.lines) {
                pthread_mutex_unlock(&logger.lock);
                return -EALREADY;
        }
        snprintf(logger.prefix, sizeof(logger.prefix), "%s", prefix);
        atomic_store(&logger.most, (int)most);
        atomic_store(&logger.hurry, false);
        logger.first = logger.n = 0;
        logger.dropped = 0;
        logger.stopping = false;
        logger.lines = queue_memory;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&logger.thread, NULL, writer, NULL);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r)
                logger.lines = NULL;
        pthread_mutex_unlock(&logger.lock);
        return -r;
}

void log_stop(void)
{
        bool running;

        pthread_mutex_lock(&logger.lock);
        running = logger.lines && !logger.stopping;
        logger.stopping = true;
        atomic_store(&logger.hurry, true);
        pthread_cond_signal(&logger.wake);
        pthread_mutex_unlock(&logger.lock);
        if (running)
                pthread_join(logger.thread, NULL);
}

static void put(const char *line)
{
        pthread_mutex_lock(&logger.lock);
        if (!logger.lines) {
                pthread_mutex_unlock(&logger.lock);
                write_at_once(line);
                return;
        }
        if (logger.dropped && logger.n + 2 <= LINES)
                drop_notice(queue_next());
        if (logger.n < LINES && !logger.dropped)
                memcpy(queue_next(), line, LINE_BYTES);
        else
                logger.dropped++;
        pthread_cond_signal(&logger.wake);
        pthread_mutex_unlock(&logger.lock);
}

/* Seconds, never 0. */
static long long clock_second(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
        return (long long)ts.tv_sec + 1;
}

/*
 * Whether the site may log once more; *swallowed is how many it could not in its last second, to be told once. A new
 * second is opened under a lock, its number published last: who sees it sees the count that belongs to it.
 */
static bool site_admits(struct log_site *site, unsigned *swallowed)
{
        long long now = clock_second();

        *swallowed = 0;
        if (now > atomic_load(&site->second)) {
                pthread_mutex_lock(&logger.site_lock);
                if (now > atomic_load(&site->second)) {
                        *swallowed = atomic_exchange(&site->swallowed, 0);
                        atomic_store(&site->count, 0);
                        atomic_store(&site->second, now);
                }
                pthread_mutex_unlock(&logger.site_lock);
        }
        if (atomic_load(&site->count) < LOG_BURST && atomic_fetch_add(&site->count, 1) < LOG_BURST)
                return true;
        atomic_fetch_add(&site->swallowed, *swallowed + 1);
        return false;
}

/* One line stays one line, and no terminal is told anything: names in it may come from clients. */
static void make_plain(char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 0x7f)
                        *text = '?';
}

static void write_text(enum log_level level, const char *text)
{
        static const char *const marks[] = { "error: ", "warning: ", "", "debug: " };
        char line[LINE_BYTES], prefix[PREFIX_MOST];
        int len;

        pthread_mutex_lock(&logger.lock);
        memcpy(prefix, logger.prefix, sizeof(prefix));
        pthread_mutex_unlock(&logger.lock);
        len = snprintf(line, sizeof(line) - 1, "%s: %s%s", prefix, marks[level], text);
        if (len > (int)sizeof(line) - 2)
                len = (int)sizeof(line) - 2;
        line[len] = '\0';
        make_plain(line);
        line[len] = '\n';
        line[len + 1] = '\0';
        put(line);
}

void log_write(struct log_site *site, enum log_level level, const char *format, ...)
{
        char text[LINE_BYTES];
        unsigned swallowed;
        va_list ap;

        if ((int)level > atomic_load_explicit(&logger.most, memory_order_relaxed) || !site_admits(site, &swallowed))
                return;
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (swallowed) {
                char notice[96];

                snprintf(notice, sizeof(notice), "%u lines like the next were left out", swallowed);
                write_text(level, notice);
        }
        write_text(level, text);
}
