/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Under which limit a new client runs. "vmpagerctl run" is granted a limit for itself and all that descends from
 * it; a client finds its grant by going up its parents until it meets the process that holds one, or another
 * client, whose limit it then inherits. Everybody else gets the default class's limit. One thread (the main
 * loop's).
 */
#ifndef CLIENT_ADMIT_H
#define CLIENT_ADMIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/snapshot.h"

/* Most ended clients that a grant remembers. */
#define ADMIT_ENDED_MAX 64

struct grant {
        uint64_t number; /* > 0 */
        pid_t pid;
        uid_t uid;
        uint64_t limit;                                /* bytes, 0: none */
        struct client_snapshot ended[ADMIT_ENDED_MAX]; /* the ones that evicted most */
        size_t n_ended;
        struct grant *prev, *next;
};

struct member {
        pid_t pid;
        uid_t uid;
        uint64_t limit, grant;
        struct member *prev, *next;
};

struct admit {
        struct grant *grants;
        struct member *members;
        uint64_t last_number;
        uint64_t default_limit;
};

/* A grant for a process; NULL without memory. It lasts until admit_revoke(). */
struct grant *admit_grant(struct admit *a, pid_t pid, uid_t uid, uint64_t limit);
void admit_revoke(struct admit *a, struct grant *grant);

/*
 * A new client: finds its limit and the number of its grant (0: none), and remembers it for those that descend
 * from it.
 */
void admit_client(struct admit *a, pid_t pid, uid_t uid, uint64_t *limit, uint64_t *grant);

/* The newest client of that pid was forked by another, whose limit and grant it has: so do its descendants. */
void admit_inherited(struct admit *a, pid_t pid, uint64_t limit, uint64_t grant);

/* A client has ended; its last snapshot goes to its grant. */
void admit_ended(struct admit *a, const struct client_snapshot *last);

/* Frees all grants and members. */
void admit_clear(struct admit *a);

#endif
