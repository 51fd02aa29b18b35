/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was written down is carried out when nothing is changing any more: then every call of which an event was read
 * has returned from its waiting, none has more to tell, and the order of all of them can be found out (model/order.h).
 *
 * Where events of several threads are about the same place the client's page tables decide: pages that are out
 * are marked there, and the marks went with the pages. If they do not decide, the client is ended.
 */
#include "pager/event.h"

#include <errno.h>
#include <stdlib.h>

#include "pager/event-journal.h"
#include "pager/evict.h"
#include "pager/registration.h"
#include "util/bug.h"

/* From how many events on a moment at which nothing is changing is sought and not waited for. */
#define LOOK_LONGER 16u

/* Whether an event in the journal takes memory away that is in [start, end). */
static bool is_left(const struct event_journal *j, uint64_t start, uint64_t end)
{
        for (size_t i = 0; i < j->n; i++)
                if (j->v[i].kind != ORDER_REMOVE && j->v[i].start < end && j->v[i].end > start)
                        return true;
        return false;
}

/*
 * What is certain to have been there. A child may not have all that its parent had (MADV_DONTFORK, what other threads
 * unmapped): not where something moved to and nothing ever left, and perhaps not where anything moved to (all).
 */
static int copy_certain(const struct space *s, bool all, struct region_set *to)
{
        const struct event_journal *j = &s->journal;
        int r = region_copy(to, &s->certain);

        for (size_t i = 0; r == 0 && s->heir && i < j->n; i++) {
                uint64_t end = j->v[i].to + (j->v[i].end - j->v[i].start);

                if (j->v[i].kind == ORDER_REMAP && (all || !is_left(j, j->v[i].to, end)))
                        r = region_remove(to, j->v[i].to, end);
        }
        return r;
}

static int ask(struct space *s, struct event_judge *judge, bool all, uint32_t *order, size_t *n)
{
        struct region_set certain = { 0 };
        struct order_question q = {
                .events = s->journal.v,
                .n = s->journal.n,
                .certain = &certain,
                .perhaps = &s->regions,
                .on_the_way = s->journal.n_children || s->journal.n_forks,
                .judge = event_judge,
                .arg = judge,
        };
        int r = copy_certain(s, all, &certain);

        if (r == 0)
                r = order_find(&q, order, n);
        region_clear(&certain);
        return judge->error ? judge->error : r;
}

/* Finds the order. Returns how many events are to be carried out, or negative: -EAGAIN not now, others: never. */
static long find_order(struct space *s, struct event_judge *judge, uint32_t *order)
{
        size_t n = 0;
        int r = ask(s, judge, false, order, &n);

        if (r == 0 && s->heir)
                r = ask(s, judge, true, order, &n);
        return r > 0 ? (long)n : r == 0 ? -EINVAL : r;
}

/* Carries out what was written down. False: not now. */
static bool carry_out_all(struct space *s)
{
        struct event_journal *j = &s->journal;
        struct event_judge judge;
        uint32_t *order;
        long n;

        /* Of what the agent is about it is not known whether it is out. What it has not begun is void from now on. */
        if (s->in_flight) {
                evict_cancel(s);
                if (evict_is_half_done(s))
                        return false;
                evict_collect(s);
        }
        /* What is in the ring is copied for a child: rather let it be written. */
        if (j->n && (j->n_forks || j->n_children) && s->table.count[PAGE_STANDBY] && !s->unwritten)
                return false;
        order = malloc((j->n + 1) * sizeof(*order));
        event_judge_init(&judge, s);
        n = 0;
        /* A REMAP and its UNMAP alone need no judge. For others it looks now, before the moment has passed. */
        if (j->n > 2 && j->remaps)
                n = event_judge_look(&judge);
        if (n == 0 && j->n)
                n = order ? find_order(s, &judge, order) : -ENOMEM;
        event_judge_clear(&judge);
        if (n == -EAGAIN || n == -ESRCH) { /* gone: its pidfd says so soon */
                free(order);
                return false;
        }
        if (!bug(FORK_AFTER_EVENTS))
                children_carry_out_forks(s, false);
        for (long i = 0; i < n; i++) {
                journal_carry_out(s, &j->v[order[i]]);
                children_tell(s, &j->v[order[i]]);
        }
        free(order);
        if (bug(FORK_AFTER_EVENTS))
                children_carry_out_forks(s, false);
        if (n == -EINVAL)
                s->port->ops->kill(s->port,
                                   "threads of it moved and unmapped memory at the same addresses at once, and "
                                   "it cannot be told which pages are where");
        else if (n < 0)
                s->port->ops->kill(s->port, "its events could not be put in order");
        if (n < 0)
                children_settle(s, true);
        journal_clear(s);
        return true;
}

bool event_settle(struct space *s)
{
        int trusted;

        if (s->unsettled && !bug(UNSETTLED_AS_READ))
                return false;
        if (!event_are_waiting(s) && !s->journal.n_children && !s->doubtful && !s->table.bare && !s->orphan)
                return true;
        /* Forks alone have no order that could be wrong. */
        if (s->journal.n_forks && !s->journal.n && !carry_out_all(s))
                return false;
        /* With more than that it is worth a longer look, see event-judge.c. */
        if ((s->journal.n < LOOK_LONGER || s->journal.remaps == 0) && s->port->ops->changing(s->port)) {
                /* The fork is what is changing. A thread that has ended since has told all, and that was read. */
                if (s->journal.n_children && !event_are_waiting(s) && !s->orphan && s->port->ops->alone(s->port))
                        children_settle(s, false);
                return false;
        }
        trusted = s->orphan ? event_fork_trust(s) : 1;
        if (trusted < 0)
                return false;
        if (trusted == 0)
                children_settle(s, true);
        if (s->journal.n && !carry_out_all(s))
                return false;
        /* After it was seen that nothing is changing: so it is, too, when who was changing something was killed. */
        if (s->journal.n_children && s->port->ops->ending(s->port))
                return false;
        children_settle(s, false);
        if (s->doubtful && registration_confirm(s) == 1)
                s->doubtful = false;
        event_mark_bare(s);
        return true;
}
