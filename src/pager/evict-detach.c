/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Second on the way of an eviction: batches are posted to the agent, which moves the pages out of the program, and what
 * it answers is taken. From posting to answer a page is EVICTING, and faults on it wait.
 */
#include "pager/evict.h"

#include <string.h>

#include "pager/event.h"
#include "pager/fault.h"
#include "pager/registration.h"
#include "util/bug.h"
#include "util/log.h"

#define FUTILE_NS    50000000ull
#define AVOID_ROUNDS 4

struct evict_item *evict_item_at(struct space *s, uint32_t index)
{
        return &s->batch[index / VMPAGER_BATCH_PAGES].item[index % VMPAGER_BATCH_PAGES];
}

void evict_item_drop(struct space *s, uint32_t index)
{
        struct evict_item *item = evict_item_at(s, index);

        item->dropped = true;
        fault_list_move(&s->retry, &item->faults);
}

void evict_cancel(struct space *s)
{
        if (!bug(NO_EPOCH))
                atomic_store(&s->ring->epoch, ++s->epoch);
}

void evict_cancel_in(struct space *s, uint64_t start, uint64_t end)
{
        for (uint32_t b = s->completed; b != s->posted; b++) {
                const struct evict_batch *batch = &s->batch[b % VMPAGER_RING_BATCHES];

                for (uint32_t i = 0; i < batch->n_pages; i++)
                        if (batch->item[i].addr >= start && batch->item[i].addr < end) {
                                evict_cancel(s);
                                return;
                        }
        }
}

bool evict_is_hopeless(const struct space *s)
{
        if (event_is_unsettled(s))
                return true;
        /* While the program forks the agent begins nothing, and the thread that forks may be the one that waits. */
        if (atomic_load_explicit(&s->ring->away, memory_order_relaxed) ||
            atomic_load_explicit(&s->ring->forks, memory_order_relaxed))
                return true;
        if (s->store_is_full && s->pager->grow_when_full)
                return true;
        return s->futile_until != 0 && s->in_flight == 0 && s->writes == 0 && !event_are_waiting(s) && !s->doubtful &&
               !s->journal.n_children;
}

/* Notes the pages of a batch as EVICTING. Returns how many could be noted (fewer: no memory for the table). */
static uint32_t note_items(struct space *s, uint32_t b, struct vmpager_run *runs, uint32_t *n_runs)
{
        struct evict_batch *batch = &s->batch[b];
        uint32_t n = 0;

        for (uint32_t i = 0; i < *n_runs; i++) {
                for (uint32_t k = 0; k < runs[i].pages; k++) {
                        struct evict_item *item = &batch->item[n];

                        item->addr = runs[i].addr + k * PAGE_SIZE_;
                        item->dropped = false;
                        fault_list_init(&item->faults);
                        if (ptable_set(&s->table, item->addr,
                                       page_make(PAGE_EVICTING, b * VMPAGER_BATCH_PAGES + n, 0)) < 0) {
                                runs[i].pages = k;
                                *n_runs = k ? i + 1 : i;
                                return n;
                        }
                        n++;
                }
        }
        return n;
}

/* What the search is to do next time is known: nothing, for a while, or until there is more that could be evicted. */
static void note_futile(struct space *s)
{
        s->futile_until = s->port->ops->now(s->port) + FUTILE_NS;
        s->futile_size = s->budget.resident;
}

/*
 * The search has found nothing. That says nothing of the client if it has given its memory back meanwhile, and is about
 * to take more.
 */
static bool is_futile(struct space *s)
{
        struct procfs_memory m;

        if (!evict_pick_is_futile(s) || s->port->ops->memory(s->port, &m) < 0)
                return false;
        budget_sample(&s->budget, m.anonymous);
        return budget_excess(&s->budget, s->in_flight * PAGE_SIZE_) > 0;
}

/* Posts one batch of up to `want` pages. Returns how many pages it has. */
static uint32_t post(struct space *s, uint32_t want)
{
        struct vmpager_run runs[VMPAGER_BATCH_PAGES];
        uint32_t b = s->posted % VMPAGER_RING_BATCHES, first = 0, n_runs, n, slots;
        struct vmpager_batch *wire = &s->ring->batch[b];

        if (want > VMPAGER_BATCH_PAGES)
                want = VMPAGER_BATCH_PAGES;
        slots = ring_slots_take(&s->ring_slots, want, &first);
        if (slots == 0)
                return 0;
        n = evict_pick(s, runs, slots, &n_runs);
        n = n ? note_items(s, b, runs, &n_runs) : 0;
        for (uint32_t i = n; i < slots; i++)
                ring_slots_free(&s->ring_slots, first + i);
        if (n == 0) {
                if (is_futile(s))
                        note_futile(s);
                else if (s->certain.n)
                        s->port->ops->timer(s->port, s->port->ops->now(s->port)); /* goes on in another turn */
                return 0;
        }
        s->batch[b].n_pages = n;
        s->batch[b].first_slot = first;
        s->batch[b].n_slots = n;
        s->batch[b].epoch = s->epoch;
        memcpy(wire->run, runs, n_runs * sizeof(runs[0]));
        memset(wire->result, VMPAGER_RES_NONE, n);
        wire->flags = s->shares ? VMPAGER_BATCH_RECLAIM : 0;
        wire->epoch = s->epoch;
        wire->n_runs = n_runs;
        wire->n_pages = n;
        wire->first_slot = first;
        s->in_flight += n;
        atomic_store(&s->ring->posted, ++s->posted);
        return n;
}

