// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages, page table entries, and what happens to a thread that touches one. */
#include <string.h>

#include "world.h"

/* All that the address spaces, pins and discarded pinned pages can hold. */
#define POOL ((SIM_CLIENTS + 1) * 2 * SIM_PAGES)

static struct sim_page pool[POOL];
static unsigned next_page;

void kernel_begin(void)
{
        memset(pool, 0, sizeof(pool));
        next_page = 0;
}

void kernel_mm_begin(struct sim_mm *mm)
{
        char *staging = mm->staging;

        *mm = (struct sim_mm){ .staging = staging };
}

/* Its threads are gone, and with them what they waited for. */
void kernel_exit(struct sim_mm *mm)
{
        kernel_clear(mm, 0, SIM_PAGES);
        mm->n_vmas = mm->n_faults = mm->n_events = 0;
        mm->gone = true;
}

struct sim_page *kernel_page_new(uint64_t content)
{
        for (unsigned k = 0; k < POOL; k++) {
                struct sim_page *p = &pool[next_page++ % POOL];

                if (p->refs || p->pins)
                        continue;
                *p = (struct sim_page){ .content = content, .refs = 1, .exclusive = true };
                return p;
        }
        sim_fail("the simulated kernel has no page left");
}

void kernel_page_put(struct sim_page *p)
{
        p->refs--;
}

static void empty(struct sim_pte *e)
{
        if (e->kind == PTE_PAGE)
                kernel_page_put(e->page);
        *e = (struct sim_pte){ 0 };
}

void kernel_clear(struct sim_mm *mm, unsigned start, unsigned end)
{
        for (unsigned i = start; i < end; i++)
                empty(&mm->pte[i]);
}

/*
 * Absent pages keep their marks (madvise_free_pte_range()); poison goes. What is in question is whether the entry is
 * clean: a page that a fork has shared may be taken from one and stay the other's.
 */
void kernel_lazy_free(struct sim_mm *mm, unsigned start, unsigned end)
{
        for (unsigned i = start; i < end; i++) {
                if (mm->pte[i].kind == PTE_PAGE)
                        mm->pte[i].lazy = true;
                else if (mm->pte[i].kind == PTE_POISON)
                        mm->pte[i] = (struct sim_pte){ 0 };
        }
}

bool kernel_reclaim(struct sim_mm *mm, unsigned from)
{
        for (unsigned k = 0; k < SIM_PAGES; k++) {
                struct sim_pte *e = &mm->pte[(from + k) % SIM_PAGES];

                if (e->kind != PTE_PAGE || !e->lazy || e->page->pins)
                        continue;
                sim_say("kernel: takes page %u back (MADV_FREE)", (from + k) % SIM_PAGES);
                empty(e);
                return true;
        }
        return false;
}

static void wait_for(struct sim_mm *mm, struct task *t, unsigned page, bool write, bool protected)
{
        struct sim_waiter *w = &mm->fault[mm->n_faults++];

        *w = (struct sim_waiter){ .task = t, .page = page, .msg = { .event = UFFD_EVENT_PAGEFAULT } };
        w->msg.arg.pagefault.address = sim_address(page) + 8;
        w->msg.arg.pagefault.flags = (write ? UFFD_PAGEFAULT_FLAG_WRITE : 0) | (protected ? UFFD_PAGEFAULT_FLAG_WP : 0);
        w->msg.arg.pagefault.feat.ptid = KERNEL_TID(t->number);
        mm->poll = true;
        sim_say("thread %u: waits for page %u (%s%s)", t->number, page, write ? "write" : "read",
                protected ? ", protected" : "");
        task_wait(t, "a page");
}

/* As do_wp_page(): what nobody else has any more is kept, all else is copied; then it is known to be exclusive. */
static void make_writable(struct sim_pte *e)
{
        struct sim_page *p = e->page;

        if (!p->exclusive && p->refs > 1) {
                e->page = kernel_page_new(p->content);
                kernel_page_put(p);
        }
        e->page->exclusive = true;
        e->lazy = false;
}

enum touch kernel_touch(struct sim_mm *mm, struct task *t, unsigned page, bool write)
{
        for (t->jumped = false; !t->jumped;) {
                const struct sim_vma *v = kernel_vma_at(mm, page);
                struct sim_pte *e = &mm->pte[page];

                if (!v || !(write ? v->writable : v->readable))
                        return TOUCH_SEGV;
                if (e->kind == PTE_POISON)
                        return TOUCH_SIGBUS;
                if (e->kind == PTE_NONE && v->uffd == UFFD_OURS) {
                        wait_for(mm, t, page, write, false);
                        continue;
                }
                if (e->kind != PTE_NONE && write && e->wp && v->uffd == UFFD_OURS) {
                        wait_for(mm, t, page, write, true);
                        continue;
                }
                if (e->kind == PTE_NONE && !write)
                        *e = (struct sim_pte){ .kind = PTE_ZERO };
                else if (e->kind != PTE_PAGE && write)
                        *e = (struct sim_pte){ .kind = PTE_PAGE, .page = kernel_page_new(0) };
                if (write)
                        make_writable(e);
                return TOUCH_OK;
        }
        return TOUCH_LEFT;
}

uint64_t kernel_read(const struct sim_mm *mm, unsigned page)
{
        return mm->pte[page].kind == PTE_PAGE ? mm->pte[page].page->content : 0;
}

void kernel_write(struct sim_mm *mm, unsigned page, uint64_t content)
{
        if (!mm->pte[page].page->exclusive)
                sim_fail("page %u is written, and is shared", page);
        mm->pte[page].page->content = content;
}

bool kernel_signal(struct sim_mm *mm, unsigned which)
{
        struct sim_waiter *w;

        if (mm->n_faults == 0)
                return false;
        w = &mm->fault[which % mm->n_faults];
        if (w->task->number == SIM_THREADS)
                return false; /* the agent blocks signals */
        w->task->jumped = sim_any(2) && !world.draining;
        sim_say("kernel: a signal for thread %u, which waits for page %u%s", w->task->number, w->page,
                w->task->jumped ? " no longer" : "");
        task_wake(w->task);
        memmove(w, w + 1, (size_t)(&mm->fault[mm->n_faults--] - (w + 1)) * sizeof(*w));
        return true;
}
