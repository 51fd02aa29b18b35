/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First on the way of an eviction: a hand goes round the memory that is certain to be registered, chunk by chunk, and
 * takes the pages that are present from those that the tracker calls cold. A chunk is finished before the hand goes
 * on, since adjacent pages cost a third of scattered ones to detach, and lie together in the store.
 *
 * After a fork, pages that another process has too are passed by: they cannot be detached, and it would free nothing.
 */
#include "pager/evict.h"

#include "idle/idle.h"
#include "pager/event.h"
#include "pager/sparse.h"
#include "util/bug.h"

#define RUNS 64u

/* Chunks that one search looks at, so that it takes a millisecond or two at most. The next goes on from there. */
#define CHUNKS 64u

/*
 * Rounds in which a tracker may call a chunk warm before it is taken all the same, and the length of a futile
 * search.
 */
#define MAX_ROUNDS 6u

/* Whether the page is the client's alone, by what was found out of those from start on. */
static bool is_mine(const struct procfs_sharing *sharing, uint64_t start, uint64_t addr)
{
        uint64_t i = (addr - start) / PAGE_SIZE_;

        return sharing->mine[i / 64] >> i % 64 & 1;
}

/* Takes the evictable pages of [start, end), which lies in one chunk, up to max. Returns where it stopped. */
static uint64_t take_present(struct space *s, uint64_t start, uint64_t end, struct vmpager_run *out, uint32_t max,
                             uint32_t *n_runs, uint32_t *n_pages)
{
        struct procfs_run run[RUNS];
        struct procfs_sharing sharing;
        uint64_t next;
        int n = s->port->ops->present(s->port, start, end, run, RUNS, max - *n_pages, &next);

        if (n < 0 || (n > 0 && s->shares && s->port->ops->sharing(s->port, start, end, &sharing) < 0))
                return end;
        event_settle_absent(s, start, next, run, n);
        for (int i = 0; i < n; i++) {
                for (uint64_t a = run[i].start; a < run[i].end; a += PAGE_SIZE_) {
                        struct vmpager_run *last = *n_runs ? &out[*n_runs - 1] : NULL;

                        if (page_state(ptable_get(&s->table, a)) != PAGE_NATIVE || evict_keeps(s, a) ||
                            (s->shares && !is_mine(&sharing, start, a)))
                                continue;
                        if (last && last->addr + last->pages * PAGE_SIZE_ == a)
                                last->pages++;
                        else
                                out[(*n_runs)++] = (struct vmpager_run){ .addr = a, .pages = 1 };
                        ++*n_pages;
                }
        }
        return next;
}

static bool passed_by(struct space *s, uint64_t addr, unsigned round)
{
        struct chunk *c = ptable_chunk(&s->table, addr);

        if (!c)
                return false;
        if (c->avoid) {
                /* Once in a search: one that finds nothing else is to find nothing, and not the same pages again. */
                c->avoid -= round == 0 || bug(AVOIDS_BRIEFLY);
                return true;
        }
        return round < MAX_ROUNDS && !s->pager->idle->is_cold(c);
}

uint32_t evict_pick(struct space *s, struct vmpager_run *runs, uint32_t max, uint32_t *n_runs)
{
        uint32_t n_pages = 0, before;

        *n_runs = 0;
        if (s->certain.n == 0) {
                /* What is registered becomes certain as soon as the mappings come to rest. */
                s->rounds = s->doubtful ? s->rounds : MAX_ROUNDS + 1;
                return 0;
        }
        for (unsigned i = 0; i < CHUNKS && n_pages < max && s->rounds <= MAX_ROUNDS; i++) {
                const struct region *r = region_at_or_after(&s->certain, s->hand);
                uint64_t start, end, chunk_end;
                bool fresh; /* the hand has only just come to this chunk */

                if (!r) {
                        s->hand = s->hand_chunk = 0;
                        s->rounds++;
                        if (n_pages)
                                break; /* never the same page twice in a batch */
                        continue;
                }
                start = s->hand > r->start ? s->hand : r->start;
                chunk_end = (start | (PTABLE_CHUNK_SIZE - 1)) + 1;
                end = chunk_end < r->end ? chunk_end : r->end;
                fresh = chunk_end != s->hand_chunk;
                s->hand_chunk = chunk_end;
                if (fresh && passed_by(s, start, s->rounds)) {
                        s->hand = chunk_end; /* and not into its other mappings */
                        continue;
                }
                before = n_pages;
                s->hand = take_present(s, start, end, runs, max, n_runs, &n_pages);
                if (n_pages == before && s->hand == chunk_end && chunk_end < r->end)
                        s->hand = sparse_skip(s, chunk_end, r->end);
        }
        if (n_pages)
                s->rounds = 0;
        return n_pages;
}

bool evict_pick_is_futile(struct space *s)
{
        if (s->rounds <= MAX_ROUNDS)
                return false;
        s->rounds = 0;
        return true;
}
