// SPDX-License-Identifier: GPL-2.0-or-later
/* The userfaultfd: its messages and its ioctls. */
#include <errno.h>
#include <string.h>

#include "world.h"

/* Pending faults come before events; a fault that was read stays in its place, and keeps waiting. */
int kernel_uffd_read(struct sim_mm *mm, struct uffd_msg *msg)
{
        for (unsigned i = 0; i < mm->n_faults; i++)
                if (!mm->fault[i].read) {
                        mm->fault[i].read = true;
                        *msg = mm->fault[i].msg;
                        return 1;
                }
        if (mm->n_events == 0)
                return 0;
        *msg = mm->event[0].msg;
        task_wake(mm->event[0].task);
        memmove(&mm->event[0], &mm->event[1], --mm->n_events * sizeof(mm->event[0]));
        return 1;
}

void kernel_uffd_wake(struct sim_mm *mm, unsigned at, unsigned n)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < mm->n_faults; i++) {
                if (mm->fault[i].page >= at && mm->fault[i].page < at + n)
                        task_wake(mm->fault[i].task);
                else
                        mm->fault[kept++] = mm->fault[i];
        }
        mm->n_faults = kept;
}

/* What all installs look at first. */
static int can_install(struct sim_mm *mm, unsigned at, unsigned n)
{
        const struct sim_vma *v;

        if (mm->gone)
                return -ESRCH;
        if (mm->changing)
                return -EAGAIN;
        v = kernel_vma_at(mm, at);
        return v && v->end >= at + n && v->uffd == UFFD_OURS ? 0 : -ENOENT;
}

static bool is_mark(const struct sim_pte *e)
{
        return e->kind == PTE_NONE && e->wp;
}

/* COPY overlooks markers of every kind (pte_none_mostly()). */
int kernel_uffd_copy(struct sim_mm *mm, unsigned at, unsigned n, const char *bytes)
{
        int r = can_install(mm, at, n);
        unsigned done;

        if (r < 0)
                return r;
        for (done = 0; done < n; done++) {
                struct sim_pte *e = &mm->pte[at + done];
                uint64_t content;

                if (e->kind != PTE_NONE && e->kind != PTE_POISON)
                        break;
                memcpy(&content, bytes + done * PAGE_SIZE_, sizeof(content));
                *e = (struct sim_pte){ .kind = PTE_PAGE, .page = kernel_page_new(content) };
        }
        kernel_uffd_wake(mm, at, done);
        return done ? (int)done : -EEXIST;
}

int kernel_uffd_zeropage(struct sim_mm *mm, unsigned at, unsigned n)
{
        int r = can_install(mm, at, n);
        unsigned done;

        if (r < 0)
                return r;
        for (done = 0; done < n && mm->pte[at + done].kind == PTE_NONE && !is_mark(&mm->pte[at + done]); done++)
                mm->pte[at + done].kind = PTE_ZERO;
        kernel_uffd_wake(mm, at, done);
        return done ? (int)done : -EEXIST;
}

int kernel_uffd_poison(struct sim_mm *mm, unsigned at, unsigned n)
{
        int r = can_install(mm, at, n);
        unsigned done;

        if (r < 0)
                return r;
        for (done = 0; done < n && mm->pte[at + done].kind == PTE_NONE && !is_mark(&mm->pte[at + done]); done++)
                mm->pte[at + done].kind = PTE_POISON;
        kernel_uffd_wake(mm, at, done);
        return done ? (int)done : -EEXIST;
}

int kernel_uffd_protect(struct sim_mm *mm, unsigned at, unsigned n, bool protect)
{
        int r = -ENOENT;

        if (mm->gone)
                return -ESRCH;
        if (mm->changing)
                return -EAGAIN;
        for (unsigned i = 0; i < mm->n_vmas; i++) {
                const struct sim_vma *v = &mm->vma[i];

                if (v->end <= at || v->start >= at + n)
                        continue;
                if (v->uffd != UFFD_OURS)
                        return -ENOENT;
                for (unsigned k = v->start > at ? v->start : at; k < v->end && k < at + n; k++)
                        if (mm->pte[k].kind != PTE_POISON)
                                mm->pte[k].wp = protect;
                r = 0;
        }
        if (r == 0 && !protect)
                kernel_uffd_wake(mm, at, n);
        return r;
}

