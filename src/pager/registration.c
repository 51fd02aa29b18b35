/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole mappings are registered: a part would split the program's mapping and make its mremap fail. The list of them
 * is read without stopping the program, so what was registered may be another mapping, or have a hole, by then.
 * What a second look finds unchanged, when nothing is changing, is certain. (The agent takes nothing from memory that
 * is not registered: what is not certain matters for the order of events alone.)
 */
#include "pager/registration.h"

#include <errno.h>
#include <stdlib.h>

#include "pager/event.h"
#include "pager/fault.h"
#include "pager/heir.h"
#include "util/log.h"

/* How often the list of mappings is read until one look finds nothing new. */
#define LOOKS 4u

/* After looks that took longer than this, a pause of so many times as long. */
#define LOOK_IS_SHORT_NS 1000000ull
#define LOOK_PAUSE       16u

/*
 * What comes in the place of something as large (memory where a file was) does not show in the size of all mappings.
 * So they are looked at anew after this time in any case, and after the shorter one while the client is beyond its
 * limit.
 */
#define LOOK_AGAIN_NS      250000000ull
#define LOOK_AGAIN_SOON_NS 10000000ull

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
static bool is_eligible(const struct space *s, const struct procfs_mapping *m)
{
        return m->anonymous && !m->shared && !m->stack && m->start < PTABLE_END && !is_excluded(s, m);
}

/* Registers a mapping. Returns 0, also when it cannot be, or a negative errno: there is no point in going on. */
static int enlist(struct space *s, const struct procfs_mapping *m)
{
        int r = s->port->ops->enlist(s->port, m->start, m->end - m->start);

        if (r < 0) {
                /* EBUSY: the program has a userfaultfd of its own there. Others: the mapping has just changed. */
                log_debug("client %d: mapping 0x%llx-0x%llx cannot be registered: error %d", s->pid,
                          (unsigned long long)m->start, (unsigned long long)m->end, -r);
                return r == -ESRCH ? r : 0;
        }
        s->doubtful = true;
        if (region_add(&s->regions, m->start, m->end) < 0) {
                s->port->ops->kill(s->port, "no memory for its list of regions");
                return -ENOMEM;
        }
        return 1;
}

/* One look at the list of mappings. */
struct look {
        struct space *space;
        struct region_set there;   /* of space.regions, what is mapped */
        const struct look *before; /* what was registered then is not registered again */
        struct region *seen;       /* those that are registered, and were not certain to be, one by one */
        size_t n_seen, room;
        bool all;       /* registers also what is certain to be */
        bool found_new; /* something that is not in space.regions */
};

static void look_clear(struct look *l)
{
        region_clear(&l->there);
        free(l->seen);
        *l = (struct look){ .space = l->space };
}

static int note_seen(struct look *l, const struct procfs_mapping *m)
{
        if (l->n_seen == l->room) {
                size_t room = l->room ? l->room * 2 : 64;
                struct region *seen = realloc(l->seen, room * sizeof(*seen));

                if (!seen)
                        return -ENOMEM;
                l->seen = seen;
                l->room = room;
        }
        l->seen[l->n_seen++] = (struct region){ m->start, m->end };
        return 0;
}

static bool was_seen(const struct look *before, uint64_t start, uint64_t end)
{
        size_t low = 0, high = before->n_seen;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (before->seen[middle].start < start)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < before->n_seen && before->seen[low].start == start && before->seen[low].end == end;
}

/*
 * Where something is certain already, the mapping has grown, and its registration with it; or it is another one, and
 * the event of the one that was there is still to come. That one may have been moved: were the newcomer registered
 * before the REMAP is told, its own events could be read first, and would be taken for the other's.
 */
static int look_at(const struct procfs_mapping *m, void *arg)
{
        struct look *l = arg;
        struct space *s = l->space;
        const struct region *r;
        int e = 0;

        if (!is_eligible(s, m))
                return 0;
        if (l->before && was_seen(l->before, m->start, m->end)) {
                e = note_seen(l, m);
        } else if (l->all || !region_touches(&s->certain, m->start, m->end)) {
                l->found_new |= !region_holds(&s->regions, m->start, m->end);
                e = enlist(s, m);
                if (e > 0)
                        e = note_seen(l, m);
        } else if (!region_holds(&s->certain, m->start, m->end)) {
                s->doubtful = true;
                e = note_seen(l, m);
        }
        for (uint64_t at = m->start; e >= 0 && at < m->end; at = r->end) {
                r = region_at_or_after(&s->regions, at);
                if (!r || r->start >= m->end)
                        break;
                e = region_add(&l->there, r->start > at ? r->start : at, r->end < m->end ? r->end : m->end);
        }
        return e < 0 ? e : 0;
}

