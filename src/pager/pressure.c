/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to do what. Far below its limit a client is only looked at: its size is read from /proc at intervals that
 * it cannot outgrow. Near the limit all of its anonymous memory is registered, whole mappings at a time (a part
 * would split the program's mapping and make its mremap fail), so that growth passes by and can be held up; new
 * mappings show in the size of all mappings, which is read with the resident size. When the pressure is gone,
 * mappings that hold nothing of ours are given back to the kernel.
 */
#include <errno.h>

#include "pager/event.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "util/log.h"

#define TICK_SHORT_NS 500000ull
#define TICK_LONG_NS  8000000ull
#define CALM_NS       1000000000ull

static bool is_excluded(const struct space *s, const struct procfs_mapping *m)
{
        for (unsigned i = 0; i < s->n_excluded; i++)
                if (m->start < s->excluded[i].end && m->end > s->excluded[i].start)
                        return true;
        return false;
}

/*
 * Memory that cannot be written now is registered as well: were it not, it could not become one mapping again with its
 * registered neighbours when mprotect() allows writing, and an mremap() of both would fail with EFAULT.
 */
static int enlist(const struct procfs_mapping *m, void *arg)
{
        struct space *s = arg;
        int r;

        if (!m->anonymous || m->shared || m->stack || m->start >= PTABLE_END)
                return 0;
        if (is_excluded(s, m) || region_holds(&s->regions, m->start, m->end))
                return 0;
        r = s->port->ops->enlist(s->port, m->start, m->end - m->start);
        if (r < 0) {
                /* EBUSY: the program has a userfaultfd of its own there. Others: the mapping has just changed. */
                log_debug("client %d: mapping 0x%llx-0x%llx cannot be registered: error %d", s->pid,
                          (unsigned long long)m->start, (unsigned long long)m->end, -r);
                return r == -ESRCH ? r : 0;
        }
        s->drained = false;
        s->doubtful = true;
        if (region_add(&s->regions, m->start, m->end) < 0) {
                s->port->ops->kill(s->port, "no memory for its list of regions");
                return -ENOMEM;
        }
        return 0;
}

/* Registers what is not registered yet, if mappings have come since the last look. */
static void enlist_all(struct space *s, uint64_t mapped)
{
        if (mapped == s->mapped)
                return;
        if (s->port->ops->mappings(s->port, enlist, s) == 0)
                s->mapped = mapped;
        /* Nothing is evicted before events older than the registration were read. */
        if (!s->drained)
                fault_receive(s);
}

/* Whether nothing in the range is ours. A page that was only CLEARED holds nothing once it was seen absent. */
static bool holds_nothing(struct space *s, uint64_t start, uint64_t end)
{
        struct procfs_run run[64];
        uint64_t at = ptable_next(&s->table, start, end);

        while (at < end) {
                uint64_t next = end;
                int n = s->port->ops->present(s->port, at, end, run, 64, UINT64_MAX, &next);

                if (n < 0)
                        return false;
                event_settle(s, at, next, run, n);
                if (ptable_next(&s->table, at, next) < next)
                        return false;
                at = ptable_next(&s->table, next, end);
        }
        return true;
}

/* Gives mappings that hold nothing of ours back to the kernel. */
static void discharge_all(struct space *s)
{
        for (size_t i = 0; i < s->regions.n;) {
                struct region r = s->regions.v[i];

                if (!holds_nothing(s, r.start, r.end) ||
                    s->port->ops->discharge(s->port, r.start, r.end - r.start) < 0) {
                        i++;
                        continue;
                }
                if (region_remove(&s->regions, r.start, r.end) < 0 || region_remove(&s->certain, r.start, r.end) < 0)
                        break;
        }
        s->mapped = 0;
}

static void look_while_gated(struct space *s, const struct procfs_memory *m)
{
        bool moving = m->mapped != s->mapped || m->anonymous != s->seen;

        s->calm_since = 0;
        enlist_all(s, m->mapped);
        evict_write_again(s);
        evict_kick(s);
        fault_unstall(s);
        if (moving || s->in_flight || s->stalled.head || s->retry.head || s->arrived || s->quiet_ns == 0)
                s->quiet_ns = TICK_SHORT_NS;
        else if (s->quiet_ns < TICK_LONG_NS)
                s->quiet_ns *= 2;
}

static void look_while_calm(struct space *s, uint64_t now)
{
        s->quiet_ns = 0;
        if (s->calm_since == 0)
                s->calm_since = now;
        if (s->regions.n && now - s->calm_since > CALM_NS) {
                discharge_all(s);
                s->calm_since = now;
        }
        fault_unstall(s);
}

void space_tick(struct space *s)
{
        uint64_t now = s->port->ops->now(s->port), next;
        struct procfs_memory m;

        if (s->dying)
                return;
        if (s->port->ops->memory(s->port, &m) < 0) {
                /* Gone, or no descriptor is to be had: the end comes through the pidfd, so look again. */
                s->port->ops->timer(s->port, now + CALM_NS);
                return;
        }
        if (s->retry.head || s->arrived)
                fault_receive(s);
        budget_sample(&s->budget, m.anonymous);
        if (budget_gate(&s->budget))
                look_while_gated(s, &m);
        else
                look_while_calm(s, now);
        s->seen = m.anonymous;
        next = s->quiet_ns ? s->quiet_ns : budget_next_sample(&s->budget);
        if (s->retry.head || s->arrived)
                next = TICK_SHORT_NS;
        s->port->ops->timer(s->port, now + next);
}
