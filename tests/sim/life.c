// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How clients begin and end. A child's space is made when the FORK event of its parent is carried out, and has no
 * limit; its agent's HELLO claims that space, as in client/unattended.c. Where no event told of it the HELLO is that of
 * a new client. A process whose agent never comes is looked for after a while. When one ends the daemon hears of it
 * some time later, and forgets it when all of its I/O has ended.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pager/evict.h"
#include "world.h"

#define MIB         (UINT64_C(1) << 20)
#define TABLE_BYTES MIB

char life_name(const struct sim_client *c)
{
        return (char)('A' + (c - world.client));
}

static void *memory(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                abort();
        return p;
}

struct sim_client *life_place(void)
{
        struct sim_client *c = world.client;

        while (c < world.client + SIM_CLIENTS && c->life != LIFE_NONE)
                c++;
        if (c == world.client + SIM_CLIENTS)
                return NULL;
        if (!c->ring) {
                c->mm.staging = memory(SIM_STAGING * PAGE_SIZE_);
                c->ring = memory(VMPAGER_RING_BYTES(SIM_SLOTS));
                c->table = memory(TABLE_BYTES);
        }
        kernel_mm_begin(&c->mm);
        memset(c->page, 0, sizeof(c->page));
        memset(c->doubtful, 0, sizeof(c->doubtful));
        memset(c->unmarked, 0, sizeof(c->unmarked));
        memset(c->changed, 0, sizeof(c->changed));
        memset(c->moved_to, 0, sizeof(c->moved_to));
        c->parent = NULL;
        c->newborn = false;
        c->told = c->paged = c->known = c->eventfd = c->again = c->killed = c->calm = c->reading_all = false;
        c->agent_is = AGENT_NONE;
        c->timer_at = 0;
        c->n_threads = 0;
        return c;
}

void life_begin(struct sim_client *c)
{
        struct sim_client *before = current;

        current = c;
        c->life = LIFE_RUNS;
        if (!c->mm.gone)
                client_begin(1);
        current = before;
}

void life_space(struct sim_client *c)
{
        const uint64_t rubbish = SIM_GARBAGE;
        char *slots = (char *)c->ring + VMPAGER_RING_SLOTS_AT;

        memset(c->ring, 0, VMPAGER_RING_SLOTS_AT);
        for (unsigned i = 0; i < SIM_SLOTS; i++)
                memcpy(slots + i * PAGE_SIZE_, &rubbish, sizeof(rubbish));
        c->port.ops = &sim_port_ops;
        if (space_init(&c->space, &world.pager, &c->port, c->ring, world.config.n_slots, c->table, TABLE_BYTES) < 0)
                abort();
        space_set_swap(&c->space, world.config.swap * PAGE_SIZE_);
        c->told = false;
        c->paged = true;
        c->inherits = c->parent;
}

void life_first(void)
{
        struct sim_client *c = current = life_place();

        c->life = LIFE_RUNS;
        c->known = c->attended = true;
        c->ballast = SIM_LIMIT - 3 * MIB;
        life_space(c);
        agent_begin();
        client_begin(1 + sim_any(SIM_THREADS));
        space_set_limit(&c->space, SIM_LIMIT);
}

void life_exit(struct sim_client *c)
{
        kernel_exit(&c->mm);
        fork_note_end(c);
        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                struct sim_client *child = &world.client[i];

                if (child->life != LIFE_UNBORN || child->parent != c)
                        continue;
                child->life = LIFE_RUNS;
                kernel_exit(&child->mm);
        }
}

void life_forget(struct sim_client *c, bool rested)
{
        struct space *s = &c->space;

        if (space_busy(s))
                sim_fail("the client has ended, and I/O is said to be under way");
        for (unsigned state = PAGE_CLEARED; state < PAGE_N_STATES; state++)
                if (s->table.count[state])
                        sim_fail("pages are %s after the client's end", page_state_name(state));
        if (rested && s->ring_slots.n_free != world.config.n_slots)
                sim_fail("%u of %u slots are free after the client's end", s->ring_slots.n_free, world.config.n_slots);
        sim_result->evicted += s->stats.evicted_pages;
        sim_result->faulted += s->stats.faults;
        sim_result->clean += s->stats.clean_evictions;
        sim_result->ahead += s->readahead.pages;
        sim_result->kills += c->killed;
        memset(c->table, 0, (size_t)*s->table.arena.top * ARENA_BLOCK);
        space_clear(s);
        c->paged = false;
}

/* Its place is for another from now on. */
static void leave_place(struct sim_client *c)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                if (world.client[i].parent == c)
                        world.client[i].parent = c->parent;
        c->life = LIFE_NONE;
}

static bool end(struct sim_client *c)
{
        if (c->paged && !c->space.dying) {
                sim_say("daemon: learns that the client has ended");
                space_end(&c->space);
                return true;
        }
        if (c->paged && space_busy(&c->space))
                return false;
        if (c->paged)
                life_forget(c, false);
        if (c->told)
                return false; /* its space is yet to be made */
        leave_place(c);
        return true;
}

static bool admit(struct sim_client *c)
{
        switch (c->agent_is) {
        case AGENT_HELLO:
                if (c->told)
                        return false; /* it is expected (client/worker.c) */
                sim_say("daemon: reads HELLO");
                c->fresh = !c->paged;
                if (c->fresh)
                        life_space(c);
                c->known = true;
                c->agent_is = AGENT_REGISTER;
                return true;
        case AGENT_REGISTER:
                sim_say("daemon: reads REGISTER");
                c->space.doubtful = !c->fresh;
                space_set_limit(&c->space, SIM_LIMIT);
                agent_begin();
                return true;
        case AGENT_NONE:
                if (c->known || !c->paged || sim_any(world.draining ? 4 : 400))
                        return false;
                sim_say("daemon: finds the process");
                c->known = true;
                evict_abandon(&c->space);
                return true;
        default:
                return false;
        }
}

bool life_go_on(void)
{
        if (current->life != LIFE_RUNS)
                return false;
        return current->mm.gone ? end(current) : admit(current);
}
