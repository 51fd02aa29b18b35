/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fork left shared cannot be detached, and is no memory of this client's alone: it does not count against its
 * limit as long as another process has it. How much that is changes without a word, so it is counted all the time,
 * some chunks with each look at the client's size.
 */
#include "pager/sharing.h"

#define SLICE 16u /* chunks a look: 8192 pages, some 0.1 ms */

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

void sharing_look(struct space *s)
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
        }
}
