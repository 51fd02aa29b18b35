// SPDX-License-Identifier: GPL-2.0-or-later
/* What can happen next, and which of it does. */
#include "client.h"
#include "world.h"

#define MIB (UINT64_C(1) << 20)

static bool run_thread(void)
{
        unsigned from = sim_any(world.config.n_threads);

        if (world.mm.gone)
                return false;
        for (unsigned k = 0; k < world.config.n_threads; k++) {
                struct task *t = &world.thread[(from + k) % world.config.n_threads];

                if (t->waits || (t->idle && world.draining && !client_is_reading_all()))
                        continue;
                task_resume(t);
                return true;
        }
        return false;
}

static bool run_agent(void)
{
        if (world.mm.gone || !agent_can_go())
                return false;
        task_resume(&world.agent);
        return true;
}

static bool run_uffd(void)
{
        if (!world.mm.poll)
                return false;
        world.mm.poll = false;
        fault_receive(&world.space);
        return true;
}

static bool run_eventfd(void)
{
        if (!world.eventfd)
                return false;
        world.eventfd = false;
        evict_completed(&world.space);
        return true;
}

bool world_run_timer(void)
{
        if (world.timer_at == 0)
                return false;
        if (world.now < world.timer_at)
                world.now = world.timer_at;
        world.timer_at = 0;
        space_tick(&world.space);
        return true;
}

static bool run_again(void)
{
        if (!world.again)
                return false;
        world.again = false;
        fault_receive(&world.space);
        return true;
}

static bool run_store(void)
{
        if (world.n_ios == 0)
                return false;
        store_end_one(sim_any(world.n_ios));
        return true;
}

static uint64_t resident(void)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < SIM_PAGES; i++)
                n += world.mm.pte[i].kind == PTE_PAGE;
        return n * PAGE_SIZE_;
}

/* The watermarks are 1, 2, 4 and 8 MiB below the limit, more than all the pages: something else makes the size. */
static bool run_pressure(void)
{
        uint64_t room;

        if (sim_any(3) == 0)
                world.calm = !world.calm;
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
                world.ballast = SIM_LIMIT + sim_any(8) * PAGE_SIZE_;
                return true;
        default:
                room = sim_any(256) * PAGE_SIZE_;
                break;
        }
        world.ballast = SIM_LIMIT - room - resident();
        return true;
}

static bool run_kernel(void)
{
        return sim_any(4) && !world.mm.gone ? kernel_signal(&world.mm, sim_any(16)) :
                                              kernel_reclaim(&world.mm, sim_any(SIM_PAGES));
}

static bool (*const run[N_ACTORS])(void) = {
        [ACTOR_THREADS] = run_thread,  [ACTOR_AGENT] = run_agent,       [ACTOR_UFFD] = run_uffd,
        [ACTOR_EVENTFD] = run_eventfd, [ACTOR_TIMER] = world_run_timer, [ACTOR_AGAIN] = run_again,
        [ACTOR_STORE] = run_store,     [ACTOR_PRESSURE] = run_pressure, [ACTOR_KERNEL] = run_kernel,
};

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
                        return;
}

void world_between(void)
{
        if (!world.config.between || sim_any(world.config.between))
                return;
        for (unsigned n = 1 + sim_any(20); n > 0; n--) {
                world.steps++;
                if (sim_any(3) ? !run_thread() : !run_agent())
                        return;
        }
}

bool world_all_go_on(void)
{
        bool any = false;

        for (unsigned i = 0; i < world.config.n_threads; i++)
                any |= run_thread();
        any |= run_agent();
        any |= run_uffd();
        any |= run_eventfd();
        any |= run_again();
        any |= run_store();
        return any;
}
