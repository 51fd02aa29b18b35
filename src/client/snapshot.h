/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLIENT_SNAPSHOT_H
#define CLIENT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pager/space.h"

struct quantiles {
        uint64_t count, p50, p90, p99, p999, max; /* ns but for the count */
};

/* What is known of a client at one moment: plain numbers, taken in its worker's thread. */
struct client_snapshot {
        uint64_t serial; /* of the session, unique in this daemon */
        pid_t pid;
        uid_t uid;
        char comm[16];
        bool attended;  /* it has an agent, or has ended with one: it can be evicted */
        uint64_t grant; /* number of the grant it runs under, 0: none */
        uint64_t limit_bytes, resident_bytes, peak_resident_bytes;
        uint64_t swap_limit_bytes; /* 0: none */
        uint64_t stored_pages, kept_pages, standby_pages, ram_bytes, table_bytes, regions;
        uint64_t prefetched_pages, prefetch_hits, prefetch_waste; /* struct readahead */
        struct space_stats stats;
        struct quantiles service;
};

struct session;

/* Fills in *out from a session; in its worker's thread only. */
void snapshot_take(struct session *session, struct client_snapshot *out);

#endif
