/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * REMOVE and UNMAP are carried out as they are read where nothing is held of their pages. All others, and what is read
 * after one, are written down, until the kernel says that nothing is changing any more: then every call of which an
 * event was read has returned from its waiting, none has more to tell, and the order of all of them can be found out
 * (model/order.h). Even the first can be about a mapping that came where an mremap() took pages away and has not told
 * of it: munmap() tells of the whole of its range, whether all of it is registered or not. Until then what is noted of
 * those ranges is older than the client: faults and fetches there wait, nothing is evicted and nothing registered.
 * Little of it could be done in any case: the kernel refuses COPY and MOVE while something is changing.
 *
 * Where events of several threads are about the same place the client's page tables decide: pages that are out
 * are marked there, and the marks went with the pages. If they do not decide, the client is ended.
 *
 * A fork is carried out at once if the agent has nothing half done, which is the rule (the agent is kept from beginning
 * anything while the program forks). Else it waits, and with it all else that would change what the child is to get.
 * What other threads did at the same time came before the fork or after it: the child gets all that was at each place
 * at any time, what is in the journal included, and the marks in its page tables decide, page by page, when it touches
 * one (fault-route.c). So while the program forks nothing is dropped as it is read, and a child hears of what its
 * parent moved until nothing is changing there. Before that it is unsettled: nothing is done by what is noted of it.
 */
#include "pager/event.h"

#include <errno.h>
#include <stdlib.h>

#include "pager/evict.h"
#include "pager/registration.h"
#include "util/bug.h"
#include "util/log.h"

/* As many events while something is always changing: no program does that but by design. */
#define JOURNAL_MAX 4096u

/* As many without a REMAP among them; then they are carried out as they were read. */
#define PLAIN_MAX 256u

/* From how many events on a moment at which nothing is changing is sought and not waited for. */
#define LOOK_LONGER 16u

static int grow(struct event_journal *j)
{
        size_t room = j->room ? j->room * 2 : 16;
        struct order_event *v;

        if (j->n < j->room)
                return 0;
        if (room > JOURNAL_MAX)
                return -E2BIG;
        v = realloc(j->v, room * sizeof(*v));
        if (!v)
                return -ENOMEM;
        j->v = v;
        j->room = room;
        return 0;
}

static void carry_out(struct space *s, const struct order_event *e)
{
        switch (e->kind) {
        case ORDER_REMOVE:
                event_remove(s, e->start, e->end);
                return;
        case ORDER_UNMAP:
                event_unmap(s, e->start, e->end);
                return;
        case ORDER_REMAP:
                event_remap(s, e->start, e->to, e->end - e->start);
                return;
        }
}

static void forget_all(struct space *s)
{
        s->journal.n = s->journal.remaps = 0;
        region_clear(&s->journal.ranges);
        event_unmark(s);
}

/* There is no moment to put them in order. */
static void carry_out_as_read(struct space *s)
{
        for (size_t i = 0; i < s->journal.n; i++)
                carry_out(s, &s->journal.v[i]);
        forget_all(s);
}

/* Whether pages there are more than what the kernel has. */
static bool holds_any(const struct space *s, uint64_t start, uint64_t end)
{
        while ((start = ptable_next(&s->table, start, end)) < end &&
               page_state(ptable_get(&s->table, start)) == PAGE_CLEARED)
                start += PAGE_SIZE_;
        return start < end;
}

/* Makes room for one more in an array. Returns 0 or -ENOMEM. */
static int make_room(void **v, size_t n, size_t *room, size_t size)
{
        size_t more = *room ? *room * 2 : 4;
        void *p;

        if (n < *room)
                return 0;
        p = realloc(*v, more * size);
        if (!p)
                return -ENOMEM;
        *v = p;
        *room = more;
        return 0;
}

static void carry_out_fork(struct space *s, int fd, bool half_done)
{
        struct event_journal *j = &s->journal;
        struct space *child = event_fork(s, fd, half_done);

        if (!child)
                return;
        if (make_room((void **)&j->child, j->n_children, &j->children_room, sizeof(j->child[0])) < 0) {
                s->port->ops->kill(s->port, "no memory for its fork");
                return;
        }
        if (!bug(SETTLED_EARLY))
                child->unsettled = s;
        child->of_one_thread = s->forks_alone || s->port->ops->alone(s->port);
        j->child[j->n_children++] = child;
}

