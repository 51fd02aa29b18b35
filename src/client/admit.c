/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two short lists: grants are as many as "vmpagerctl run"s, members as many as clients. */
#include "client/admit.h"

#include <stdlib.h>
#include <utlist.h>

#include "sys/procfs.h"

/* Generations that are gone up: more than any real process tree has between a command and its tool. */
#define ANCESTORS 64

struct grant *admit_grant(struct admit *a, pid_t pid, uid_t uid)
{
        struct grant *g = calloc(1, sizeof(*g));

        if (!g)
                return NULL;
        g->pid = pid;
        g->uid = uid;
        g->terms = a->defaults;
        g->terms.grant = ++a->last_number;
        DL_APPEND(a->grants, g);
        return g;
}

void admit_revoke(struct admit *a, struct grant *grant)
{
        DL_DELETE(a->grants, grant);
        free(grant);
}

/* Whether pid settles the question; a process of another user's (but root's) does not. */
static int settles(struct admit *a, pid_t pid, uid_t uid, struct client_terms *out)
{
        struct member *m;
        struct grant *g;

        DL_FOREACH(a->grants, g)
                if (g->pid == pid && (g->uid == uid || g->uid == 0)) {
                        *out = g->terms;
                        return 1;
                }
        DL_FOREACH(a->members, m)
                if (m->pid == pid && (m->uid == uid || m->uid == 0)) {
                        *out = m->terms;
                        return 1;
                }
        return 0;
}

void admit_client(struct admit *a, pid_t pid, uid_t uid, struct client_terms *out)
{
        struct member *m = calloc(1, sizeof(*m));
        pid_t up = pid;

        *out = a->defaults;
        for (unsigned i = 0; i < ANCESTORS && up > 1; i++)
                if (settles(a, up, uid, out) || procfs_parent(up, &up) < 0)
                        break;
        if (!m)
                return;
        *m = (struct member){ .pid = pid, .uid = uid, .terms = *out };
        DL_PREPEND(a->members, m);
}

void admit_inherited(struct admit *a, pid_t pid, const struct client_terms *terms)
{
        struct member *m;

        DL_FOREACH(a->members, m)
                if (m->pid == pid) {
                        m->terms = *terms;
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
                if (m->pid == last->pid && m->terms.grant == last->grant)
                        found = m;
        if (found) {
                DL_DELETE(a->members, found);
                free(found);
        }
        DL_FOREACH(a->grants, g)
                if (g->terms.grant == last->grant)
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
