/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to do what. Far below its limit a client is only looked at: its size is read from /proc at intervals that
 * it cannot outgrow. Near the limit all of its anonymous memory is registered, so that growth passes by and can be held
 * up; new mappings show in the size of all mappings, which is read with the resident size. When the pressure is gone,
 * mappings that hold nothing of ours are given back to the kernel.
 */
#include <errno.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "pager/registration.h"
#include "pager/sharing.h"
#include "util/bug.h"
#include "util/log.h"

#define TICK_SHORT_NS 500000ull
#define TICK_LONG_NS  8000000ull
#define CALM_NS       1000000000ull
#define SHARES_NS     20000000ull

/* 64 pages are moved in a fraction of a millisecond: an agent that is in the gate for so long does not run. */
#define GATE_LONG_NS 5000000000ull

static void look_while_gated(struct space *s, const struct procfs_memory *m)
{
        bool moving = m->mapped != s->mapped || m->anonymous != s->seen;

        s->calm_since = 0;
        registration_extend(s, m->mapped);
        evict_write_again(s);
        evict_kick(s);
        fault_unstall(s);
        if (moving || s->in_flight || (s->stalled.head && !s->store_is_full) || s->quiet_ns == 0)
                s->quiet_ns = TICK_SHORT_NS;
        else if (s->quiet_ns < TICK_LONG_NS)
                s->quiet_ns *= 2;
}

static void look_while_calm(struct space *s, uint64_t now)
{
        s->quiet_ns = 0;
        if (s->calm_since == 0)
                s->calm_since = now;
        if (s->regions.n && !event_are_waiting(s) && now - s->calm_since > CALM_NS) {
                registration_shrink(s);
                evict_clean_forget_all(s); /* nothing is told of what is not registered */
                s->calm_since = now;
        }
        fault_unstall(s);
}

/* Whether something waits for the client's mappings to come to rest. */
static bool is_waiting(const struct space *s)
{
        return s->retry.head || s->arrived || event_are_waiting(s) || s->journal.n_children || s->doubtful ||
               s->table.bare || s->orphan;
}

/*
 * The agent's eventfd tells of all of this. But a program can have forbidden all of its threads to write (seccomp(2)).
 */
static void look_at_ring(struct space *s, uint64_t now)
{
        uint64_t since = s->gate_since;

        if (atomic_load(&s->ring->completed) != s->completed)
                evict_completed(s);
        else if (s->read_pending)
                fault_receive(s);
        s->gate_since = !s->read_pending ? 0 : since ? since : now;
        if (since && s->read_pending && since != UINT64_MAX && now - since > GATE_LONG_NS) {
                log_warning("client %d: its agent thread does not come back from moving pages: the program's faults "
                            "wait (is it stopped?)",
                            s->pid);
                s->gate_since = UINT64_MAX; /* said */
        }
}

void space_tick(struct space *s)
{
        uint64_t now = s->port->ops->now(s->port), next;
        struct procfs_memory m;

        if (s->dying)
                return;
        look_at_ring(s, now);
        if (is_waiting(s) && !bug(NO_RETRY_TIMER))
                fault_receive(s);
        if (s->port->ops->memory(s->port, &m) < 0) {
                /* Gone, or not known yet which process it is: the end comes through the pidfd, so look again. */
                s->port->ops->timer(s->port, now + (is_waiting(s) ? FAULT_RETRY_NS : CALM_NS));
                return;
        }
        s->budget.packed = store_owner_ram(s->pager->store, s->owner);
        budget_sample(&s->budget, m.anonymous);
        evict_clean_look(s->pager);
        if (s->shares)
                sharing_look(s);
        if (budget_gate(&s->budget))
                look_while_gated(s, &m);
        else
                look_while_calm(s, now);
        s->seen = m.anonymous;
        next = s->quiet_ns ? s->quiet_ns : budget_next_sample(&s->budget);
        if (s->shares && next > SHARES_NS)
                next = SHARES_NS;
        if (is_waiting(s))
                next = FAULT_RETRY_NS;
        s->port->ops->timer(s->port, now + next);
}
