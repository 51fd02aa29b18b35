// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls. What changes mappings does so in one hold of the lock and raises the count of changes there; that
 * is told after the lock was dropped, one event after the other, and each takes the count down only when the thread
 * runs again after its event was read. madvise() tells before it does anything, and looks at the mappings anew then.
 */
#include <errno.h>
#include <string.h>

#include "world.h"

/* The highest place where n pages fit, as Linux has it, or any. */
static unsigned find_place(struct sim_mm *mm, unsigned n)
{
        if (sim_any(world.config.storm ? 12 : 3) == 0)
                for (unsigned tries = 0; tries < 8; tries++) {
                        unsigned at = sim_any(world.config.pages);

                        if (kernel_is_free(mm, at, n))
                                return at;
                }
        for (unsigned at = n < world.config.pages ? world.config.pages - n + 1 : 0; at-- > 0;)
                if (kernel_is_free(mm, at, n))
                        return at;
        return SIM_ANY;
}

void kernel_owe(struct sim_mm *mm, struct sim_call *call, struct uffd_msg msg)
{
        mm->changing++;
        call->msg[call->n++] = msg;
}

static struct uffd_msg message(uint8_t event, unsigned start, unsigned end)
{
        struct uffd_msg m = { .event = event };

        m.arg.remove.start = sim_address(start);
        m.arg.remove.end = sim_address(end);
        return m;
}

int kernel_munmap(struct sim_mm *mm, struct sim_call *call, unsigned at, unsigned n)
{
        bool ours = false;

        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start < at + n && at < mm->vma[i].end)
                        ours |= mm->vma[i].uffd == UFFD_OURS;
        kernel_erase(mm, at, at + n);
        kernel_clear(mm, at, at + n);
        if (ours)
                kernel_owe(mm, call, message(UFFD_EVENT_UNMAP, at, at + n));
        return 0;
}

int kernel_mmap(struct sim_mm *mm, struct sim_call *call, unsigned at, unsigned n, struct sim_vma like, unsigned *where)
{
        if (at == SIM_ANY)
                at = find_place(mm, n);
        else
                kernel_munmap(mm, call, at, n);
        if (at == SIM_ANY)
                return -ENOMEM;
        like.start = like.pgoff = at;
        like.end = at + n;
        kernel_insert(mm, like);
        kernel_merge(mm);
        *where = at;
        return 0;
}

/* Moves what is at [from, from + old_n), one mapping's, to a free place, where it has new_n pages. */
static void move(struct sim_mm *mm, struct sim_call *call, unsigned from, unsigned old_n, unsigned to, unsigned new_n)
{
        struct sim_vma v = *kernel_vma_at(mm, from);

        v.pgoff += from - v.start;
        v.start = to;
        v.end = to + new_n;
        if (v.uffd == UFFD_FOREIGN)
                v.uffd = UFFD_NONE; /* that one has not asked for events */
        kernel_erase(mm, from, from + old_n);
        kernel_insert(mm, v);
        for (unsigned i = 0; i < old_n; i++) {
                mm->pte[to + i] = mm->pte[from + i];
                mm->pte[from + i] = (struct sim_pte){ 0 };
        }
        kernel_merge(mm);
        if (v.uffd == UFFD_OURS) {
                struct uffd_msg m = { .event = UFFD_EVENT_REMAP };

                m.arg.remap.from = sim_address(from);
                m.arg.remap.to = sim_address(to);
                m.arg.remap.len = old_n * PAGE_SIZE_;
                kernel_owe(mm, call, m);
                kernel_owe(mm, call, message(UFFD_EVENT_UNMAP, from, from + old_n));
        }
}

static bool grow(struct sim_mm *mm, unsigned from, unsigned old_n, unsigned new_n)
{
        struct sim_vma *v = kernel_vma_at(mm, from);

        if (from + old_n != v->end || !kernel_is_free(mm, v->end, new_n - old_n))
                return false;
        v->end = from + new_n;
        kernel_merge(mm);
        return true;
}

