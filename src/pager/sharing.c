/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fork left shared cannot be detached, and is no memory of this client's alone: it does not count against its
 * limit as long as another process has it. How much that is changes without a word, so it is counted all the time,
 * some chunks with each look at the client's size.
 */
#include "pager/sharing.h"

#include "pager/sparse.h"

#define SLICE 16u /* chunks a look: 8192 pages, some 0.1 ms */

/* After a look at any client a pause of so many times as long: a large family is one worker's, which has faults too. */
#define PAUSE 8u

/* A round is over. */
static void end_round(struct space *s)
{
        budget_share(&s->budget, s->sharing.found);
        s->sharing = (struct sharing){ 0 };
}

static uint64_t count(const struct procfs_sharing *found)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < PROCFS_SHARING_MOST / 64; i++)
                n += (uint64_t)__builtin_popcountll(found->shared[i]);
        return n;
}

static bool is_empty(const struct procfs_sharing *found)
{
        uint64_t any = 0;

        for (unsigned i = 0; i < PROCFS_SHARING_MOST / 64; i++)
                any |= found->shared[i] | found->mine[i];
        return !any;
}

static void look(struct space *s)
{
        for (unsigned i = 0; i < SLICE; i++) {
                const struct region *r = region_at_or_after(&s->regions, s->sharing.hand);
                struct procfs_sharing found;
                uint64_t start, end;

                if (!r) {
                        end_round(s);
                        return;
                }
                start = s->sharing.hand > r->start ? s->sharing.hand : r->start;
                end = (start | (PTABLE_CHUNK_SIZE - 1)) + 1;
                if (end > r->end)
                        end = r->end;
                if (s->port->ops->sharing(s->port, start, end, &found) < 0)
                        return;
                s->sharing.found += count(&found) * PAGE_SIZE_;
                s->sharing.hand = end;
                if (end < r->end && is_empty(&found))
                        s->sharing.hand = sparse_skip(s, end, r->end);
        }
}

void sharing_look(struct space *s)
{
        uint64_t began = s->port->ops->now(s->port);

        if (began < s->pager->sharing_after)
                return;
        look(s);
        s->pager->sharing_after = began + (s->port->ops->now(s->port) - began) * (PAUSE + 1);
}
