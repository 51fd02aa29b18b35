/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First on the way of a fault: messages are read in batches, and the events of a batch are acted on before its
 * faults are (the kernel hands out pending faults first, although the events may be what they are about).
 *
 * Reading an event lets its system call go on, and with it whatever stood between the agent and a new mapping at the
 * same address. So nothing is read while the agent is moving pages (vmpager/ring.h, "The move gate").
 */
#include "pager/fault.h"

#include <errno.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "util/bug.h"
#include "util/log.h"

#define MESSAGES 64u
#define LOOKS    8u

static bool gate_enter(struct space *s)
{
        if (s->posted == s->completed || bug(GATE_IGNORED))
                return true;
        atomic_store(&s->ring->reading, 1);
        return atomic_load(&s->ring->moving) == 0;
}

static void gate_leave(struct space *s)
{
        if (atomic_load_explicit(&s->ring->reading, memory_order_relaxed) == 0)
                return;
        atomic_store(&s->ring->reading, 0);
        s->port->ops->ungate(s->port);
}

static bool act_on_events(struct space *s, const struct uffd_msg *msg, int n)
{
        bool any = false;

        for (int i = 0; i < n; i++) {
                if (msg[i].event == UFFD_EVENT_PAGEFAULT)
                        continue;
                event_act(s, &msg[i]);
                any = true;
        }
        return any;
}

static void act_on_faults(struct space *s, const struct uffd_msg *msg, int n, uint64_t since)
{
        for (int i = 0; i < n; i++) {
                struct fault *f;

                if (msg[i].event != UFFD_EVENT_PAGEFAULT)
                        continue;
                /* Only absent pages are marked, and a missing page is what is told of them. Were one present: */
                if (msg[i].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
                        s->port->ops->unmark(s->port, page_floor(msg[i].arg.pagefault.address), PAGE_SIZE_);
                f = fault_new(s);
                if (!f) {
                        /* The thread asks again as soon as it is woken; by then there may be memory. */
                        s->port->ops->wake(s->port, page_floor(msg[i].arg.pagefault.address), PAGE_SIZE_);
                        continue;
                }
                f->addr = page_floor(msg[i].arg.pagefault.address);
                f->since = since;
                f->tid = msg[i].arg.pagefault.feat.ptid;
                f->write = msg[i].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;
                f->looked = false;
                s->stats.faults++;
                /* It touches pages of batches that it has done, and nothing tells of those in time. */
                if (fault_is_of_agent(s, f))
                        evict_collect(s);
                fault_route(s, f);
        }
}

static void try_again(struct space *s)
{
        struct fault_list list;

        fault_fetch_retry(s);
        fault_list_init(&list);
        fault_list_move(&list, &s->retry);
        fault_route_list(s, &list);
}

/*
 * Every message was read. The calls whose events were among them return only now, and until they have, the kernel
 * refuses what waits: where somebody does wait it is worth a moment's looking, since the next call may follow at
 * once.
 */
static void settle(struct space *s, bool had_events)
{
        unsigned looks = had_events ? LOOKS : 1;
        bool settled;

        do {
                settled = event_settle(s);
                try_again(s);
        } while (--looks && (s->retry.head || s->arrived));
        if (!settled)
                s->port->ops->timer(s->port, s->port->ops->now(s->port) + FAULT_RETRY_NS);
}

void fault_receive(struct space *s)
{
        struct uffd_msg msg[MESSAGES];
        bool had_events;
        int n;

        if (s->dying)
                return;
        if (!gate_enter(s)) {
                s->read_pending = true;
                return;
        }
        s->read_pending = false;
        /* Reading of a fork lets it return, and its process may have ended a moment later. */
        s->forks_alone = atomic_load(&s->ring->forks) && s->port->ops->alone(s->port);
        n = s->port->ops->read(s->port, msg, MESSAGES);
        if (bug(FAULTS_FIRST) && n > 0)
                act_on_faults(s, msg, n, s->port->ops->now(s->port));
        had_events = n > 0 && act_on_events(s, msg, n);
        if (n >= 0 && n < (int)MESSAGES && event_are_waiting(s))
                event_settle(s);
        if (n > 0 && !bug(FAULTS_FIRST))
                act_on_faults(s, msg, n, s->port->ops->now(s->port));
        if (n >= 0 && n < (int)MESSAGES)
                settle(s, had_events);
        gate_leave(s);
        if (n < 0) {
                log_warning("client %d: its userfaultfd cannot be read: error %d", s->pid, -n);
                return;
        }
        if (n == (int)MESSAGES)
                s->port->ops->again(s->port);
        evict_kick(s);
}

void fault_gate_open(struct space *s)
{
        if (s->read_pending || event_are_waiting(s))
                fault_receive(s);
}
