/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two short lists: grants are as many as "vmpagerctl run"s, members as many as clients. */
#include "client/admit.h"

#include <stdlib.h>
#include <utlist.h>

#include "sys/procfs.h"

/* Generations that are gone up: more than any real process tree has between a command and its tool. */
#define ANCESTORS 64

struct grant *admit_grant(struct admit *a, pid_t pid, uid_t uid, uint64_t limit)
{
        struct grant *g = calloc(1, sizeof(*g));

        if (!g)
                return NULL;
        g->number = ++a->last_number;
        g->pid = pid;
        g->uid = uid;
        g->limit = limit;
        DL_APPEND(a->grants, g);
        return g;
}

void admit_revoke(struct admit *a, struct grant *grant)
{
        DL_DELETE(a->grants, grant);
        free(grant);
}

/* Whether pid settles the question; a process of another user's (but root's) does not. */
static int settles(struct admit *a, pid_t pid, uid_t uid, uint64_t *limit, uint64_t *grant)
{
        struct member *m;
        struct grant *g;

        DL_FOREACH(a->grants, g)
                if (g->pid == pid && (g->uid == uid || g->uid == 0)) {
                        *limit = g->limit;
                        *grant = g->number;
                        return 1;
                }
        DL_FOREACH(a->members, m)
                if (m->pid == pid && (m->uid == uid || m->uid == 0)) {
                        *limit = m->limit;
                        *grant = m->grant;
                        return 1;
                }
        return 0;
}

void admit_client(struct admit *a, pid_t pid, uid_t uid, uint64_t *limit, uint64_t *grant)
{
        struct member *m = calloc(1, sizeof(*m));
        pid_t up = pid;

        *limit = a->default_limit;
        *grant = 0;
        for (unsigned i = 0; i < ANCESTORS && up > 1; i++)
                if (settles(a, up, uid, limit, grant) || procfs_parent(up, &up) < 0)
                        break;
        if (!m)
                return;
        *m = (struct member){ .pid = pid, .uid = uid, .limit = *limit, .grant = *grant };
        DL_PREPEND(a->members, m);
}

void admit_inherited(struct admit *a, pid_t pid, uint64_t limit, uint64_t grant)
{
        struct member *m;

        DL_FOREACH(a->members, m)
                if (m->pid == pid) {
                        m->limit = limit;
                        m->grant = grant;
                        return;
                }
}

static void remember(struct grant *g, const struct client_snapshot *last)
{
        size_t least = 0;

        if (last->comm[0] == '\0')
                return;
        if (g->n_ended < ADMIT_ENDED_MAX) {
                g->ended[g->n_ended++] = *last;
                return;
        }
        for (size_t i = 1; i < g->n_ended; i++)
                if (g->ended[i].stats.evicted_pages < g->ended[least].stats.evicted_pages)
                        least = i;
        if (last->stats.evicted_pages > g->ended[least].stats.evicted_pages)
                g->ended[least] = *last;
}

void admit_ended(struct admit *a, const struct client_snapshot *last)
{
        struct member *m, *found = NULL;
        struct grant *g;

        /* The oldest of that pid: exec leaves the pid to the next client before this one's end is seen. */
        DL_FOREACH(a->members, m)
                if (m->pid == last->pid && m->grant == last->grant)
                        found = m;
        if (found) {
                DL_DELETE(a->members, found);
                free(found);
        }
        DL_FOREACH(a->grants, g)
                if (g->number == last->grant)
                        remember(g, last);
}

void admit_clear(struct admit *a)
{
        struct grant *g, *next_g;
        struct member *m, *next_m;

        DL_FOREACH_SAFE(a->grants, g, next_g)
                admit_revoke(a, g);
        DL_FOREACH_SAFE(a->members, m, next_m) {
                DL_DELETE(a->members, m);
                free(m);
        }
}
