/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that must stay. When a thread ends the kernel clears the word that pthread_join() waits for, and walks its list
 * of robust mutexes; it waits for no userfaultfd then, and gives up where the page is out: the join would wait for
 * ever. So pages that hold these of any thread are not taken.
 *
 * Threads come and go between two looks. What was there at a look is kept for a time after the thread has gone, since
 * stacks are used again for other threads. A thread that is younger than the last look is the agent's to look after
 * (preload/ends.c).
 */
#include "pager/evict.h"

/* A page is kept for one to two times as long after its thread was last seen. */
#define KEEP_NS 500000000ull

/* After a look a pause of so many times as long: with very many threads a look takes longer. */
#define LOOK_PAUSE 16u

static int keep(uint64_t start, uint64_t end, void *arg)
{
        struct space *s = arg;

        start = page_floor(start);
        end = page_floor(end + PAGE_SIZE_ - 1);
        return region_holds(&s->kept[0], start, end) ? 0 : region_add(&s->kept[0], start, end);
}

int evict_keep_look(struct space *s)
{
        uint64_t began = s->port->ops->now(s->port);
        int r;

        if (began < s->keep_look_after)
                return 0;
        if (began - s->kept_since > KEEP_NS) {
                region_clear(&s->kept[1]);
                s->kept[1] = s->kept[0];
                s->kept[0] = (struct region_set){ 0 };
                s->kept_since = began;
        }
        r = s->port->ops->thread_ends(s->port, keep, s);
        s->keep_look_after = began + (s->port->ops->now(s->port) - began) * LOOK_PAUSE;
        return r;
}

bool evict_keeps(const struct space *s, uint64_t addr)
{
        return region_touches(&s->kept[0], addr, addr + PAGE_SIZE_) ||
               region_touches(&s->kept[1], addr, addr + PAGE_SIZE_);
}
