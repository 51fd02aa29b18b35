// SPDX-License-Identifier: GPL-2.0-or-later
/* Rest: nothing is under way, and nothing is left to be done. Then what the pager notes has to agree with what is. */
#include "world.h"

/* With all threads idle so many timers without anything that happens, or so many rounds, are a thread that is lost. */
#define LAST_TIMERS 2000u
#define LAST_ROUNDS 40000u

/* While there is no room timers fire for ever: so many are enough. */
#define FULL_TIMERS 50u

static bool threads_are_idle(const struct sim_client *c)
{
        for (unsigned i = 0; i < c->n_threads; i++)
                if (!c->thread[i].idle)
                        return false;
        return !c->reading_all && (c->agent_is != AGENT_WORKS || (c->agent.idle && c->agent.waits));
}

static bool is_at_rest(const struct sim_client *c)
{
        const struct space *s = &c->space;

        if (c->life == LIFE_NONE)
                return true;
        if (c->mm.gone || c->life == LIFE_UNBORN || !threads_are_idle(c))
                return false;
        if (!c->paged)
                return true;
        return !c->mm.poll && !c->eventfd && !c->again && !s->retry.head && !s->stalled.head && !s->arrived &&
               s->journal.n == 0 && s->journal.n_forks == 0 && s->in_flight == 0 && s->table.bare == 0;
}

static bool all_are_at_rest(void)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                if (!is_at_rest(&world.client[i]))
                        return false;
        return world.n_ios == 0;
}

static void fail_waiting(const struct sim_client *c)
{
        const struct sim_mm *mm = &c->mm;
        const struct space *s = &c->space;

        if (c->life == LIFE_NONE || is_at_rest(c))
                return;
        if (!c->paged)
                sim_fail("client %c does not come to rest, and is not paged", life_name(c));
        for (unsigned i = 0; i < mm->n_faults; i++) {
                const struct sim_waiter *w = &mm->fault[i];
                enum page_state state = page_state(ptable_get(&s->table, sim_address(w->page)));

                sim_fail("thread %u of client %c waits for page %u for ever, which is %s", w->task->number,
                         life_name(c), w->page, page_state_name(state));
        }
        for (unsigned i = 0; i < mm->n_events; i++)
                sim_fail("thread %u of client %c waits for its event for ever", mm->event[i].task->number,
                         life_name(c));
        sim_fail("client %c does not come to rest: %llu pages are ordered, %zu events and %zu forks not carried out, "
                 "%llu marks not set",
                 life_name(c), (unsigned long long)s->in_flight, s->journal.n, s->journal.n_forks,
                 (unsigned long long)s->table.bare);
}

static void fail(void)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                fail_waiting(&world.client[i]);
        sim_fail("I/O does not end");
}

void rest_come(void)
{
        unsigned timers = 0;

        for (unsigned rounds = 0; !all_are_at_rest(); rounds++) {
                world.steps++;
                if (rounds == LAST_ROUNDS)
                        fail();
                if (world_all_go_on()) {
                        timers = 0;
                        continue;
                }
                if (++timers == LAST_TIMERS || !world_run_timer())
                        fail();
        }
}

/* Whoever waits for a page that is in the store makes room there when he gets it, and must not wait for room. */
static void check_full(const struct sim_client *c)
{
        const struct space *s = &c->space;

        if (!c->paged || s->dying || !s->store_is_full || event_is_unsettled(s))
                return;
        for (const struct fault *f = s->stalled.head; f; f = f->next)
                if (page_state(ptable_get(&s->table, f->addr)) == PAGE_STORED)
                        sim_fail("client %c: a thread waits for page %llu, which is in the store, until that has room",
                                 life_name(c), (unsigned long long)(f->addr - SIM_BASE) / PAGE_SIZE_);
}

void rest_full(void)
{
        unsigned timers = 0;

        while (!all_are_at_rest() && timers < FULL_TIMERS) {
                world.steps++;
                if (world_all_go_on())
                        continue;
                timers++;
                if (!world_run_timer())
                        break;
        }
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                check_full(&world.client[i]);
}

static bool is_out(page_entry e)
{
        enum page_state state = page_state(e);

        return state == PAGE_STANDBY || state == PAGE_STORED || state == PAGE_FETCHING || state == PAGE_ZERO;
}

/* The pages that are out are those that are marked; but a child may have notes of pages that it does not have. */
static void check_marks(const struct sim_client *c)
{
        const struct space *s = &c->space;
        uint64_t stray = 0;

        for (unsigned i = 0; i < SIM_PAGES; i++) {
                const struct sim_pte *pte = &c->mm.pte[i];
                page_entry e = ptable_get(&s->table, sim_address(i));

                if (is_out(e) && pte->kind != PTE_NONE && !s->heir)
                        sim_fail("page %u is %s, and it is there", i, page_state_name(page_state(e)));
                if (is_out(e) && !pte->wp && !s->heir)
                        sim_fail("page %u is %s, and has no mark", i, page_state_name(page_state(e)));
                stray += !is_out(e) && pte->kind == PTE_NONE && pte->wp;
        }
        if (stray > s->stray_marks)
                sim_fail("%llu marks are left over, at most %llu should be", (unsigned long long)stray,
                         (unsigned long long)s->stray_marks);
}

/* Each location has as many users as there are pages that are noted to be there. */
static void check_locations(void)
{
        uint32_t users[SIM_LOCS] = { 0 };

        for (unsigned c = 0; c < SIM_CLIENTS; c++)
                for (unsigned i = 0; world.client[c].paged && i < SIM_PAGES; i++) {
                        page_entry e = ptable_get(&world.client[c].space.table, sim_address(i));
                        uint64_t loc;

                        if (page_state(e) == PAGE_STORED)
                                users[page_loc(e)]++;
                        if (clean_find(&world.client[c].space.clean, sim_address(i), &loc))
                                users[loc]++;
                }
        for (unsigned i = 0; i < SIM_LOCS; i++)
                if (users[i] != world.refs[i])
                        sim_fail("location %u has %u references, and is noted for %u pages", i, world.refs[i],
                                 users[i]);
}

void rest_check(void)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                current = &world.client[i];
                if (!current->paged)
                        continue;
                check_marks(current);
                if (current->space.budget.reserved)
                        sim_fail("%llu bytes of room are reserved, and nothing is fetched",
                                 (unsigned long long)current->space.budget.reserved);
        }
        check_locations();
        for (unsigned i = 0; i <= SIM_PARTS; i++)
                if (world.pager.parts.has[i])
                        sim_fail("%u fetches are of part %u, and nothing is fetched", world.pager.parts.has[i], i);
        if (world.pager.fetches.n_free != world.config.n_fetches)
                sim_fail("%u of %u fetches are free, and nothing is fetched", world.pager.fetches.n_free,
                         world.config.n_fetches);
}
