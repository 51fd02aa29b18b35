/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the client's page tables have to say about where its pages are. A page that is out has a mark at its place
 * (vmpager/ring.h); one that is in, or was never touched, has none. Without a mark are out: pages whose mark could not
 * be set (bare), and poisoned ones. With a mark and not out are
 * pages that were discarded just now, or when their mark could not be taken away (stray).
 */
#include <errno.h>

#include "pager/event.h"

#define RUNS 64u

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

static int look(struct event_judge *j, uint64_t start, uint64_t end)
{
        struct space *s = j->space;
        struct procfs_run run[RUNS];

        while (start < end) {
                uint64_t next = end;
                int n = s->port->ops->marked(s->port, start, end, run, RUNS, &next);

                if (n < 0)
                        return n;
                for (int i = 0; i < n; i++)
                        if (region_add(&j->marked, run[i].start, run[i].end) < 0)
                                return -ENOMEM;
                start = next;
        }
        return 0;
}

/* Reads the marks of all that the events are about. */
static int look_everywhere(struct event_judge *j)
{
        const struct event_journal *journal = &j->space->journal;
        int r = 0;

        for (size_t i = 0; i < journal->n && r == 0; i++) {
                const struct order_event *e = &journal->v[i];

                r = region_add(&j->touched, e->start, e->end);
                if (r == 0 && e->kind == ORDER_REMAP)
                        r = region_add(&j->touched, e->to, e->to + (e->end - e->start));
        }
        for (size_t i = 0; i < j->touched.n && r == 0; i++)
                r = look(j, j->touched.v[i].start, j->touched.v[i].end);
        for (size_t i = 0; i < j->marked.n; i++)
                j->n_marked += (j->marked.v[i].end - j->marked.v[i].start) / PAGE_SIZE_;
        return r;
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

/*
 * FNV-1a over words: the same pages at the same places give the same number. The order of the pieces does not matter.
 */
static uint64_t trace(uint64_t from, uint64_t to)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        h = (h ^ from) * UINT64_C(0x100000001b3);
        h = (h ^ (h >> 29) ^ to) * UINT64_C(0x9e3779b97f4a7c15);
        return h ^ (h >> 32);
}

void event_judge_init(struct event_judge *j, struct space *s)
{
        *j = (struct event_judge){ .space = s };
}

void event_judge_clear(struct event_judge *j)
{
        region_clear(&j->touched);
        region_clear(&j->marked);
}

uint64_t event_judge(void *arg, const struct pieces *outcome, uint64_t *odd)
{
        struct event_judge *j = arg;
        const struct ptable *t = &j->space->table;
        uint64_t claimed = 0, verdict = 0;

        if (j->touched.n == 0 && j->error == 0)
                j->error = look_everywhere(j);
        if (j->error)
                return 0;
        for (size_t i = 0; i < outcome->n; i++) {
                const struct piece *p = &outcome->v[i];
                uint64_t end = p->origin + p->len;

                if (p->at == p->origin && !region_touches(&j->touched, p->origin, end))
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
                            region_holds(&j->touched, place, place + PAGE_SIZE_))
                                return 0;
                        claimed += marked;
                        verdict += trace(a, place);
                }
        }
        *odd = j->n_marked - claimed;
        return *odd <= j->space->stray_marks ? verdict | 1 : 0;
}
