// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log, with the test's own pipe as stderr. Every test ends the writer with log_stop(), so that what is read is
 * all there will be; check reports over stdout and a file.
 */
#include "util/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reader = -1;

/* Makes a pipe stderr. Its size is bytes; 0: as it comes. */
static void redirect(int bytes)
{
        int p[2];

        ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
        if (bytes)
                ck_assert_int_ge(fcntl(p[1], F_SETPIPE_SZ, bytes), bytes);
        ck_assert_int_eq(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
        close(p[1]);
        reader = p[0];
}

/* All that was written; nobody writes any more. */
static char *all_read(void)
{
        size_t used = 0, room = 1u << 20;
        char *buf = malloc(room + 1);
        ssize_t n;

        close(STDERR_FILENO);
        while ((n = read(reader, buf + used, room - used)) > 0)
                used += (size_t)n;
        ck_assert_int_eq(n, 0);
        buf[used] = '\0';
        close(reader);
        return buf;
}

static unsigned count(const char *text, const char *what)
{
        unsigned n = 0;

        for (; (text = strstr(text, what)); text += strlen(what))
                n++;
        return n;
}

START_TEST(test_levels)
{
        char *text;

        redirect(0);
        ck_assert_int_eq(log_start("tested", LOG_LEVEL_INFO), 0);
        ck_assert_int_eq(log_start("again", LOG_LEVEL_DEBUG), -EALREADY);
        log_error("one %d", 1);
        log_warning("two");
        log_info("three");
        log_debug("four");
        log_stop();
        log_stop();
        text = all_read();
        ck_assert_str_eq(text, "tested: error: one 1\ntested: warning: two\ntested: three\n");
        free(text);
}
END_TEST

/* Before log_start() and after log_stop() lines are there when the call returns. */
START_TEST(test_at_once)
{
        char *text;

        redirect(0);
        log_warning("before");
        ck_assert_int_eq(poll(&(struct pollfd){ .fd = reader, .events = POLLIN }, 1, 0), 1);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(log_start("x", LOG_LEVEL_DEBUG), 0);
                log_debug("within %d", i);
                log_stop();
        }
        log_info("after");
        text = all_read();
        ck_assert_ptr_nonnull(strstr(text, ": warning: before\nx: debug: within 0\nx: debug: within 1\n"
                                           "x: debug: within 2\nx: after\n"));
        free(text);
}
END_TEST