int kernel_mremap(struct sim_mm *mm, struct sim_call *call, unsigned from, unsigned old_n, unsigned new_n, unsigned to,
                  unsigned *where)
{
        const struct sim_vma *v = kernel_vma_at(mm, from);
        struct sim_call tail = { .n = 0 };

        if (!v)
                return -EFAULT;
        if (to == SIM_ANY || to == from) {
                *where = from;
                if (new_n < old_n)
                        return kernel_munmap(mm, call, from + new_n, old_n - new_n);
                if (from + old_n > v->end)
                        return -EFAULT;
                if (new_n == old_n || grow(mm, from, old_n, new_n))
                        return 0;
                if (to == from)
                        return -ENOMEM;
                to = find_place(mm, new_n);
                if (to == SIM_ANY)
                        return -ENOMEM;
        } else {
                if (from + old_n > v->end)
                        return -EFAULT;
                kernel_munmap(mm, call, to, new_n);
                if (new_n < old_n) {
                        kernel_munmap(mm, &tail, from + new_n, old_n - new_n);
                        old_n = new_n;
                }
        }
        move(mm, call, from, old_n, to, new_n);
        if (tail.n && call->n && call->msg[call->n - 1].event == UFFD_EVENT_UNMAP) {
                /* Told after the REMAP, and before the UNMAP of the source. */
                call->msg[call->n] = call->msg[call->n - 1];
                call->msg[call->n++ - 1] = tail.msg[0];
        } else if (tail.n) {
                call->msg[call->n++] = tail.msg[0];
        }
        *where = to;
        return 0;
}

static int change(struct sim_mm *mm, unsigned at, unsigned n, void (*fn)(struct sim_vma *v, bool a, bool b), bool a,
                  bool b)
{
        kernel_cut(mm, at);
        kernel_cut(mm, at + n);
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start >= at && mm->vma[i].end <= at + n)
                        fn(&mm->vma[i], a, b);
        kernel_merge(mm);
        return 0;
}

static void set_protection(struct sim_vma *v, bool readable, bool writable)
{
        v->readable = readable;
        v->writable = writable;
}

static void set_locked(struct sim_vma *v, bool locked, bool unused)
{
        (void)unused;
        v->locked = locked;
}

int kernel_mprotect(struct sim_mm *mm, unsigned at, unsigned n, bool readable, bool writable)
{
        return change(mm, at, n, set_protection, readable, writable);
}

int kernel_lock(struct sim_mm *mm, unsigned at, unsigned n, bool locked)
{
        return change(mm, at, n, set_locked, locked, false);
}

static const char *event_name(uint8_t event)
{
        switch (event) {
        case UFFD_EVENT_REMOVE:
                return "REMOVE";
        case UFFD_EVENT_UNMAP:
                return "UNMAP";
        case UFFD_EVENT_FORK:
                return "FORK";
        default:
                return "REMAP";
        }
}

/* Now and then a thread does not get to run for a while. */
static void linger(struct task *t)
{
        for (unsigned n = sim_any(world.config.storm ? 2 : 4) ? 1 : 1 + sim_any(40); n > 0; n--)
                task_pause(t);
}

void kernel_tell(struct sim_mm *mm, struct sim_call *call, struct task *t)
{
        for (unsigned i = 0; i < call->n; i++)
                fork_note_change(&call->msg[i]);
        for (unsigned i = 0; i < call->n; i++) {
                struct sim_waiter *w;

                linger(t); /* the lock was dropped, the event is not there yet */
                w = &mm->event[mm->n_events++];
                *w = (struct sim_waiter){ .task = t, .msg = call->msg[i] };
                mm->poll = true;
                sim_say("thread %u: %s is to be read", t->number, event_name(call->msg[i].event));
                task_wait(t, "its event being read");
                if (sim_any(4) == 0)
                        linger(t);
                mm->changing--;
        }
}

int kernel_madvise(struct sim_mm *mm, struct task *t, unsigned at, unsigned n, bool lazily)
{
        unsigned end = at + n;

        while (at < end) {
                struct sim_call call = { .n = 0 };
                const struct sim_vma *v = kernel_vma_at(mm, at);
                unsigned stop;

                if (!v)
                        return -ENOMEM;
                stop = v->end < end ? v->end : end;
                if (v->uffd == UFFD_OURS) {
                        kernel_owe(mm, &call, message(UFFD_EVENT_REMOVE, at, stop));
                        kernel_tell(mm, &call, t);
                        linger(t);
                        v = kernel_vma_at(mm, at);
                        if (!v)
                                return -ENOMEM;
                        stop = v->end < stop ? v->end : stop;
                }
                sim_say("thread %u: pages %u-%u are %s now", t->number, at, stop - 1, lazily ? "freed" : "zapped");
                if (lazily)
                        kernel_lazy_free(mm, at, stop);
                else
                        kernel_clear(mm, at, stop);
                at = stop;
        }
        return 0;
}

int kernel_populate(struct sim_mm *mm, struct task *t, unsigned at, unsigned n)
{
        for (unsigned i = at; i < at + n; i++) {
                if (kernel_touch(mm, t, i, true) != TOUCH_OK)
                        return -EFAULT;
                task_pause(t);
        }
        return 0;
}