void evict_kick(struct space *s)
{
        bool posted = false;

        /* What a child's parent has yet to tell is about what the child had, and not about what was taken out since. */
        if (s->dying || event_is_unsettled(s) || s->journal.n_children || event_are_waiting(s))
                return;
        /* Before the store is asked: else it would be hopeless for as long as that is full. */
        if (s->futile_until) {
                if (s->port->ops->now(s->port) < s->futile_until && !budget_has_grown(&s->budget, s->futile_size))
                        return;
                s->futile_until = 0;
        }
        if (s->unwritten)
                return;
        while (s->posted - s->completed < VMPAGER_RING_BATCHES) {
                uint64_t want = budget_excess(&s->budget, s->in_flight * PAGE_SIZE_) / PAGE_SIZE_;

                if (want == 0 || evict_keep_look(s) < 0)
                        break;
                if (post(s, want > UINT32_MAX ? UINT32_MAX : (uint32_t)want) == 0)
                        break;
                posted = true;
        }
        if (posted)
                s->port->ops->kick(s->port);
        if (s->stalled.head && evict_is_hopeless(s))
                s->port->ops->timer(s->port, s->port->ops->now(s->port));
}

/* Notes where a page is that is out of the program now. */
static void note_out(struct space *s, const struct evict_item *item, page_entry e, bool bare)
{
        budget_detached(&s->budget, PAGE_SIZE_);
        s->stats.evicted_pages++;
        ptable_set(&s->table, item->addr, bare ? e | PAGE_BARE : e);
}

/* The agent's answer for one page that is still wanted. Returns whether its bytes are in `slot` now. */
static bool take_result(struct space *s, struct evict_item *item, uint8_t result, uint32_t slot)
{
        struct chunk *c;

        switch (result) {
        case VMPAGER_RES_MOVED:
        case VMPAGER_RES_BARE:
                s->ring_slots.v[slot].owner = item->addr;
                note_out(s, item, page_make(PAGE_STANDBY, slot, 0), result == VMPAGER_RES_BARE);
                return true;
        case VMPAGER_RES_ZERO:
        case VMPAGER_RES_BARE_ZERO:
                note_out(s, item, page_make(PAGE_ZERO, 0, 0), result == VMPAGER_RES_BARE_ZERO);
                return false;
        case VMPAGER_RES_BUSY:
                /* Of a fork before anything was registered the kernel tells nothing. */
                s->shares = true;
                /* fallthrough */
        case VMPAGER_RES_REFUSED:
                s->stats.not_evictable++;
                c = ptable_chunk(&s->table, item->addr);
                if (c)
                        c->avoid = AVOID_ROUNDS;
                break;
        case VMPAGER_RES_FOREIGN:
                registration_lost(s, item->addr);
                break;
        case VMPAGER_RES_ABSENT:
        case VMPAGER_RES_CANCELLED:
                break;
        default:
                s->port->ops->kill(s->port, "its agent thread answered an eviction with nonsense");
                break;
        }
        ptable_set(&s->table, item->addr, page_make(PAGE_NATIVE, 0, 0));
        return false;
}

/*
 * Counts what the agent could not take. Where that was as much as the client has, nothing of it can be evicted: it is
 * locked, pinned or shared by fork, or the agent can do nothing. It is asked seldom then, and faults are served
 * beyond the limit.
 */
static void count_vain(struct space *s, const struct evict_batch *batch, const uint8_t *result)
{
        uint32_t vain = 0, cancelled = 0;

        for (uint32_t i = 0; i < batch->n_pages; i++) {
                cancelled += result[i] == VMPAGER_RES_CANCELLED;
                vain += result[i] == VMPAGER_RES_BUSY || result[i] == VMPAGER_RES_REFUSED ||
                        result[i] == VMPAGER_RES_FOREIGN;
        }
        if (vain + cancelled < batch->n_pages) {
                s->vain = 0;
                return;
        }
        if (cancelled && (batch->epoch != s->epoch || s->journal.n || s->port->ops->changing(s->port)))
                return;
        if (s->vain != UINT64_MAX) {
                s->vain += batch->n_pages;
                if (s->vain < s->budget.resident / PAGE_SIZE_)
                        return;
                s->vain = UINT64_MAX;
                if (cancelled == batch->n_pages)
                        log_warning("client %d: its agent thread cannot evict (has the program forbidden system calls "
                                    "to all of its threads, or is there no memory?): it grows beyond its limit",
                                    s->pid);
        }
        note_futile(s);
}

