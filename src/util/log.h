/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>

/*
 * The daemon's log. A line is put into a bounded queue and written to stderr by a thread of its own: a
 * pager must not wait for whoever reads its log, who may be one of its own clients. When the queue is
 * full the line is dropped and counted, and the count is logged when there is room again. Each call
 * site passes at most LOG_BURST lines in a second, then says how many it swallowed.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_BURST 20

/* Starts the writer thread. Until then, and after log_stop(), lines are written at once. */
int log_start(const char *prefix, enum log_level most);

/* Writes what is queued and ends the thread. */
void log_stop(void);

/* State of one call site's rate limit; zero-initialised. */
struct log_site {
        _Atomic long long second;
        _Atomic unsigned count;
        _Atomic unsigned swallowed;
};

/*
 * Writes one line (the format takes no trailing newline); the macros below call it with
 * a state of their own for each place in the code.
 */
void log_write(struct log_site *site, enum log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_at(level, ...)                                        \
        do {                                                      \
                static struct log_site log_site_;                 \
                log_write(&log_site_, (level), __VA_ARGS__);      \
        } while (0)

#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
