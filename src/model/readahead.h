/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_READAHEAD_H
#define MODEL_READAHEAD_H

#include <stdint.h>

/*
 * Who reads what was evicted in some order, and how many pages are worth to be brought along ("a window"). All that is
 * seen are faults that have to go to the disk, each with its thread and address. A stream is a line of them with one
 * distance between (its stride, up or down); a thread can have many (a merge of many runs), and threads can share one.
 *
 *     first fault         a stream with a place, and no stride
 *     a second nearby     its stride; if that is one page it is taken for a trend at once
 *     one more of those   the trend; from here on the pages that come next on it are brought along
 *     where those ended   the window was gone through: it was right, and the next one is twice as large
 *
 * A window is a hit only if the stream's next fault comes at or behind its end: then all of it lay on the way. If it
 * never does, since its stream is forgotten for another, it is waste, whether some of it was used or not.
 */
#define READAHEAD_STREAMS 32u
#define READAHEAD_MOST    64u /* pages of a window, at most */
#define READAHEAD_REACH   64  /* pages between two faults of one stream, at most, beside the window */

struct readahead_stream {
        uint32_t tid;    /* who came last */
        uint32_t window; /* pages worth to be brought along; 0: no trend yet */
        uint32_t open;   /* pages that were, and of which it is not known whether they lie on the way */
        int32_t stride;  /* pages; 0: not known */
        uint32_t steps;  /* faults in a row that had this stride */
        uint64_t last;   /* address of the last fault */
        uint64_t next;   /* where the next one is expected */
        uint64_t used;   /* when, by the clock below; 0: no stream */
};

struct readahead {
        struct readahead_stream v[READAHEAD_STREAMS];
        uint64_t clock;       /* faults */
        int trust;            /* windows that were right less those that were not, of late */
        uint64_t pages;       /* brought along */
        uint64_t hits, waste; /* of these; what is neither is in windows that are open */
};

/* What is to be brought along with the page of a fault: `pages` of them, `stride` pages apart from each other. */
struct readahead_plan {
        struct readahead_stream *stream;
        int32_t stride;
        uint32_t pages;
};

/*
 * A thread's fault on the page at addr has to go to the disk. `most` is the largest window, READAHEAD_MOST at most. The
 * plan is good until the next call; readahead_given() is to be called with it, whatever came of it.
 */
struct readahead_plan readahead_fault(struct readahead *r, uint32_t tid, uint64_t addr, uint32_t most);

/*
 * So many pages are brought along, and the first page on the stream's way behind them that would have to be read is the
 * one at `next`.
 */
void readahead_given(struct readahead *r, const struct readahead_plan *plan, uint32_t pages, uint64_t next);

#endif