/* Takes one batch's results; the pages whose bytes came are in the batch's first slots afterwards. */
static uint32_t take_batch(struct space *s, uint32_t b)
{
        struct evict_batch *batch = &s->batch[b];
        uint8_t result[VMPAGER_BATCH_PAGES];
        uint32_t moved = 0;

        memcpy(result, s->ring->batch[b].result, batch->n_pages);
        for (uint32_t i = 0; i < batch->n_pages; i++) {
                if (bug(BUSY_IS_MOVED) && result[i] == VMPAGER_RES_BUSY)
                        result[i] = VMPAGER_RES_MOVED;
                if (bug(BARE_IS_MARKED) && result[i] == VMPAGER_RES_BARE)
                        result[i] = VMPAGER_RES_MOVED;
                struct evict_item *item = &batch->item[i];
                uint32_t slot = batch->first_slot + moved;
                bool has_slot = result[i] == VMPAGER_RES_MOVED || result[i] == VMPAGER_RES_BARE;
                bool in_slot = !item->dropped && take_result(s, item, result[i], slot);

                moved += has_slot;
                s->stray_marks += item->dropped && has_slot; /* MADV_FREE leaves it */
                if (has_slot && !in_slot)
                        ring_slots_free(&s->ring_slots, slot);
        }
        for (uint32_t i = moved; i < batch->n_slots; i++)
                ring_slots_free(&s->ring_slots, batch->first_slot + i);
        s->in_flight -= batch->n_pages;
        count_vain(s, batch, result);
        return moved;
}

/* Takes what is completed. What waited for it is routed, or left to be tried again. False: the client is ended. */
static bool collect(struct space *s, bool route)
{
        uint32_t completed = atomic_load(&s->ring->completed);

        if (completed - s->completed > s->posted - s->completed) {
                s->port->ops->kill(s->port, "its agent thread completed evictions that were never ordered");
                return false;
        }
        while (s->completed != completed) {
                uint32_t b = s->completed % VMPAGER_RING_BATCHES;
                uint32_t moved = take_batch(s, b);
                uint32_t first = s->batch[b].first_slot, n = s->batch[b].n_pages;

                s->completed++;
                for (uint32_t i = 0; i < n; i++) {
                        if (route)
                                fault_route_list(s, &s->batch[b].item[i].faults);
                        else
                                fault_list_move(&s->retry, &s->batch[b].item[i].faults);
                }
                evict_write(s, first, moved);
        }
        return true;
}

void evict_collect(struct space *s)
{
        collect(s, false);
}

bool evict_is_half_done(const struct space *s)
{
        return s->posted != s->completed && atomic_load(&s->ring->busy);
}

/* Whether a page that the agent was about when it ended is still in the program. */
static bool is_left(struct space *s, uint64_t addr)
{
        struct procfs_run run;
        uint64_t next;

        return s->port->ops->present(s->port, addr, addr + PAGE_SIZE_, &run, 1, 1, &next) == 1;
}

void evict_abandon(struct space *s)
{
        bool half_done = evict_is_half_done(s);

        evict_collect(s);
        for (; s->completed != s->posted; s->completed++, half_done = false) {
                struct evict_batch *batch = &s->batch[s->completed % VMPAGER_RING_BATCHES];

                for (uint32_t i = 0; i < batch->n_pages; i++) {
                        struct evict_item *item = &batch->item[i];
                        bool lost = half_done && !item->dropped && !is_left(s, item->addr);

                        fault_list_move(&s->retry, &item->faults);
                        if (!item->dropped)
                                ptable_set(&s->table, item->addr, page_make(PAGE_NATIVE, 0, 0));
                        if (!lost)
                                continue;
                        log_error("client %d: page 0x%llx is lost: its agent ended when it had just taken the page out",
                                  s->pid, (unsigned long long)item->addr);
                        ptable_set(&s->table, item->addr, page_make(PAGE_POISONED, 0, 0));
                        s->stats.poisoned_pages++;
                }
                for (uint32_t i = 0; i < batch->n_slots; i++)
                        ring_slots_free(&s->ring_slots, batch->first_slot + i);
                s->in_flight -= batch->n_pages;
        }
        atomic_store(&s->ring->completed, s->completed); /* nobody else does */
        if (s->retry.head)
                s->port->ops->again(s->port);
}

void evict_completed(struct space *s)
{
        if (s->dying || !collect(s, true))
                return;
        fault_gate_open(s);
        fault_unstall(s);
        evict_kick(s);
}

void evict_slot_recall(struct space *s, uint32_t slot)
{
        struct ring_slot *v = &s->ring_slots.v[slot];

        v->owner = RING_SLOT_NO_OWNER;
        if (bug(SLOT_FREED_EARLY))
                v->writing = 0;
        if (!v->writing)
                ring_slots_free(&s->ring_slots, slot);
}
