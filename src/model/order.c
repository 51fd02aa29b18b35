/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is relied on: a program uses a mapping only once the call that made it has returned, and a call returns only
 * when its events were read. So for an address range that is left (OUT, by UNMAP or REMAP) and entered (IN, by REMAP)
 * in turn,
 *
 *     IN 1 is read before OUT 1, IN 1 before IN 2, a REMOVE between its IN and its OUT; but OUT 1 may be read
 *     after IN 2, and after OUT 2 if IN 2's call has returned by then.
 *
 * And an IN needs a free range. So events are carried out in the order read, except that an IN whose target is
 * occupied waits for the OUT that freed it, and what is about the newcomer waits for the IN. Where several OUTs may
 * be the one, all are tried, and the client's page tables judge which was. (A program that breaks the rule, by two
 * threads that change the same mapping at once, has no order that it could rely on either.)
 *
 * No event tells of a mapping that grew in place, or that has only just been registered. So it is tried with
 * suspicion as well: any place may have been occupied, any mapping may have grown over what was freed. Nothing was
 * taken out of such memory, which the page tables show. What is moved is one mapping, without a hole, unless that was
 * grown over and belongs to its neighbours again. Of several orders with the same outcome one that needs nothing of
 * this is taken where it matters: a child that is forked meanwhile has what was there on the way.
 *
 * Not told apart are several mappings that grow in place one after the other while the events of calls from before are
 * still to come, what is left by MREMAP_DONTUNMAP being unmapped then, and a mapping that has grown over what was moved
 * away being discarded. tests/sim/sim-order.c and sim-pager.c have all else, and with --all those.
 */
#include "model/order.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/order-trial.h"

/* Bounds what is tried: trials, and events in all of them. */
#define MAX_TRIALS 2048u
#define MAX_WORK   (1u << 18)

static bool too_long(const struct search *s)
{
        return s->trials >= MAX_TRIALS || s->trials * (uint64_t)s->q->n >= MAX_WORK;
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
        return a < b_end && b < a_end;
}

static bool enters(const struct order_event *e, uint64_t start, uint64_t end)
{
        return e->kind == ORDER_REMAP && overlap(e->to, target_end(e), start, end);
}

/* Whether something of b's range may be left, and be a reason to tell of it, when a has taken its own away. */
static bool leaves_some(const struct search *s, const struct order_event *a, const struct order_event *b)
{
        const struct region_set *perhaps = s->q->perhaps;

        return (b->start < a->start && region_touches(perhaps, b->start, b->end < a->start ? b->end : a->start)) ||
               (a->end < b->end && region_touches(perhaps, b->start > a->end ? b->start : a->end, b->end));
}

/* Whether event j takes memory away: UNMAP or REMAP, but not the UNMAP that is a REMAP's echo. */
static bool is_out(const struct search *s, uint32_t j)
{
        return s->q->events[j].kind != ORDER_REMOVE && s->pair[j] == NOBODY;
}

/* Whether j takes away what m's mapping has grown over since. */
static bool was_grown_over(const struct search *s, uint32_t j, uint32_t m)
{
        const struct order_event *out = &s->q->events[j], *grown = &s->q->events[m];

        return s->suspicious && is_out(s, m) && overlap(grown->start, grown->end, out->start, out->end);
}

/* Whether event j, read later than m, may have made room for m: for its target, or for its growth. */
static bool may_free(const struct search *s, const struct trial *t, uint32_t j, uint32_t m)
{
        const struct order_event *out = &s->q->events[j], *in = &s->q->events[m];

        return j > m && !t->done[j] && is_out(s, j) && (enters(in, out->start, out->end) || was_grown_over(s, j, m));
}

/*
 * Whether j came before m beyond doubt: m's call had not returned, or m has taken all that j has (an UNMAP tells of its
 * whole range as soon as something was registered in it) and nothing else has entered that, nor grown over what m did.
 */
static bool surely_frees(const struct search *s, const struct trial *t, uint32_t j, uint32_t m)
{
        const struct order_event *out = &s->q->events[j];

        if (enters(&s->q->events[m], out->start, out->end) && j < s->returned[m])
                return true;
        if (!was_grown_over(s, j, m) || t->frees[m] != NOBODY || leaves_some(s, &s->q->events[m], out))
                return false;
        for (uint32_t k = 0; k < j; k++)
                if (enters(&s->q->events[k], out->start, out->end))
                        return false;
        return true;
}

