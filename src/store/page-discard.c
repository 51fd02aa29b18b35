// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Freed space is told to the medium, which then need not keep it: a flash disk has less to copy about, a device that is
 * thinly provisioned, a file with holes, or a server gives the room to others.
 *
 *     unit map: all free, since two looks --taken--> discard --ended, well or not--> free, and not stale any more
 *
 * No data can be lost by it: units are taken while they are discarded, so that nobody is given them and nothing is
 * written there, until the medium has said that it is done with it. A medium that may still discard later what it was
 * told (a server that was lost) has those units in doubt, and they stay taken. What is free was free of writes, too:
 * those that are under way have their units.
 *
 * It stands in nobody's way. Whole groups alone are discarded (2 MiB of sectors, 16 MiB of pages), neighbours together,
 * 64 MiB at most. A medium has one discard under way, and afterwards rests for nine times as long as it took: so a
 * tenth of the time is spent on it at most, however slow the medium is with it. A quarter of what is free is taken for
 * it at most: a store that is near full discards little, and then nothing. What is promised counts that quarter as
 * free, since it will be: a write that finds nothing else waits for it (page_io_no_room()).
 *
 * A port looks a second after its writes, and so on until nothing is stale. Who has nothing stale has no timer.
 */
#include "store/page-discard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/page-port.h"
#include "store/unit-map.h"
#include "util/log.h"

/* Bytes of one discard, and what part of the free units it may take. */
#define MOST_BYTES (64u << 20)
#define SHARE      4u

/* What is free for so long, or twice that, is discarded. */
#define MOMENT_NS UINT64_C(1000000000)

/* After a discard: at least, and for each ns that it took; after one that has failed. */
#define REST_NS    UINT64_C(100000000)
#define REST_TIMES 9u
#define FAILED_NS  UINT64_C(60000000000)

static void lock(struct page_store *s)
{
        pthread_mutex_lock(&s->lock);
}

static void unlock(struct page_store *s)
{
        pthread_mutex_unlock(&s->lock);
}

void page_discard_init(struct page_store *s)
{
        uint64_t group = (uint64_t)UNIT_MAP_GROUP * s->unit;

        for (unsigned i = 0; i < s->spread.n; i++) {
                const struct medium *m = s->spread.part[i].medium;
                struct page_discard_part *p = &s->discard.part[i];
                uint64_t stride = m->discard.grain ? (m->discard.grain + group - 1) / group : 1;

                p->is_on = m->discard.most && stride * group <= MOST_BYTES;
                if (m->discard.most && !p->is_on)
                        log_info("store %s: it discards pieces of %" PRIu64 " bytes only, which is too much: freed "
                                 "space is not discarded",
                                 m->name, m->discard.grain);
                if (!p->is_on)
                        continue;
                p->stride = (uint32_t)stride;
                if (m->discard.stale)
                        unit_map_stale_all(s->spread.part[i].map);
                atomic_fetch_add_explicit(&s->discard.n_on, 1, memory_order_relaxed);
        }
}

/* How many adjacent groups may be taken now: a multiple of the stride. */
static uint32_t groups_allowed(const struct page_store *s, const struct page_discard_part *p)
{
        uint64_t available = spread_available(&s->spread);
        uint64_t units = available > s->promised ? (available - s->promised) / SHARE : 0;

        if (units > MOST_BYTES / s->unit)
                units = MOST_BYTES / s->unit;
        units /= UNIT_MAP_GROUP;
        return (uint32_t)(units - units % p->stride);
}

/* Looks at a medium. True: *io is to be discarded; false: nothing yet, and not_before says when to look again. */
static bool choose(struct page_store *s, unsigned i, uint64_t now, struct medium_io *io)
{
        struct page_discard_part *p = &s->discard.part[i];
        struct spread_part *part = &s->spread.part[i];
        uint32_t most = groups_allowed(s, p);
        uint64_t units = 0;

        if (most && !medium_is_away(part->medium))
                units = unit_map_take_idle(part->map, p->stride, most, &p->hand, &io->at);
        else
                p->hand = 0;
        p->not_before = p->hand ? now : now + MOMENT_NS; /* the rest of the round, or the next one */
        if (!units)
                return false;
        io->units = (uint32_t)units;
        p->busy = true;
        spread_discard(&s->spread, i, io->units);
        atomic_fetch_add_explicit(&s->discard.under_way, 1, memory_order_relaxed);
        return true;
}

