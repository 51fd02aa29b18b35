// SPDX-License-Identifier: GPL-2.0-or-later
/* What can happen next, and which of it does. */
#include <string.h>

#include "world.h"

#define MIB (UINT64_C(1) << 20)

/* Has one client do it that can, a random one. */
static bool any(bool (*fn)(void))
{
        unsigned from = sim_any(SIM_CLIENTS);

        for (unsigned k = 0; k < SIM_CLIENTS; k++) {
                current = &world.client[(from + k) % SIM_CLIENTS];
                if (fn())
                        return true;
        }
        return false;
}

static bool runs(void)
{
        return current->life == LIFE_RUNS && !current->mm.gone;
}

/* Whether the daemon has a space of the current client, and does not know that it has ended. */
static bool is_paged(void)
{
        return current->paged && !current->space.dying;
}

static bool thread_goes_on(void)
{
        unsigned from;

        if (!runs())
                return false;
        from = sim_any(current->n_threads);
        for (unsigned k = 0; k < current->n_threads; k++) {
                struct task *t = &current->thread[(from + k) % current->n_threads];

                if (t->waits || (t->idle && world.draining && !current->reading_all))
                        continue;
                task_resume(t);
                return true;
        }
        return false;
}

static bool run_thread(void)
{
        return any(thread_goes_on);
}

static bool agent_goes_on(void)
{
        if (!runs() || current->agent_is != AGENT_WORKS || !agent_can_go())
                return false;
        task_resume(&current->agent);
        return true;
}

static bool run_agent(void)
{
        return any(agent_goes_on);
}

static void note_quiet(struct sim_client *c)
{
        memset(c->changed, 0, sizeof(c->changed));
        memset(c->moved_to, 0, sizeof(c->moved_to));
}

/* The daemon does something for the current client; perhaps it knows of all that was done afterwards. */
static void daemon_does(void (*fn)(struct space *s))
{
        struct sim_client *c = current;

        fn(&c->space);
        if (c->mm.changing == 0 && !event_are_waiting(&c->space))
                note_quiet(c);
}

static bool uffd_is_read(void)
{
        if (!is_paged() || !current->mm.poll)
                return false;
        current->mm.poll = false;
        daemon_does(fault_receive);
        return true;
}

static bool run_uffd(void)
{
        return any(uffd_is_read);
}

static bool eventfd_is_heard(void)
{
        if (!is_paged() || !current->eventfd)
                return false;
        current->eventfd = false;
        daemon_does(evict_completed);
        return true;
}

static bool run_eventfd(void)
{
        return any(eventfd_is_heard);
}

/* The one that is due first. */
bool world_run_timer(void)
{
        struct sim_client *first = NULL;

        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                current = &world.client[i];
                if (is_paged() && current->timer_at && (!first || current->timer_at < first->timer_at))
                        first = current;
        }
        if (!first)
                return false;
        current = first;
        if (world.now < current->timer_at)
                world.now = current->timer_at;
        current->timer_at = 0;
        daemon_does(space_tick);
        return true;
}

static bool tries_again(void)
{
        if (!is_paged() || !current->again)
                return false;
        current->again = false;
        daemon_does(fault_receive);
        return true;
}

static bool run_again(void)
{
        return any(tries_again);
}

static bool run_store(void)
{
        if (world.n_ios == 0)
                return false;
        store_end_one(sim_any(world.n_ios));
        return true;
}

static bool run_life(void)
{
        return any(life_go_on);
}

static uint64_t resident(void)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < SIM_PAGES; i++)
                n += current->mm.pte[i].kind == PTE_PAGE;
        return n * PAGE_SIZE_;
}