/* The first event of which it is to be decided whether it made room for m, NOBODY: none is left. */
static uint32_t undecided(const struct search *s, const struct trial *t, uint32_t m)
{
        for (uint32_t j = (t->considered[m] > m ? t->considered[m] : m) + 1; j < s->q->n; j++)
                if (may_free(s, t, j, m))
                        return j;
        return NOBODY;
}

static bool target_is_taken(const struct search *s, const struct trial *t, uint32_t m)
{
        const struct order_event *in = &s->q->events[m];

        return in->kind == ORDER_REMAP && region_touches(&t->certain, in->to, target_end(in));
}

/* Whether an event that was decided to have made room for m was not carried out yet. */
static bool is_decided(const struct search *s, const struct trial *t, uint32_t m)
{
        for (uint32_t j = m + 1; j <= t->considered[m]; j++)
                if (t->frees[j] <= m && may_free(s, t, j, m))
                        return true;
        return false;
}

/* A REMAP of what is not there any more. */
static bool source_is_gone(const struct search *s, const struct trial *t, uint32_t m)
{
        const struct order_event *out = &s->q->events[m];

        return !s->refills && out->kind == ORDER_REMAP && region_touches(&t->gone, out->start, out->end);
}

static bool has_room(const struct search *s, const struct trial *t, uint32_t m)
{
        uint32_t j = undecided(s, t, m);

        if (source_is_gone(s, t, m))
                return false;
        if (target_is_taken(s, t, m) || is_decided(s, t, m))
                return false;
        for (; j < s->q->n; j++)
                if (may_free(s, t, j, m) && (s->suspicious || surely_frees(s, t, j, m)))
                        return false;
        return true;
}

/* Whether event e has to wait for the earlier event m, which has not been carried out. */
static bool comes_after(const struct search *s, const struct trial *t, uint32_t e, uint32_t m)
{
        const struct order_event *event = &s->q->events[e], *earlier = &s->q->events[m];

        if (earlier->kind != ORDER_REMAP)
                return false;
        if (event->kind == ORDER_REMAP &&
            (enters(earlier, event->to, target_end(event)) || enters(event, earlier->start, earlier->end)))
                return true;
        if (t->frees[e] != NOBODY && m >= t->frees[e])
                return false;
        return enters(earlier, event->start, event->end) ||
               overlap(event->start, event->end, earlier->start, earlier->end);
}

static bool can_go(const struct search *s, const struct trial *t, uint32_t e)
{
        for (uint32_t m = t->first; m < e; m++)
                if (!t->done[m] && comes_after(s, t, e, m))
                        return false;
        return !is_out(s, e) || has_room(s, t, e);
}

/* Goes on as far as it can, each time with the first event that is ready. */
static int go_on(const struct search *s, struct trial *t)
{
        uint32_t e = t->first;

        while (e < s->q->n) {
                if (t->done[e] || !can_go(s, t, e)) {
                        e++;
                        continue;
                }
                if (trial_carry_out(s, t, e) < 0)
                        return -ENOMEM;
                e = t->first;
        }
        return 0;
}

/* All is carried out: is this how it was? */
static void weigh(struct search *s, const struct trial *t)
{
        uint64_t verdict = s->conflict ? s->q->judge(s->q->arg, &t->pieces) : 1;

        if (verdict == 0 || (s->choosing && verdict != s->verdict))
                return;
        s->chosen = s->choosing;
        if (s->verdict && !s->choosing) {
                s->ambiguous |= s->verdict != verdict;
                return;
        }
        s->verdict = verdict;
        memcpy(s->order, t->order, t->n_order * sizeof(*t->order));
        *s->n_order = t->n_order;
}

/* The first event that waits for nothing but room, and of which not all was tried; NOBODY if there is none. */
static uint32_t waiting_for_room(const struct search *s, const struct trial *t)
{
        for (uint32_t m = t->first; m < s->q->n; m++) {
                bool ready = !t->done[m] && is_out(s, m) && undecided(s, t, m) != NOBODY;

                for (uint32_t k = t->first; ready && k < m; k++)
                        ready = t->done[k] || !comes_after(s, t, m, k);
                if (ready)
                        return m;
        }
        return NOBODY;
}

static int explore(struct search *s, struct trial *t);