static void set_registered(struct sim_mm *mm, struct sim_vma *v, bool registered)
{
        v->uffd = registered ? UFFD_OURS : UFFD_NONE;
        if (registered)
                return;
        kernel_uffd_wake(mm, v->start, v->end - v->start);
        for (unsigned i = v->start; i < v->end; i++)
                mm->pte[i].wp = false;
}

int kernel_uffd_register(struct sim_mm *mm, unsigned at, unsigned n, bool registered)
{
        unsigned found = 0;

        if (mm->gone)
                return -ESRCH;
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start < at + n && at < mm->vma[i].end) {
                        if (mm->vma[i].uffd == UFFD_FOREIGN)
                                return registered ? -EBUSY : -EINVAL;
                        found++;
                }
        if (!found)
                return -EINVAL;
        kernel_cut(mm, at);
        kernel_cut(mm, at + n);
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start >= at && mm->vma[i].end <= at + n &&
                    mm->vma[i].uffd != (registered ? UFFD_OURS : UFFD_NONE))
                        set_registered(mm, &mm->vma[i], registered);
        kernel_merge(mm);
        return 0;
}

/* One page to staging. */
static int move_page(struct sim_mm *mm, struct sim_pte *e, unsigned to)
{
        uint64_t content;

        if (mm->staged[to])
                return -EEXIST;
        if (e->kind == PTE_NONE)
                return e->wp ? -EFAULT : -ENOENT;
        if (e->kind == PTE_POISON)
                return -EFAULT;
        if (e->kind == PTE_PAGE && (e->page->pins || !e->page->exclusive))
                return -EBUSY;
        content = e->kind == PTE_PAGE ? e->page->content : 0;
        memcpy(mm->staging + to * PAGE_SIZE_, &content, sizeof(content));
        mm->staged[to] = true;
        if (e->kind == PTE_PAGE)
                kernel_page_put(e->page);
        *e = (struct sim_pte){ 0 };
        return 0;
}

int kernel_uffd_move(struct sim_mm *mm, unsigned from, unsigned to, unsigned n, unsigned *moved)
{
        const struct sim_vma *v = kernel_vma_at(mm, from);
        unsigned most = n, done = 0;
        bool odd = world.config.odd_moves && sim_any(world.config.odd_moves) == 0, silent = odd && sim_any(2) == 0;
        int r = 0;

        *moved = 0;
        if (mm->changing)
                return -EAGAIN;
        if (!v || from + n > v->end || !v->writable || !v->readable || v->locked || !mm->staging_registered) {
                sim_say("agent: MOVE %u, %u pages: refused", from, n);
                return v ? -EINVAL : -ENOENT;
        }
        if (odd)
                most = sim_any(n);
        while (r == 0 && done < most) {
                r = move_page(mm, &mm->pte[from + done], to + done);
                if (r == 0)
                        done++;
        }
        /* A page that compaction has in its hands: it starts over, and forgets to count (move_pages()). */
        *moved = silent ? 0 : done;
        sim_say("agent: MOVE %u-%u: %u moved%s", from, from + n - 1, done, silent ? ", and does not say so" : "");
        return done == n && !silent ? 0 : r < 0 && !silent && done == 0 ? r : -EAGAIN;
}

void kernel_staging_drop(struct sim_mm *mm)
{
        for (unsigned i = 0; i < SIM_STAGING; i++)
                if (mm->staged[i]) {
                        memset(mm->staging + i * PAGE_SIZE_, 0, sizeof(uint64_t));
                        mm->staged[i] = false;
                }
}