static void note_fork(struct space *s, int fd)
{
        struct event_journal *j = &s->journal;

        /* What the agent has not begun is not to be begun: the child has those pages. */
        if (s->posted != s->completed)
                evict_cancel(s);
        if (!evict_is_half_done(s) || bug(FORK_IN_A_BATCH) || bug(EVICTING_IS_OUT)) {
                if (!bug(FORK_NOT_COLLECTED))
                        evict_collect(s);
                carry_out_fork(s, fd, false);
                return;
        }
        if (make_room((void **)&j->fork, j->n_forks, &j->forks_room, sizeof(j->fork[0])) < 0) {
                s->port->ops->kill(s->port, "no memory for its fork");
                event_fork(s, fd, true); /* what there is: the child is not to blame */
                return;
        }
        j->fork[j->n_forks++] = fd;
}

static void doubt_children(struct space *s, const struct order_event *e)
{
        for (size_t i = 0; i < s->journal.n_children; i++)
                event_fork_doubt(s, s->journal.child[i], e->start, e->end);
}

void event_note(struct space *s, const struct uffd_msg *msg)
{
        struct event_journal *j = &s->journal;
        struct order_event e = { .kind = ORDER_REMOVE, .start = msg->arg.remove.start, .end = msg->arg.remove.end };

        if (msg->event == UFFD_EVENT_FORK) {
                note_fork(s, (int)msg->arg.fork.ufd);
                return;
        }
        if (msg->event == UFFD_EVENT_UNMAP)
                e.kind = ORDER_UNMAP;
        if (msg->event == UFFD_EVENT_REMAP)
                e = (struct order_event){ .kind = ORDER_REMAP,
                                          .start = msg->arg.remap.from,
                                          .end = msg->arg.remap.from + msg->arg.remap.len,
                                          .to = msg->arg.remap.to };
        doubt_children(s, &e);
        if (j->remaps == 0 && j->n >= PLAIN_MAX && j->n_forks == 0 && !event_is_unsettled(s) &&
            !atomic_load(&s->ring->forks))
                carry_out_as_read(s);
        if ((!event_are_waiting(s) && !event_is_unsettled(s) && e.kind != ORDER_REMAP &&
             !holds_any(s, e.start, e.end)) ||
            (bug(UNMAP_AS_READ) && e.kind == ORDER_UNMAP)) {
                carry_out(s, &e);
                event_unmark(s);
                return;
        }
        if (grow(j) < 0 || region_add(&j->ranges, e.start, e.end) < 0 ||
            (e.kind == ORDER_REMAP && region_add(&j->ranges, e.to, e.to + (e.end - e.start)) < 0)) {
                s->port->ops->kill(s->port, "its events cannot be kept track of");
                return;
        }
        j->v[j->n++] = e;
        j->remaps += e.kind == ORDER_REMAP;
        /*
         * Another mapping may be there now: orders for the one that was must not be carried out on it. And what was
         * written after a REMOVE must not be taken out before that is carried out, which would drop it.
         */
        if (!bug(REMOVE_KEEPS_ORDERS) || e.kind != ORDER_REMOVE)
                evict_cancel_in(s, e.start, e.end);
        /* An heir can have orders for what is not registered: nothing is told when something takes its place. */
        if (e.kind == ORDER_REMAP)
                evict_cancel_in(s, e.to, e.to + (e.end - e.start));
}

static void carry_out_forks(struct space *s, bool half_done)
{
        for (size_t i = 0; i < s->journal.n_forks; i++)
                carry_out_fork(s, s->journal.fork[i], half_done);
        s->journal.n_forks = 0;
}