/* Begins a discard, if there is something; else *again is when to look again, 0: when something was written. */
static bool begin(struct page_store *s, uint64_t now, struct page_discarder *d, uint64_t *again)
{
        bool is = false;

        *again = 0;
        lock(s);
        for (unsigned i = 0; i < s->spread.n && !is; i++) {
                struct page_discard_part *p = &s->discard.part[i];
                uint64_t next;

                if (!p->is_on || !unit_map_stale(s->spread.part[i].map))
                        continue;
                if (!p->busy && p->not_before <= now)
                        is = choose(s, i, now, &d->medium);
                d->part = i;
                next = p->busy && !is ? now + MOMENT_NS : p->not_before;
                if (!*again || next < *again)
                        *again = next;
        }
        unlock(s);
        return is;
}

static void look_at(struct page_discarder *d, uint64_t when)
{
        if (!d->stopping)
                loop_alarm_set(&d->alarm, when);
}

static bool is_refusal(int result)
{
        return result == -EOPNOTSUPP || result == -ENOTTY || result == -EINVAL || result == -ENOSYS;
}

/* Says so, once. */
static void complain(const struct medium *m, int result, bool refused)
{
        const char *what = refused ? "the kernel or the device refuses it, and freed space is not discarded" :
                                     "a discard has failed, and another is tried in a minute";

        if (refused && m->discard.wanted == MEDIUM_DISCARD_AUTO)
                log_info("store %s: %s (error %d, %s)", m->name, what, -result, strerror(-result));
        else
                log_warning("store %s: %s (error %d, %s)", m->name, what, -result, strerror(-result));
}

/* The units are free again. Returns whether somebody should hear of the result. */
static bool end(struct page_store *s, const struct page_discarder *d, uint64_t now, int result)
{
        struct page_discard_part *p = &s->discard.part[d->part];
        uint64_t rest = (now - d->began) * REST_TIMES;
        bool heard = result < 0 && !p->complained;

        lock(s);
        spread_discarded(&s->spread, d->part, d->medium.at, d->medium.units);
        p->busy = false;
        p->not_before = now + (result < 0 ? FAILED_NS : rest > REST_NS ? rest : REST_NS);
        p->complained |= result < 0;
        if (is_refusal(result)) {
                p->is_on = false;
                atomic_fetch_sub_explicit(&s->discard.n_on, 1, memory_order_relaxed);
        }
        unlock(s);
        atomic_fetch_sub_explicit(&s->discard.under_way, 1, memory_order_relaxed);
        return heard;
}

static void on_discarded(struct medium_io *m, int result)
{
        struct page_discarder *d = op_owner(m, struct page_discarder, medium);
        struct page_port *port = op_owner(d, struct page_port, discarder);
        uint64_t now = loop_now(port->base.loop);

        d->is_on = false;
        if (end(page_store_of_port(port), d, now, result))
                complain(port->medium[d->part]->medium, result, is_refusal(result));
        look_at(d, now);
}

static void on_alarm(struct loop_alarm *alarm)
{
        struct page_discarder *d = op_owner(alarm, struct page_discarder, alarm);
        struct page_port *port = op_owner(d, struct page_port, discarder);
        uint64_t now = loop_now(port->base.loop), again;

        d->medium = (struct medium_io){ .done = on_discarded, .discard = true, .buffer = -1 };
        if (begin(page_store_of_port(port), now, d, &again)) {
                d->is_on = true;
                d->began = now;
                medium_submit(port->medium[d->part], &d->medium);
        } else if (again) {
                look_at(d, again > now ? again : now + 1);
        }
}

void page_discard_start(struct page_port *port)
{
        port->discarder.alarm.loop = port->base.loop;
        port->discarder.alarm.fire = on_alarm;
}

void page_discard_look(struct page_port *port)
{
        struct page_discarder *d = &port->discarder;

        if (!d->is_on && !d->alarm.due && page_store_of_port(port)->discard.n_on)
                look_at(d, loop_now(port->base.loop) + MOMENT_NS);
}

void page_discard_stop(struct page_port *port)
{
        struct page_discarder *d = &port->discarder;

        d->stopping = true;
        loop_alarm_stop(&d->alarm);
        while (d->is_on || loop_alarm_is_armed(&d->alarm))
                if (loop_turn(port->base.loop) < 0)
                        abort(); /* the kernel may still be at it */
}

bool page_discard_is_under_way(struct page_store *s)
{
        return atomic_load_explicit(&s->discard.under_way, memory_order_relaxed) > 0;
}
