// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program forks. By fork(2) the library holds its agent from before the call until after it, and starts an agent in
 * the child before anything else of the program runs there, but for what that start touches itself (preload/fork.c). By
 * a raw clone(2) the library knows of nothing. The call may also fail when the child's memory was made and told of.
 */
#include "world.h"

static const char for_agent[] = "its agent";

/* As agent_hold(). */
static void hold(struct task *t)
{
        atomic_fetch_add(&current->ring->forks, 1);
        while (atomic_load(&current->ring->busy))
                task_wait(t, for_agent);
}

void fork_agent_is_there(void)
{
        for (unsigned i = 0; i < current->n_threads; i++)
                if (current->thread[i].waits == for_agent)
                        task_wake(&current->thread[i]);
}

/* As agent_release(). */
static void release(void)
{
        atomic_fetch_sub(&current->ring->forks, 1);
}

/* Whether what its parent does now may be about what the child has. */
static bool is_unsettled(const struct sim_client *child)
{
        return child->life == LIFE_UNBORN || child->told || (child->paged && child->space.unsettled);
}

/*
 * What the child may lose. Where something was moved to just then, two pages may claim one place, and it cannot be told
 * which the child has; so it is with what is out and has no mark, if something was done there. What an agent that was
 * not held has just taken out goes with it if it ends now. And what its parent has lost the child has lost.
 */
static void note_doubts(struct sim_client *child)
{
        bool inherits = is_unsettled(current);

        for (unsigned i = 0; i < SIM_PAGES; i++) {
                page_entry e = current->paged ? ptable_get(&current->space.table, sim_address(i)) : 0;
                /* What is there now need not be what the agent has taken. */
                bool half_done =
                        page_state(e) == PAGE_EVICTING && (current->changed[i] || current->mm.pte[i].kind == PTE_NONE);

                child->unmarked[i] = half_done || (e & PAGE_BARE) || (inherits && current->unmarked[i]);
                child->doubtful[i] = current->moved_to[i] || current->doubtful[i] ||
                                     (current->changed[i] && child->unmarked[i]) || page_state(e) == PAGE_POISONED;
                child->page[i].may_be_lost |= child->doubtful[i];
        }
}

/* What the child had there when it was forked may be lost to it, wherever it has moved it since. */
static void doubt(struct sim_client *child, unsigned page)
{
        child->page[page].may_be_lost = child->doubtful[page] = true;
        for (unsigned i = 0; i < SIM_PAGES; i++)
                child->page[i].may_be_lost |= child->page[i].at_fork == page + 1;
}

static void note_change(struct sim_client *c, unsigned start, unsigned end, bool moved)
{
        for (unsigned i = start; i < end; i++) {
                c->changed[i] = true;
                c->moved_to[i] |= moved;
        }
        for (unsigned k = 0; k < SIM_CLIENTS; k++) {
                struct sim_client *child = &world.client[k];

                if (child->life == LIFE_NONE || child->parent != c || !is_unsettled(child))
                        continue;
                for (unsigned i = start; i < end; i++)
                        if (moved || child->unmarked[i])
                                doubt(child, i);
                note_change(child, start, end, moved);
        }
}

static unsigned page_of(uint64_t addr)
{
        return (unsigned)((addr - SIM_BASE) / PAGE_SIZE_);
}

void fork_note_change(const struct uffd_msg *msg)
{
        unsigned from = page_of(msg->arg.remap.from), to = page_of(msg->arg.remap.to),
                 n = (unsigned)(msg->arg.remap.len / PAGE_SIZE_);

        if (msg->event == UFFD_EVENT_REMAP) {
                note_change(current, from, from + n, false);
                note_change(current, to, to + n, true);
        } else if (msg->event != UFFD_EVENT_FORK) {
                note_change(current, page_of(msg->arg.remove.start), page_of(msg->arg.remove.end), false);
        }
}

void fork_note_end(const struct sim_client *parent)
{
        for (unsigned k = 0; k < SIM_CLIENTS; k++) {
                struct sim_client *child = &world.client[k];

                for (unsigned i = 0; child->parent == parent && child->told && i < SIM_PAGES; i++)
                        if (child->unmarked[i])
                                doubt(child, i);
        }
}

static void make_child(struct task *t, struct sim_client *child)
{
        struct sim_call call = { .n = 0 };
        bool fails = sim_any(24) == 0;

        kernel_fork(&current->mm, &child->mm, (unsigned)(child - world.client), &call);
        oracle_fork(child);
        note_doubts(child);
        child->life = LIFE_UNBORN;
        child->parent = current;
        child->newborn = true;
        child->ballast = current->ballast;
        sim_say("thread %u: forks client %c%s", t->number, life_name(child),
                call.n ? "" : ", of which nothing is told");
        sim_result->forks++;
        kernel_tell(&current->mm, &call, t);
        life_begin(child);
        if (fails)
                life_exit(child);
        if (world.config.exits && sim_any(12) == 0) {
                sim_say("thread %u: exits", t->number);
                life_exit(current);
                task_wait(t, "nothing");
        }
}

void fork_call(struct task *t)
{
        struct sim_client *child;
        bool raw = sim_any(6) == 0, held = !raw && current->agent_is == AGENT_WORKS;

        if (held)
                hold(t);
        task_pause(t);
        child = life_place();
        if (child) {
                child->attended = !raw && sim_any(8);
                make_child(t, child);
        }
        if (held)
                release();
}

void fork_in_child(struct task *t)
{
        current->newborn = false;
        if (current->attended) {
                while (sim_any(3))
                        client_access_some(t);
                current->agent_is = AGENT_HELLO;
                task_wait(t, for_agent);
        }
        client_begin(sim_any(3));
}
