/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two ways to the same file, each with a part of its own there: the store, on the loop that the workers have, and a
 * ring as one would write it by hand. Both move pages of `source` and compare what they read with it; a difference
 * ends the program.
 */
#ifndef TESTS_STORE_WAYS_H
#define TESTS_STORE_WAYS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define DEPTH_MOST 32u
#define RUN_MOST   256u /* pages of one I/O: the pager's largest batch */

struct loop;

struct bench {
        const unsigned char *source; /* what is written */
        uint32_t pages;              /* of it; a multiple of RUN_MOST */
        unsigned char *area;         /* to read into: DEPTH_MOST * RUN_MOST pages */
        uint64_t random;

        struct store *store;
        struct store_owner *owner; /* of what is written */
        struct loop *loop;
        struct store_port *port;
        int source_buffer, area_buffer; /* in loop */
        store_loc *locs;                /* of each page, while `stored` */
        bool stored;

        struct io_uring ring;
        int fd;
        uint64_t base; /* where the ring's part of the file begins: behind the store's */
};

/* A number of I/Os of the same kind. */
struct job {
        bool write;     /* all of source in order, once; else at random */
        bool spin;      /* the ring's: does not sleep while it waits */
        uint32_t pages; /* of an I/O */
        unsigned depth;
        uint64_t count;
};

struct outcome {
        uint64_t ns;       /* from the first to the last */
        uint64_t pages;    /* moved */
        uint64_t p50, p99; /* ns of one I/O */
};

/* Says why on stderr and ends the program. */
_Noreturn void bench_fail(const char *what, int r);

/*
 * Opens both: the store has to be open, on a file of `bytes` at path, which gets longer here by what the ring needs
 * (0: no ring is wanted). Source and area are allocated here, for `pages` pages.
 */
void bench_open(struct bench *b, struct store *store, const struct store_owner_config *owner, const char *path,
                uint64_t bytes, uint32_t pages);
void bench_close(struct bench *b); /* and the store */

/* Does a job. What an earlier write job has written is gone when the next one begins. */
void run_by_store(struct bench *b, const struct job *job, struct outcome *out);
void run_by_ring(struct bench *b, const struct job *job, struct outcome *out);

/* Frees the pages that the store holds. */
void forget_stored(struct bench *b);

#endif