/* Every event of before their fork was read, and carried out; or none will be, as the parent has ended. */
static void settle_children(struct space *s, bool ended)
{
        for (size_t i = 0; i < s->journal.n_children; i++) {
                struct space *child = s->journal.child[i];

                child->unsettled = NULL;
                child->orphan = ended;
                if (!ended)
                        child->bereft = false; /* what was told has decided */
                child->port->ops->again(child->port);
        }
        s->journal.n_children = 0;
}

/*
 * A parent ends that had nothing more to tell: of one thread nobody else was in a call when it forked, and all that was
 * read is carried out. What its children may yet hear is what its own parent tells, if that has not told all.
 */
static void leave_children(struct space *s, struct space *parent)
{
        struct event_journal *j = &s->journal;
        size_t kept = 0;

        if (s->orphan || j->n || j->n_forks)
                return;
        for (size_t i = 0; i < j->n_children; i++) {
                struct space *child = j->child[i];
                struct event_journal *to = parent ? &parent->journal : NULL;

                if (!child->of_one_thread || (to && make_room((void **)&to->child, to->n_children, &to->children_room,
                                                              sizeof(to->child[0])) < 0)) {
                        j->child[kept++] = child;
                        continue;
                }
                child->unsettled = parent;
                if (to)
                        to->child[to->n_children++] = child;
                else
                        child->bereft = false; /* what was told has decided */
                child->port->ops->again(child->port);
        }
        j->n_children = kept;
}

static bool is_about(const struct order_event *e, uint64_t start, uint64_t end)
{
        return (e->start < end && start < e->end) || (e->to < end && start < e->to + (e->end - e->start));
}

/* Whether another REMAP is about the same places as this one. */
static bool is_chained(const struct event_journal *j, const struct order_event *e)
{
        for (size_t i = 0; i < j->n; i++) {
                const struct order_event *other = &j->v[i];

                if (other != e && other->kind == ORDER_REMAP &&
                    (is_about(other, e->start, e->end) || is_about(other, e->to, e->to + (e->end - e->start))))
                        return true;
        }
        return false;
}

/* A REMAP was carried out: children may have what it brought. */
static void tell_children(struct space *s, const struct order_event *e)
{
        for (size_t i = 0; e->kind == ORDER_REMAP && !bug(MOVES_NOT_TOLD) && i < s->journal.n_children; i++)
                event_fork_more(s, s->journal.child[i], e, is_chained(&s->journal, e));
}

void event_fork_end(struct space *s)
{
        struct space *parent = s->unsettled;

        for (size_t i = 0; parent && i < parent->journal.n_children; i++)
                if (parent->journal.child[i] == s) {
                        parent->journal.child[i] = parent->journal.child[--parent->journal.n_children];
                        break;
                }
        s->unsettled = NULL;
        if (s->journal.n_forks && !bug(FORK_FORGOTTEN)) {
                bool half_done = evict_is_half_done(s);

                evict_collect(s);
                carry_out_forks(s, half_done);
        } else {
                leave_children(s, parent);
        }
        settle_children(s, true);
}

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
                .events = s->journal.v, .n = s->journal.n, .certain = &certain, .judge = event_judge, .arg = judge
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
                carry_out_forks(s, false);
        for (long i = 0; i < n; i++) {
                carry_out(s, &j->v[order[i]]);
                tell_children(s, &j->v[order[i]]);
        }
        free(order);
        if (bug(FORK_AFTER_EVENTS))
                carry_out_forks(s, false);
        if (n == -EINVAL)
                s->port->ops->kill(s->port,
                                   "threads of it moved and unmapped memory at the same addresses at once, and "
                                   "it cannot be told which pages are where");
        else if (n < 0)
                s->port->ops->kill(s->port, "its events could not be put in order");
        if (n < 0)
                settle_children(s, true);
        forget_all(s);
        return true;
}

bool event_settle(struct space *s)
{
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
                        settle_children(s, false);
                return false;
        }
        if (s->orphan && !event_fork_trust(s))
                settle_children(s, true);
        if (s->journal.n && !carry_out_all(s))
                return false;
        settle_children(s, false);
        if (s->doubtful && registration_confirm(s) == 1)
                s->doubtful = false;
        event_mark_bare(s);
        return true;
}