/* A client with very many mappings must not keep the worker busy with looks: when the next one may begin. */
static uint64_t pause_after(struct space *s, uint64_t began)
{
        uint64_t now = s->port->ops->now(s->port);

        return now - began > LOOK_IS_SHORT_NS ? now + (now - began) * LOOK_PAUSE : 0;
}

/*
 * Looks until there is nothing new: a mapping that changed under a look may have been registered in part, and the
 * program's mremap of it fails until the rest is.
 */
void registration_extend(struct space *s, uint64_t mapped)
{
        struct look look[2] = { { .space = s }, { .space = s } };
        uint64_t began = s->port->ops->now(s->port);
        uint64_t again = budget_room(&s->budget) ? LOOK_AGAIN_NS : LOOK_AGAIN_SOON_NS;
        bool changing;
        int r = 0;

        if ((mapped == s->mapped && began - s->looked_at < again) || event_are_waiting(s) || began < s->look_after)
                return;
        s->looked_at = began;
        /* Events that were not read yet may be about what is certain. */
        changing = s->port->ops->changing(s->port);
        for (unsigned i = 0; i < LOOKS; i++) {
                struct look *now = &look[i % 2];

                look_clear(now);
                now->before = i ? &look[(i + 1) % 2] : NULL;
                r = s->port->ops->mappings(s->port, look_at, now);
                if (r < 0 || !now->found_new)
                        break;
        }
        look_clear(&look[0]);
        look_clear(&look[1]);
        if (r == 0 && !changing)
                s->mapped = mapped;
        s->look_after = pause_after(s, began);
        if (s->doubtful)
                fault_receive(s);
}

/* What was there at both looks was registered in between. Returns whether that is all, or a negative errno. */
static int make_certain(struct space *s, const struct look *before, const struct look *now)
{
        bool all = true;

        for (size_t i = 0; i < now->n_seen; i++) {
                const struct region *r = &now->seen[i];

                if (!was_seen(before, r->start, r->end)) {
                        all = false;
                        continue;
                }
                if (!region_holds(&s->certain, r->start, r->end))
                        s->futile_until = 0; /* there is more to search */
                if (region_add(&s->certain, r->start, r->end) < 0)
                        return -ENOMEM;
        }
        return all;
}

int registration_confirm(struct space *s)
{
        /* An heir's new mapping may be where its parent's was registered. */
        struct look before = { .space = s, .all = s->heir }, now = { .space = s, .before = &before, .all = s->heir };
        uint64_t began = s->port->ops->now(s->port);
        int r;

        if (began < s->confirm_after)
                return 0;
        r = s->port->ops->mappings(s->port, look_at, &before);
        if (r == 0)
                r = s->port->ops->mappings(s->port, look_at, &now);
        if (r == 0 && s->port->ops->changing(s->port))
                r = -EAGAIN;
        if (r == 0)
                r = make_certain(s, &before, &now);
        if (r >= 0) {
                region_clear(&s->regions);
                s->regions = now.there;
                now.there = (struct region_set){ 0 };
        }
        if (r == 1 && s->heir)
                r = heir_settle(s);
        look_clear(&before);
        look_clear(&now);
        s->confirm_after = pause_after(s, began);
        return r;
}

void registration_lost(struct space *s, uint64_t addr)
{
        if (region_remove(&s->regions, addr, addr + PAGE_SIZE_) < 0 ||
            region_remove(&s->certain, addr, addr + PAGE_SIZE_) < 0)
                s->port->ops->kill(s->port, "no memory for its list of regions");
        s->mapped = 0;
}

/*
 * Whether nothing in the range is ours. A page that was only CLEARED holds nothing once it was seen absent, and an
 * absent page of memory that is not registered is zeros just as a ZERO one.
 */
static bool holds_nothing(struct space *s, uint64_t start, uint64_t end)
{
        struct procfs_run run[64];
        uint64_t at = ptable_next_held(&s->table, start, end);

        while (at < end) {
                uint64_t next = end;
                int n = s->port->ops->present(s->port, at, end, run, 64, UINT64_MAX, &next);

                if (n < 0)
                        return false;
                event_settle_absent(s, at, next, run, n);
                if (ptable_next_held(&s->table, at, next) < next)
                        return false;
                at = ptable_next_held(&s->table, next, end);
        }
        return true;
}

void registration_shrink(struct space *s)
{
        for (size_t i = 0; i < s->regions.n;) {
                struct region r = s->regions.v[i];

                if (!holds_nothing(s, r.start, r.end) ||
                    s->port->ops->discharge(s->port, r.start, r.end - r.start) < 0) {
                        i++;
                        continue;
                }
                event_unmap(s, r.start, r.end);
        }
        s->mapped = 0;
}
