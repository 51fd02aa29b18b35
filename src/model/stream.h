/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_STREAM_H
#define MODEL_STREAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Who touches memory in sequence: for each of the last few threads, where its next access is expected and
 * how long the run was that it was last given. A run doubles while the thread comes back exactly where the last one
 * ended, and starts at one page again when it does not.
 */
#define STREAMS        16u
#define STREAM_MAX_RUN 64u

struct stream {
        uint32_t tid;
        uint32_t run;  /* pages given last */
        uint64_t next; /* address behind them */
};

struct streams {
        struct stream v[STREAMS];
        uint32_t clock;
};

/* Pages to give to a first touch of thread tid at addr: 1 .. STREAM_MAX_RUN. */
uint32_t stream_run(struct streams *s, uint32_t tid, uint64_t addr);

/* Says what was really given: `pages` from addr on. */
void stream_given(struct streams *s, uint32_t tid, uint64_t addr, uint32_t pages);

#endif