/* The watermarks are 1, 2, 4 and 8 MiB below the limit, more than all the pages: something else makes the size. */
static bool size_changes(void)
{
        uint64_t room;

        if (!runs())
                return false;
        if (sim_any(3) == 0)
                current->calm = !current->calm;
        switch (world.config.eager ? 9 + sim_any(7) : sim_any(16)) {
        case 0:
                room = 12 * MIB; /* nothing is to be done */
                break;
        case 1:
        case 2:
        case 3:
                room = 3 * MIB; /* registered, not evicted */
                break;
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
                room = 2 * MIB - (1 + sim_any(20)) * PAGE_SIZE_; /* some pages, if it is evicting */
                break;
        case 10:
        case 11:
                room = sim_any(8) * PAGE_SIZE_;
                break;
        case 12:
                room = 0;
                current->ballast = SIM_LIMIT + sim_any(8) * PAGE_SIZE_;
                return true;
        default:
                room = sim_any(256) * PAGE_SIZE_;
                break;
        }
        current->ballast = SIM_LIMIT - room - resident();
        return true;
}

static bool run_pressure(void)
{
        return any(size_changes);
}

static bool kernel_acts(void)
{
        if (!runs())
                return false;
        if (world.config.exits && !world.draining && sim_any(world.config.exits) == 0) {
                sim_say("kernel: the client is killed");
                life_exit(current);
                return true;
        }
        return sim_any(4) ? kernel_signal(&current->mm, sim_any(16)) : kernel_reclaim(&current->mm, sim_any(SIM_PAGES));
}

static bool run_kernel(void)
{
        return any(kernel_acts);
}

static bool (*const run[N_ACTORS])(void) = {
        [ACTOR_THREADS] = run_thread,  [ACTOR_AGENT] = run_agent,       [ACTOR_UFFD] = run_uffd,
        [ACTOR_EVENTFD] = run_eventfd, [ACTOR_TIMER] = world_run_timer, [ACTOR_AGAIN] = run_again,
        [ACTOR_STORE] = run_store,     [ACTOR_PRESSURE] = run_pressure, [ACTOR_KERNEL] = run_kernel,
        [ACTOR_LIFE] = run_life,
};

/* A client has no more in the store than it may, but for what a fork has brought; and that gets no more. */
static void check_swap(struct sim_client *c)
{
        const struct space *s = &c->space;
        uint64_t stored = s->table.count[PAGE_STORED] + s->table.count[PAGE_FETCHING];

        if (stored > s->swap && stored > c->stored && !c->inherits)
                sim_fail("client %c has %llu pages in the store, and may have %llu", life_name(c),
                         (unsigned long long)stored, (unsigned long long)s->swap);
        c->stored = stored;
        c->inherits &= event_is_unsettled(s);
}

static void check_swaps(void)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                if (world.client[i].paged)
                        check_swap(&world.client[i]);
}

void world_step(void)
{
        unsigned sum = 0, actor = 0, at;

        for (unsigned i = 0; i < N_ACTORS; i++)
                sum += world.config.weight[i];
        at = sim_any(sum);
        while (at >= world.config.weight[actor])
                at -= world.config.weight[actor++];
        world.steps++;
        world.now += 1000 + sim_any(40000);
        for (unsigned k = 0; k < N_ACTORS; k++)
                if (run[(actor + k) % N_ACTORS]())
                        break;
        check_swaps();
}

void world_between(void)
{
        struct sim_client *before = current;

        if (!world.config.between || sim_any(world.config.between))
                return;
        for (unsigned n = 1 + sim_any(20); n > 0; n--) {
                world.steps++;
                if (sim_any(3) ? !run_thread() : !run_agent())
                        break;
        }
        current = before;
}

bool world_all_go_on(void)
{
        bool anything = false;

        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                for (unsigned k = 0; k < SIM_THREADS; k++) {
                        current = &world.client[i];
                        anything |= thread_goes_on();
                }
                current = &world.client[i];
                anything |= agent_goes_on();
                current = &world.client[i];
                anything |= uffd_is_read();
                current = &world.client[i];
                anything |= eventfd_is_heard();
                current = &world.client[i];
                anything |= tries_again();
                current = &world.client[i];
                anything |= life_go_on();
        }
        anything |= run_store();
        check_swaps();
        return anything;
}
