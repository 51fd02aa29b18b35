// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fork(2): dup_mmap() copies mappings and page tables in one hold of the lock, raises the count of changes of the
 * userfaultfd there (dup_userfaultfd()), and tells of the child when the lock was dropped (dup_userfaultfd_complete()).
 * The child does not run before that was read, since all of it is a part of copy_process(). What has no userfaultfd of
 * ours tells nothing.
 */
#include "world.h"

/* What a userfaultfd without UFFD_FEATURE_EVENT_FORK had, and all locks, are not the child's. */
static bool copy_mappings(const struct sim_mm *mm, struct sim_mm *child)
{
        bool ours = false;

        for (unsigned i = 0; i < mm->n_vmas; i++) {
                struct sim_vma v = mm->vma[i];

                ours |= v.uffd == UFFD_OURS;
                if (v.uffd == UFFD_FOREIGN)
                        v.uffd = UFFD_NONE;
                v.locked = false;
                child->vma[child->n_vmas++] = v;
        }
        return ours;
}

/* A page that a device has is copied at once (copy_present_page()); all others belong to both from now on. */
static void copy_entry(const struct sim_pte *from, struct sim_pte *to, bool ours)
{
        *to = *from;
        to->wp = from->wp && ours;
        if (from->kind != PTE_PAGE)
                return;
        if (from->page->pins) {
                to->page = kernel_page_new(from->page->content);
                to->lazy = false;
                return;
        }
        from->page->refs++;
        from->page->exclusive = false;
}

void kernel_fork(struct sim_mm *mm, struct sim_mm *child, unsigned fd, struct sim_call *call)
{
        struct uffd_msg m = { .event = UFFD_EVENT_FORK };
        bool ours;

        kernel_mm_begin(child);
        ours = copy_mappings(mm, child);
        for (unsigned i = 0; i < child->n_vmas; i++)
                for (unsigned at = child->vma[i].start; at < child->vma[i].end; at++)
                        copy_entry(&mm->pte[at], &child->pte[at], child->vma[i].uffd == UFFD_OURS);
        m.arg.fork.ufd = fd;
        if (ours)
                kernel_owe(mm, call, m);
}
