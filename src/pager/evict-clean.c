/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Beside the way of an eviction: a page that has come back and goes out again unchanged is still in the store, where it
 * was; it needs no write. So where a page was fetched from is noted (model/clean.h), with the reference that the page's
 * entry had; and when its bytes are in the ring again they are compared with what was written there.
 *
 * That alone decides. What is noted may be of a page that was moved, discarded, or that another mapping has taken the
 * place of: if the bytes are the same it is as good as any, if not the note is dropped and the page written. So nothing
 * has to be tracked, and no event can come too late. Events take notes out only so that the store gets its room back.
 *
 * The store compares 128 bits of a hash (store_same()), and does not read.
 */
#include "pager/evict.h"

#include "util/bug.h"

/* Of the store's locations: when so much is in use no more is noted, and when so much is, all of that is given back. */
#define NOTE_BELOW(capacity) ((capacity) / 2)
#define KEEP_BELOW(capacity) ((capacity) / 8 * 5)

static void give_back(void *arg, uint64_t loc)
{
        struct space *s = arg;

        store_unref(s->pager->store, loc, 1);
}

void evict_clean_forget(struct space *s, uint64_t start, uint64_t end)
{
        if (s->clean.n)
                clean_forget(&s->clean, start, end, give_back, s);
}

void evict_clean_forget_all(struct space *s)
{
        evict_clean_forget(s, 0, PTABLE_END);
        clean_clear(&s->clean);
}

bool evict_clean_yield(struct pager *p)
{
        bool any = false;

        for (struct space *s = p->spaces; s; s = s->next) {
                any |= s->clean.n != 0;
                evict_clean_forget(s, 0, PTABLE_END);
        }
        return any;
}

void evict_clean_look(struct pager *p)
{
        struct store_stats st;

        if (!store_can_compare(p->store))
                return;
        store_stats(p->store, &st);
        p->store_is_low = st.disk_bytes > NOTE_BELOW(st.disk_capacity_bytes);
        if (st.disk_bytes > KEEP_BELOW(st.disk_capacity_bytes))
                evict_clean_yield(p);
}

/* Twice as many places as there can be pages: what a set has no place for is written. */
void evict_clean_note(struct space *s, uint64_t addr, store_loc loc)
{
        uint64_t other = loc;
        bool wanted = s->budget.limit && !s->dying && !s->pager->store_is_low && store_can_compare(s->pager->store);

        if (wanted && !s->clean.v && clean_init(&s->clean, s->budget.limit / PAGE_SIZE_ * 2) < 0)
                wanted = false;
        if (!wanted || clean_note(&s->clean, addr, loc, &other))
                store_unref(s->pager->store, other, 1);
}

/* The page in a slot is on standby. Returns whether it is in the store as it is. */
static bool is_stored(struct space *s, uint32_t slot)
{
        uint64_t addr = s->ring_slots.v[slot].owner, loc;

        if (!clean_take(&s->clean, addr, &loc))
                return false;
        if (!store_same(s->pager->store, loc, s->slots + (uint64_t)slot * VMPAGER_PAGE) && !bug(SAME_ALWAYS)) {
                store_unref(s->pager->store, loc, 1);
                return false;
        }
        ptable_set(&s->table, addr, page_make(PAGE_STORED, 0, loc) | (ptable_get(&s->table, addr) & PAGE_BARE));
        s->stats.clean_evictions++;
        return true;
}

void evict_clean(struct space *s, uint32_t first, uint32_t n)
{
        for (uint32_t i = first; i < first + n && s->clean.n; i++) {
                const struct ring_slot *v = &s->ring_slots.v[i];

                if (v->used && v->owner != RING_SLOT_NO_OWNER && !v->writing && is_stored(s, i))
                        ring_slots_free(&s->ring_slots, i);
        }
}
