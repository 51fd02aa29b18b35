/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
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

#include "pager/event-journal.h"
#include "pager/evict.h"
#include "util/bug.h"

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

void children_note_fork(struct space *s, int fd)
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

void children_doubt(struct space *s, const struct order_event *e)
{
        for (size_t i = 0; i < s->journal.n_children; i++)
                event_fork_doubt(s, s->journal.child[i], e->start, e->end);
}

void children_carry_out_forks(struct space *s, bool half_done)
{
        for (size_t i = 0; i < s->journal.n_forks; i++)
                carry_out_fork(s, s->journal.fork[i], half_done);
        s->journal.n_forks = 0;
}

/* Every event of before their fork was read, and carried out; or none will be, as the parent has ended. */
void children_settle(struct space *s, bool ended)
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
                child->of_one_thread = s->of_one_thread;
                child->adopted = true;
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
void children_tell(struct space *s, const struct order_event *e)
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
                children_carry_out_forks(s, half_done);
        } else {
                leave_children(s, parent);
        }
        children_settle(s, true);
}
