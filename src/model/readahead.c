/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fault belongs to the stream on whose way it lies; then to one that has no trend yet and is near, which gets its
 * stride from it; else it begins a stream, in the place of the one that was quiet for longest.
 *
 * A client whose windows were mostly wrong has to show its trends for longer. Random accesses hit on one by chance
 * seldom, and a window that is wrong is small, as it doubles only where it was gone through.
 */
#include "model/readahead.h"

#include <stdbool.h>
#include <stddef.h>

#include "model/page.h"

#define FIRST_WINDOW 4u
#define TRUST_MOST   8
#define SLACK        32 /* steps behind the end of a window at which its stream is still known again */

/* Whole pages from one address to another, with sign. */
static int64_t distance(uint64_t from, uint64_t to)
{
        return ((int64_t)to - (int64_t)from) / (int64_t)PAGE_SIZE_;
}

/* How many strides from the stream's last fault; 0: it does not lie on the stream's way, or not within its reach. */
static int64_t steps_to(const struct readahead_stream *t, uint64_t addr)
{
        int64_t far = distance(t->last, addr), steps;

        if (t->stride == 0 || far % t->stride)
                return 0;
        steps = far / t->stride;
        return steps > 0 && steps <= distance(t->last, t->next) / t->stride + SLACK ? steps : 0;
}

static int64_t absolute(int64_t n)
{
        return n < 0 ? -n : n;
}

/*
 * How well the fault fits the stream: less is better, 0 does not. One thread's own streams are better than others'; a
 * trend counts more than to be near.
 */
static unsigned fits(const struct readahead_stream *t, uint32_t tid, uint64_t addr)
{
        unsigned other = t->tid != tid, near = (unsigned)absolute(distance(t->last, addr));

        if (!t->used)
                return 0;
        if (t->window && steps_to(t, addr))
                return 1 + (t->next != addr) * 2 + other;
        if (!t->window && near && near <= READAHEAD_REACH)
                return 5 + other * READAHEAD_REACH + near;
        return 0;
}

static struct readahead_stream *find(struct readahead *r, uint32_t tid, uint64_t addr)
{
        struct readahead_stream *best = NULL;
        unsigned least = 0;

        for (unsigned i = 0; i < READAHEAD_STREAMS; i++) {
                unsigned fit = fits(&r->v[i], tid, addr);

                if (fit && (!best || fit < least)) {
                        best = &r->v[i];
                        least = fit;
                }
        }
        return best;
}

static void hit(struct readahead *r, struct readahead_stream *t, uint32_t pages)
{
        pages = pages < t->open ? pages : t->open;
        t->open -= pages;
        r->hits += pages;
        r->trust += pages && !t->open && r->trust < TRUST_MOST;
}

static void waste(struct readahead *r, struct readahead_stream *t)
{
        r->waste += t->open;
        r->trust -= t->open && r->trust > -TRUST_MOST;
        t->open = 0;
}

static void begin(struct readahead *r, uint32_t tid, uint64_t addr)
{
        struct readahead_stream *oldest = &r->v[0];

        for (unsigned i = 1; i < READAHEAD_STREAMS; i++)
                if (r->v[i].used < oldest->used)
                        oldest = &r->v[i];
        waste(r, oldest);
        *oldest = (struct readahead_stream){ .tid = tid, .last = addr, .next = addr, .used = r->clock };
}

/* A stream without a trend has come by here. */
static void learn(const struct readahead *r, struct readahead_stream *t, uint64_t addr)
{
        int32_t stride = (int32_t)distance(t->last, addr);

        t->steps = stride == t->stride ? t->steps + 1 : 1;
        t->stride = stride;
        if (t->steps >= (absolute(stride) == 1 ? 1u : 2u) + (r->trust < 0 ? 1u : 0u))
                t->window = FIRST_WINDOW;
}

/* A stream with a trend goes on. */
static void go_on(struct readahead *r, struct readahead_stream *t, uint64_t addr)
{
        int64_t steps = steps_to(t, addr), window = distance(t->last, t->next) / t->stride;

        if (steps >= window) {
                hit(r, t, t->open);
                if (steps == window)
                        t->window *= 2;
        } else {
                /* A page of the window is out again, or could not be brought along: it was too large. */
                hit(r, t, (uint32_t)steps - 1);
                t->window = t->window / 2 > FIRST_WINDOW ? t->window / 2 : FIRST_WINDOW;
        }
}

struct readahead_plan readahead_fault(struct readahead *r, uint32_t tid, uint64_t addr, uint32_t most)
{
        struct readahead_stream *t = find(r, tid, addr);

        r->clock++;
        if (!t) {
                begin(r, tid, addr);
                return (struct readahead_plan){ 0 };
        }
        if (t->window)
                go_on(r, t, addr);
        else
                learn(r, t, addr);
        if (t->window > most)
                t->window = most;
        t->tid = tid;
        t->last = addr;
        t->next = addr + (uint64_t)((int64_t)t->stride * (int64_t)PAGE_SIZE_);
        t->used = r->clock;
        return (struct readahead_plan){ .stream = t, .stride = t->stride, .pages = t->window };
}

void readahead_given(struct readahead *r, const struct readahead_plan *plan, uint32_t pages, uint64_t next)
{
        r->pages += pages;
        if (!plan->stream)
                return;
        plan->stream->open += pages;
        plan->stream->next = next;
}
