// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent: the real preload/evict.c, with the simulated kernel's functions in place of its system calls. Others may
 * come in before each of those, and before each load and store of what it shares with the daemon.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "world.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static void point(void)
{
        task_pause(&current->agent);
}

static unsigned page_of(uint64_t addr)
{
        return (unsigned)((addr - SIM_BASE) / PAGE_SIZE_);
}

static long simulated_ioctl(unsigned long request, void *argument)
{
        const struct uffdio_writeprotect *wp = argument;
        struct uffdio_move *move = argument;
        unsigned n, moved = 0;
        long r;

        switch (request) {
        case UFFDIO_REGISTER:
        case UFFDIO_UNREGISTER:
                current->mm.staging_registered = request == UFFDIO_REGISTER;
                return 0;
        case UFFDIO_WRITEPROTECT:
                n = (unsigned)(wp->range.len / PAGE_SIZE_);
                r = kernel_uffd_protect(&current->mm, page_of(wp->range.start), n, wp->mode);
                sim_say("agent: %s %u, %u pages: %ld", wp->mode ? "marks" : "looks whether registered",
                        page_of(wp->range.start), n, r);
                return r;
        case UFFDIO_MOVE:
                r = kernel_uffd_move(&current->mm, page_of(move->src),
                                     (unsigned)((move->dst - (uintptr_t)current->mm.staging) / PAGE_SIZE_),
                                     (unsigned)(move->len / PAGE_SIZE_), &moved);
                move->move = moved ? (int64_t)(moved * PAGE_SIZE_) : r;
                return r;
        default:
                sim_fail("the agent makes ioctl 0x%lx", request);
        }
}

static long simulated_call(long nr, long a, long b, long c)
{
        point();
        switch (nr) {
        case SYS_mincore:
                for (unsigned i = 0; i < SIM_STAGING; i++)
                        ((uint8_t *)c)[i] = current->mm.staged[i];
                return 0;
        case SYS_madvise:
                if (a == (long)current->mm.staging)
                        kernel_staging_drop(&current->mm);
                if (c == MADV_POPULATE_WRITE && a >= (long)SIM_BASE && a < (long)sim_address(SIM_PAGES))
                        return kernel_populate(&current->mm, &current->agent, page_of((uint64_t)a),
                                               (unsigned)((uint64_t)b / PAGE_SIZE_));
                return 0;
        case SYS_munlock:
                return 0;
        default:
                sim_fail("the agent makes system call %ld", nr);
        }
}

/* In place of preload/syscall.h. */
#define PRELOAD_SYSCALL_H
#define sys_call(...)                        sys_call_(__VA_ARGS__, 0, 0, 0)
#define sys_call_(nr, a, b, c, ...)          simulated_call((nr), (long)(a), (long)(b), (long)(c))
#define sys_ioctl(fd, request, argument)     (point(), (void)(fd), simulated_ioctl(request, (void *)(argument)))
#define sys_futex_wait(word, value, timeout) (point(), (void)(word), wait_for_gate())
#define sys_pause()                          pause_a_moment()

static long wait_for_gate(void)
{
        current->gate_wait = true;
        point();
        current->gate_wait = false;
        return 0;
}

/* Spinning at a closed gate ends when it opens. */
static void pause_a_moment(void)
{
        if (atomic_load(&current->ring->reading))
                wait_for_gate();
        else if (sim_any(100) == 0)
                point();
}

#undef atomic_load
#undef atomic_store
#define atomic_load(object)         (point(), atomic_load_explicit(object, memory_order_seq_cst))
#define atomic_store(object, value) (point(), atomic_store_explicit(object, value, memory_order_seq_cst))

#include "../../src/preload/evict.c"

bool agent_daemon_gone(const struct agent *a)
{
        (void)a;
        return false;
}

/* No thread ends here. */
void ends_note(struct agent *a, const void *page, uint64_t addr)
{
        (void)a;
        (void)page;
        (void)addr;
}

void agent_notify(const struct agent *a)
{
        (void)a;
        point();
        current->eventfd = true;
}

bool agent_can_go(void)
{
        if (current->gate_wait && atomic_load_explicit(&current->ring->reading, memory_order_relaxed))
                return false;
        if (current->fork_wait && atomic_load_explicit(&current->ring->forks, memory_order_relaxed))
                return false;
        return !current->agent.waits;
}

/* As agent_busy(). */
static void set_busy(struct agent *a)
{
        for (;;) {
                atomic_store(&a->ring->busy, 1);
                if (!atomic_load(&a->ring->forks))
                        return;
                atomic_store(&a->ring->busy, 0);
                fork_agent_is_there();
                current->fork_wait = true;
                point();
                current->fork_wait = false;
        }
}

/* As agent_work(). */
static void work(struct agent *a, uint32_t completed)
{
        struct vmpager_batch *shared = &a->ring->batch[completed % VMPAGER_RING_BATCHES];
        struct order o;
        bool sound = evict_take(a, shared, &o);

        if (sound)
                evict_reclaim(a, &o);
        set_busy(a);
        if (sound)
                evict_carry_out(a, shared, &o);
        sim_say("agent: has done batch %u", completed);
        atomic_store(&a->ring->completed, completed + 1);
        atomic_store(&a->ring->busy, 0);
        fork_agent_is_there();
        agent_notify(a);
}

/* As agent_loop(). */
static void run(struct task *t)
{
        struct agent a = {
                .staging = (uint8_t *)current->mm.staging,
                .staging_pages = SIM_STAGING,
                .own = { .start = (uintptr_t)current->mm.staging,
                         .end = (uintptr_t)current->mm.staging + SIM_STAGING * PAGE_SIZE_ },
                .ring = current->ring,
                .ring_bytes = VMPAGER_RING_BYTES(SIM_SLOTS),
                .slots = (uint8_t *)current->ring + VMPAGER_RING_SLOTS_AT,
                .n_slots = world.config.n_slots,
        };
        uint32_t completed = atomic_load(&current->ring->completed);

        for (;;) {
                uint32_t posted = atomic_load(&current->ring->posted);

                t->idle = posted == completed;
                if (t->idle) {
                        task_wait(t, "an order");
                        continue;
                }
                work(&a, completed++);
        }
}

void agent_begin(void)
{
        current->agent_is = AGENT_WORKS;
        current->gate_wait = current->fork_wait = false;
        current->mm.staging_registered = false;
        kernel_staging_drop(&current->mm);
        atomic_store_explicit(&current->ring->tid, KERNEL_TID(SIM_THREADS), memory_order_relaxed);
        fork_agent_is_there();
        task_start(&current->agent, SIM_THREADS, run);
}