/* Goes on from *t with the decision whether j made room for m. */
static int try_with(struct search *s, const struct trial *t, uint32_t m, uint32_t j, bool made_room)
{
        struct trial next;
        int r = trial_copy(&next, t, s->q->n);

        if (r == 0) {
                next.considered[m] = j;
                if (made_room && next.frees[j] > m)
                        next.frees[j] = m;
                r = explore(s, &next);
        }
        trial_clear(&next);
        return r;
}

static int explore(struct search *s, struct trial *t)
{
        uint32_t m, j;
        int r = go_on(s, t);

        if (r < 0 || s->ambiguous || s->chosen || too_long(s))
                return r;
        s->trials++;
        if (t->first == s->q->n) {
                weigh(s, t);
                return 0;
        }
        m = waiting_for_room(s, t);
        if (m == NOBODY)
                return 0; /* each waits for another: it was not like this */
        j = undecided(s, t, m);
        r = try_with(s, t, m, j, true);
        if (r == 0 && !surely_frees(s, t, j, m) && t->frees[j] > m)
                r = try_with(s, t, m, j, false);
        return r;
}

static bool same_range(const struct order_event *a, const struct order_event *b)
{
        return a->start == b->start && a->end == b->end;
}

/*
 * Finds for each REMAP the UNMAP that is sent after it. MREMAP_DONTUNMAP sends none: where a range has fewer UNMAPs
 * than REMAPs, it is not sure whose they are.
 */
static void pair_up(struct search *s)
{
        const struct order_event *e = s->q->events;

        for (uint32_t i = 0; i < s->q->n; i++) {
                s->returned[i] = i;
                s->pair[i] = NOBODY;
        }
        for (uint32_t j = 0; j < s->q->n; j++)
                for (uint32_t i = 0; e[j].kind == ORDER_UNMAP && s->pair[j] == NOBODY && i < j; i++)
                        if (e[i].kind == ORDER_REMAP && s->returned[i] == i && same_range(&e[i], &e[j])) {
                                s->returned[i] = j;
                                s->pair[j] = i;
                        }
        for (uint32_t i = 0; i < s->q->n; i++)
                for (uint32_t k = 0; e[i].kind == ORDER_REMAP && s->returned[i] == i && k < s->q->n; k++)
                        if (e[k].kind == ORDER_REMAP && same_range(&e[i], &e[k]))
                                s->returned[k] = k;
}

static bool touch(const struct order_event *a, const struct order_event *b)
{
        return enters(a, b->start, b->end) || enters(b, a->start, a->end) ||
               overlap(a->start, a->end, b->start, b->end) ||
               (b->kind == ORDER_REMAP && enters(a, b->to, target_end(b)));
}

/* Whether the order matters: two events are about the same place, and not only a REMAP and its echo. */
static bool has_conflict(const struct search *s)
{
        const struct order_event *e = s->q->events;

        for (uint32_t j = 0; j < s->q->n; j++)
                for (uint32_t i = 0; i < j; i++)
                        if (s->pair[j] != i && (e[i].kind == ORDER_REMAP || e[j].kind == ORDER_REMAP) &&
                            touch(&e[i], &e[j]))
                                return true;
        return false;
}

static int look(struct search *s, bool suspicious, bool refills)
{
        struct trial t = { 0 };
        int r;

        s->suspicious = suspicious;
        s->refills = refills;
        s->trials = 0;
        r = trial_begin(&t, s->q);
        if (r == 0)
                r = explore(s, &t);
        /* What was not tried speaks against a verdict, but suspicion needs no last word. */
        s->unfinished |= too_long(s) && !suspicious && !s->choosing;
        trial_clear(&t);
        return r;
}

int order_find(const struct order_question *q, uint32_t *order, size_t *n_order)
{
        struct search s = {
                .q = q,
                .returned = malloc((q->n + 1) * sizeof(*s.returned)),
                .pair = malloc((q->n + 1) * sizeof(*s.pair)),
                .order = order,
                .n_order = n_order,
        };
        int r = -ENOMEM;

        if (s.returned && s.pair) {
                pair_up(&s);
                s.conflict = has_conflict(&s);
                r = look(&s, false, true);
                if (r == 0 && s.conflict)
                        r = look(&s, true, true);
                s.choosing = s.conflict && s.verdict && !s.ambiguous && !s.unfinished && q->on_the_way;
                for (unsigned i = 0; i < 2 && r == 0 && s.choosing && !s.chosen; i++)
                        r = look(&s, i == 1, false);
        }
        free(s.returned);
        free(s.pair);
        return r < 0 ? r : s.verdict != 0 && !s.ambiguous && !s.unfinished;
}
