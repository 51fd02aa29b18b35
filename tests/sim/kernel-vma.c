// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings, sorted; they are split where a call is about a part, and become one again where nothing differs. */
#include <string.h>

#include "world.h"

struct sim_vma *kernel_vma_at(struct sim_mm *mm, unsigned page)
{
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (page >= mm->vma[i].start && page < mm->vma[i].end)
                        return &mm->vma[i];
        return NULL;
}

bool kernel_is_free(struct sim_mm *mm, unsigned start, unsigned n)
{
        if (start + n > world.config.pages)
                return false;
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start < start + n && start < mm->vma[i].end)
                        return false;
        return true;
}

void kernel_insert(struct sim_mm *mm, struct sim_vma v)
{
        unsigned i = mm->n_vmas++;

        for (; i > 0 && mm->vma[i - 1].start > v.start; i--)
                mm->vma[i] = mm->vma[i - 1];
        mm->vma[i] = v;
}

void kernel_cut(struct sim_mm *mm, unsigned page)
{
        struct sim_vma *v = kernel_vma_at(mm, page), tail;

        if (!v || v->start == page)
                return;
        tail = *v;
        tail.start = page;
        tail.pgoff += page - v->start;
        v->end = page;
        kernel_insert(mm, tail);
}

void kernel_erase(struct sim_mm *mm, unsigned start, unsigned end)
{
        unsigned kept = 0;

        kernel_cut(mm, start);
        kernel_cut(mm, end);
        for (unsigned i = 0; i < mm->n_vmas; i++)
                if (mm->vma[i].start < start || mm->vma[i].start >= end)
                        mm->vma[kept++] = mm->vma[i];
        mm->n_vmas = kept;
}

static bool can_merge(const struct sim_vma *a, const struct sim_vma *b)
{
        return a->end == b->start && a->pgoff + (a->end - a->start) == b->pgoff && a->uffd == b->uffd &&
               a->readable == b->readable && a->writable == b->writable && a->locked == b->locked;
}

void kernel_merge(struct sim_mm *mm)
{
        for (unsigned i = 1; i < mm->n_vmas;) {
                if (!can_merge(&mm->vma[i - 1], &mm->vma[i])) {
                        i++;
                        continue;
                }
                mm->vma[i - 1].end = mm->vma[i].end;
                memmove(&mm->vma[i], &mm->vma[i + 1], (--mm->n_vmas - i) * sizeof(mm->vma[0]));
        }
}

uint64_t kernel_size(const struct sim_mm *mm)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < mm->n_vmas; i++)
                n += mm->vma[i].end - mm->vma[i].start;
        return n;
}
