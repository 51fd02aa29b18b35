/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the client's page tables have to say about where its pages are. A page that is out has a mark at its place
 * (vmpager/ring.h); one that is in, or was never touched, has none. Without a mark are out: pages whose mark could not
 * be set (bare), and poisoned ones. With a mark and not out are pages that were discarded just now, or when their mark
 * could not be taken away (stray).
 *
 * What is noted of a page may be none of the program's: a child has notes of what its parent had at that place before
 * or after the fork, or has with MADV_WIPEONFORK, and MADV_GUARD_INSTALL sends no event (fault-route.c drops such a
 * note when the page is touched). There a note without a mark says nothing; all marks still have to be explained.
 */
#include <errno.h>

#include "pager/event.h"
#include "util/bug.h"

#define TRIES 64u

static bool is_out(page_entry e)
{
        switch (page_state(e)) {
        case PAGE_STANDBY:
        case PAGE_STORED:
        case PAGE_FETCHING:
        case PAGE_ZERO:
                return true;
        default:
                return false;
        }
}

static bool may_be_out(page_entry e)
{
        return is_out(e) || page_state(e) == PAGE_POISONED;
}

/* Notes those of the runs that the events are about. */
static int note(struct event_judge *j, const struct procfs_run *run, int n)
{
        int r = 0;

        for (int i = 0; i < n; i++)
                for (uint64_t at = run[i].start; r == 0 && at < run[i].end;) {
                        const struct region *t = region_at_or_after(j->touched, at);
                        uint64_t from, to;

                        if (!t || t->start >= run[i].end)
                                break;
                        from = t->start > at ? t->start : at;
                        to = t->end < run[i].end ? t->end : run[i].end;
                        r = region_add(&j->marked, from, to);
                        j->n_marked += (to - from) / PAGE_SIZE_;
                        at = to;
                }
        return r;
}

static int read_marks(struct event_judge *j)
{
        struct space *s = j->space;
        uint64_t at = j->touched->v[0].start, end = j->touched->v[j->touched->n - 1].end;
        int r = 0;

        region_clear(&j->marked);
        j->n_marked = 0;
        while (r == 0 && at < end) {
                uint64_t next = end;
                int n = s->port->ops->marked(s->port, at, end, j->run, EVENT_JUDGE_RUNS, &next);

                r = n < 0 ? n : note(j, j->run, n);
                at = next;
        }
        return r;
}

/*
 * Where one call follows the other, moments at which nothing is changing are short; but while the marks are read a
 * thread that comes out of one call does not get into the next, which needs the lock on the mappings, and is asleep
 * for a moment longer.
 */
static int look(struct event_judge *j)
{
        for (unsigned tries = 0; tries < TRIES; tries++) {
                int r = read_marks(j);

                if (r < 0)
                        return r;
                if (!j->space->port->ops->changing(j->space->port))
                        return 0;
        }
        return -EAGAIN;
}

static uint64_t marked_in(const struct event_judge *j, uint64_t start, uint64_t end)
{
        const struct region *r;
        uint64_t n = 0;

        while (start < end && (r = region_at_or_after(&j->marked, start)) && r->start < end) {
                uint64_t from = r->start > start ? r->start : start, to = r->end < end ? r->end : end;

                n += (to - from) / PAGE_SIZE_;
                start = to;
        }
        return n;
}

/* A hash of one page's way: summed up, the same pages at the same places give the same number in any order. */
static uint64_t trace(uint64_t from, uint64_t to)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        h = (h ^ from) * UINT64_C(0x100000001b3);
        h = (h ^ (h >> 29) ^ to) * UINT64_C(0x9e3779b97f4a7c15);
        return h ^ (h >> 32);
}

void event_judge_init(struct event_judge *j, struct space *s)
{
        *j = (struct event_judge){ .space = s, .touched = &s->journal.ranges, .lenient = s->heir };
}

int event_judge_look(struct event_judge *j)
{
        if (!j->has_looked)
                j->error = look(j);
        j->has_looked = true;
        return j->error;
}

void event_judge_clear(struct event_judge *j)
{
        region_clear(&j->marked);
}

uint64_t event_judge(void *arg, const struct pieces *outcome)
{
        struct event_judge *j = arg;
        const struct ptable *t = &j->space->table;
        uint64_t claimed = 0, verdict = 0;

        if (event_judge_look(j) < 0)
                return 0;
        if (bug(MARKS_IGNORED))
                return 1;
        for (size_t i = 0; i < outcome->n; i++) {
                const struct piece *p = &outcome->v[i];
                uint64_t end = p->origin + p->len;

                if (p->at == p->origin && !region_touches(j->touched, p->origin, end))
                        continue;
                if (p->discarded) {
                        claimed += marked_in(j, p->at, p->at + p->len);
                        continue;
                }
                for (uint64_t a = ptable_next(t, p->origin, end); a < end; a = ptable_next(t, a + PAGE_SIZE_, end)) {
                        page_entry e = ptable_get(t, a);
                        uint64_t place = p->at + (a - p->origin);
                        bool marked = region_holds(&j->marked, place, place + PAGE_SIZE_);

                        if (!may_be_out(e))
                                continue;
                        if (!marked && is_out(e) && !(e & PAGE_BARE) &&
                            region_holds(j->touched, place, place + PAGE_SIZE_)) {
                                if (j->lenient)
                                        continue;
                                return 0;
                        }
                        claimed += marked;
                        verdict += trace(a, place);
                }
        }
        return j->n_marked - claimed <= j->space->stray_marks ? verdict | 1 : 0;
}
