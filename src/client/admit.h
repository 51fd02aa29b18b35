/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a new client may take. "vmpagerctl run" is granted that for itself and all that descends from it; a client
 * finds its grant by going up its parents until it meets the process that holds one, or another client, whose terms it
 * then inherits. Everybody else gets the default class's. One thread (the main loop's).
 */
#ifndef CLIENT_ADMIT_H
#define CLIENT_ADMIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/snapshot.h"
#include "client/terms.h"

/* Most ended clients that a grant remembers. */
#define ADMIT_ENDED_MAX 64

struct grant {
        pid_t pid;
        uid_t uid;
        struct client_terms terms;                     /* with its own number, > 0 */
        struct client_snapshot ended[ADMIT_ENDED_MAX]; /* the ones that evicted most */
        size_t n_ended;
        struct grant *prev, *next;
};

struct member {
        pid_t pid;
        uid_t uid;
        struct client_terms terms;
        struct member *prev, *next;
};

struct admit {
        struct grant *grants;
        struct member *members;
        uint64_t last_number;
        struct client_terms defaults; /* of the default class */
};

/* A grant of the default class's terms for a process; NULL without memory. It lasts until admit_revoke(). */
struct grant *admit_grant(struct admit *a, pid_t pid, uid_t uid);
void admit_revoke(struct admit *a, struct grant *grant);

/* A new client: finds its terms, and remembers them for those that descend from it. */
void admit_client(struct admit *a, pid_t pid, uid_t uid, struct client_terms *out);

/* The newest client of that pid was forked by another, whose terms it has: so do its descendants. */
void admit_inherited(struct admit *a, pid_t pid, const struct client_terms *terms);

/* A client has ended; its last snapshot goes to its grant. */
void admit_ended(struct admit *a, const struct client_snapshot *last);

/* Frees all grants and members. */
void admit_clear(struct admit *a);

#endif