/* A line stays one line, however long it is and whatever is in it. */
START_TEST(test_one_line)
{
        char longer[2000], *text;

        memset(longer, 'y', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        redirect(0);
        log_start("x", LOG_LEVEL_INFO);
        log_info("a\nx: error: b\r\033[2J\x7f \xc3\xa4");
        log_info("%s", longer);
        log_stop();
        text = all_read();
        ck_assert_uint_eq(count(text, "\n"), 2);
        ck_assert_ptr_nonnull(strstr(text, "x: a?x: error: b??[2J? \xc3\xa4\n"));
        ck_assert_uint_ge(strlen(text), 500);
        ck_assert_uint_lt(strlen(text), 600);
        ck_assert_int_eq(text[strlen(text) - 1], '\n');
        free(text);
}
END_TEST

/*
 * LOG_BURST in a second. The site's second is set by hand to one long ago: then a later call opens a new one. How many
 * calls fall into which real second is not known, so the sum is what is checked.
 */
START_TEST(test_rate_limit)
{
        enum { CALLS = 1000 };
        struct log_site site = { 0 };
        unsigned written, told = 0;
        char *text, *at;

        redirect(0);
        log_start("x", LOG_LEVEL_INFO);
        for (unsigned i = 0; i < CALLS; i++)
                log_write(&site, LOG_LEVEL_INFO, "flood");
        for (unsigned i = 0; i < 3; i++)
                log_info("another site");
        atomic_store(&site.second, 1);
        log_write(&site, LOG_LEVEL_INFO, "flood");
        ck_assert_uint_eq(atomic_load(&site.swallowed), 0);
        log_stop();
        text = all_read();

        written = count(text, "x: flood\n");
        ck_assert_uint_ge(written, LOG_BURST + 1);
        for (at = text; (at = strstr(at, " lines like the next were left out\nx: flood\n")); at++) {
                char *number = at;

                while (number[-1] != ' ')
                        number--;
                told += (unsigned)strtoul(number, NULL, 10);
        }
        ck_assert_uint_eq(written + told, CALLS + 1);
        ck_assert_uint_gt(told, 0);
        ck_assert_uint_eq(count(text, "another site"), 3);
        free(text);
}
END_TEST

/* Sites in great number, so that no rate limit gets in the way. */
static struct log_site *sites(unsigned n)
{
        return calloc(n, sizeof(struct log_site));
}

/*
 * Nobody reads: the calls return all the same, what does not fit is dropped and counted, and when there is room again
 * the count is in the log.
 */
START_TEST(test_full)
{
        enum { CALLS = 5000 };
        struct log_site *site = sites(CALLS);
        unsigned long long dropped = 0;
        unsigned written;
        char *text, *at;

        redirect(4096);
        log_start("x", LOG_LEVEL_INFO);
        for (unsigned i = 0; i < CALLS; i++)
                log_write(&site[i], LOG_LEVEL_INFO, "line %06u", i);

        /* room for all that is queued */
        ck_assert_int_eq(fcntl(reader, F_SETPIPE_SZ, 1 << 20), 1 << 20);
        log_stop();
        text = all_read();
        written = count(text, "x: line ");
        for (at = text; (at = strstr(at, " log lines were dropped")); at++) {
                char *number = at;

                while (number[-1] != ' ')
                        number--;
                dropped += strtoull(number, NULL, 10);
        }
        ck_assert_uint_ge(written, 1024);
        ck_assert_uint_gt(dropped, 0);
        ck_assert_uint_eq(written + dropped, CALLS);
        for (unsigned i = 0; i < 1024; i++) { /* in order, the oldest first */
                char want[32];

                snprintf(want, sizeof(want), "x: line %06u\n", i);
                ck_assert_ptr_nonnull(strstr(text, want));
        }
        free(text);
        free(site);
}
END_TEST

/* The reader never reads: log_stop() returns (check's time limit says so). */
START_TEST(test_stuck)
{
        struct log_site *site = sites(3000);

        redirect(4096);
        log_start("x", LOG_LEVEL_INFO);
        for (unsigned i = 0; i < 3000; i++)
                log_write(&site[i], LOG_LEVEL_INFO, "line %06u", i);
        log_stop();
        log_info("one more, at once");
        free(site);
}
END_TEST

static bool pipe_pending(void)
{
        sigset_t set;

        sigpending(&set);
        return sigismember(&set, SIGPIPE);
}

static void log_to_nobody(void)
{
        log_warning("at once");
        ck_assert(!pipe_pending());
        log_start("x", LOG_LEVEL_INFO);
        log_warning("queued");
        log_info("queued too");
        log_stop();
}

/* stderr has no reader, is closed, or is a full device: nothing happens, and no signal. */
START_TEST(test_gone)
{
        redirect(0);
        close(reader);
        log_to_nobody();
        close(STDERR_FILENO);
        log_to_nobody();
        ck_assert_int_eq(open("/dev/full", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        log_to_nobody();
}
END_TEST

/* O_NONBLOCK on stderr, which may be somebody else's doing, loses nothing while the reader reads. */
static void *read_slowly(void *arg)
{
        size_t *total = arg;
        char buf[100];
        ssize_t n;

        while ((n = read(reader, buf, sizeof(buf))) > 0)
                *total += (size_t)n;
        return NULL;
}

START_TEST(test_nonblocking)
{
        enum { CALLS = 900 };
        struct log_site *site = sites(CALLS);
        size_t total = 0;
        pthread_t thread;

        redirect(4096);
        ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, &total), 0);
        log_start("x", LOG_LEVEL_INFO);
        for (unsigned i = 0; i < CALLS; i++)
                log_write(&site[i], LOG_LEVEL_INFO, "%-400u", i);
        log_stop();
        close(STDERR_FILENO);
        pthread_join(thread, NULL);
        ck_assert_uint_eq(total, CALLS * (400 + strlen("x: \n")));
        free(site);
}
END_TEST

enum { THREADS = 4, LINES = 200 };

static void *log_many(void *arg)
{
        static struct log_site one;
        unsigned me = *(unsigned *)arg;
        struct log_site *site = sites(LINES);

        for (unsigned i = 0; i < LINES; i++) {
                log_write(&site[i], LOG_LEVEL_INFO, "thread %u line %03u", me, i);
                log_write(&one, LOG_LEVEL_INFO, "shared site");
        }
        free(site);
        return NULL;
}

/* Lines of several threads: whole, complete, and each thread's in order. */
START_TEST(test_threads)
{
        unsigned index[THREADS], next[THREADS] = { 0 }, t, n;
        pthread_t threads[THREADS];
        char *text;

        redirect(1 << 20);
        log_start("x", LOG_LEVEL_INFO);
        for (unsigned i = 0; i < THREADS; i++) {
                index[i] = i;
                ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many, &index[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        log_stop();
        text = all_read();
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                if (sscanf(line, "x: thread %u line %u", &t, &n) == 2) {
                        ck_assert_uint_lt(t, THREADS);
                        ck_assert_uint_eq(n, next[t]++);
                } else {
                        ck_assert_msg(strstr(line, "shared site") || strstr(line, "left out"), "%s", line);
                }
        }
        for (t = 0; t < THREADS; t++)
                ck_assert_uint_eq(next[t], LINES);
        free(text);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("log");
        TCase *tc = tcase_create("log");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_levels);
        tcase_add_test(tc, test_at_once);
        tcase_add_test(tc, test_one_line);
        tcase_add_test(tc, test_rate_limit);
        tcase_add_test(tc, test_full);
        tcase_add_test(tc, test_stuck);
        tcase_add_test(tc, test_gone);
        tcase_add_test(tc, test_nonblocking);
        tcase_add_test(tc, test_threads);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
