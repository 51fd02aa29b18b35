/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operations of torture-verify on mappings: madvise, mprotect, mlock, mremap, munmap, mmap, brk. */
#ifndef TESTS_TORTURE_MAP_H
#define TESTS_TORTURE_MAP_H

#include "torture.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* --- madvise --------------------------------------------------------------------------------------------------- */

static inline void look_at_some(struct actor *a, struct region *r, uint64_t first, uint64_t n)
{
        for (unsigned i = 0; i < 8; i++)
                check_page(a, r, first + below(a, n));
}

/* Advice on a run, or on all of a region. may_fail: it is no more than a wish. */
static inline uint64_t advise(struct actor *a, struct region *r, const char *what, int advice, uint64_t most,
                              bool may_fail, uint64_t *first)
{
        uint64_t n = random_run(a, r, most, first);

        unlock_region(a, r);
        if (most == UINT64_MAX && below(a, 2)) {
                *first = 0;
                n = r->pages;
        }
        remember(a, r, what, *first, n, 0);
        if (madvise(page_at(r, *first), n * PAGE, advice) == 0)
                return n;
        if (!may_fail)
                tell_error(a, r, what);
        atomic_fetch_add(&board->refused, 1);
        return n;
}

static inline void op_dontneed(struct actor *a, struct region *r)
{
        uint64_t first, n = advise(a, r, "DONTNEED", MADV_DONTNEED, below(a, 4) ? 64 : r->pages / 2 + 1, false, &first);

        for (uint64_t page = first; page < first + n; page++)
                r->stamp[page] = 0;
        change_marks(r, first, n, 0, MAYBE);
        for (unsigned i = 0; i < 8; i++)
                check_page(a, r, first + below(a, n));
}

/*
 * Makes the pages of a run that are present this process's alone. Returns whether it could.
 *
 * Were they shared with another process, MADV_FREE here could take them from that one (Linux 6.18, without any pager):
 * a page that was made a process's own for being read by process_vm_readv(2), as by the ghost, is clean in its page
 * table and in that of a child of it. The kernel marks such a page as free although others have it, and frees it when
 * the last of them asks for MADV_PAGEOUT.
 */
static inline bool own_present(struct actor *a, struct region *r, uint64_t first, uint64_t n)
{
        int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        uint64_t entry[64];
        bool read =
                fd >= 0 && pread(fd, entry, n * 8, (off_t)((uintptr_t)page_at(r, first) / PAGE * 8)) == (ssize_t)n * 8;

        close(fd);
        for (uint64_t i = 0; read && i < n; i++) {
                if (!(entry[i] >> 63))
                        continue;
                if (r->marks[first + i] & (READ_ONLY | NO_ACCESS))
                        return false;
                write_page(a, r, first + i);
        }
        return read;
}

static inline void op_free(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, 64, &first);

        if (!own_present(a, r, first, n))
                return;
        unlock_region(a, r);
        remember(a, r, "FREE", first, n, 0);
        if (madvise(page_at(r, first), n * PAGE, MADV_FREE) < 0)
                tell_error(a, r, "FREE");
        change_marks(r, first, n, MAYBE, 0);
        look_at_some(a, r, first, n);
}

/* Advice that is a property of the mapping. */
static inline void advise_mapping(struct actor *a, struct region *r, const char *what, int advice, uint8_t set,
                                  uint8_t clear)
{
        uint64_t first, n = advise(a, r, what, advice, UINT64_MAX, set == 0 && clear == 0, &first);

        if (n < r->pages)
                r->split = true;
        change_marks(r, first, n, set, clear);
}

static inline void op_wipe(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "WIPEONFORK", MADV_WIPEONFORK, WIPE, 0);
}

static inline void op_keep(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "KEEPONFORK", MADV_KEEPONFORK, 0, WIPE);
}

static inline void op_dontfork(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "DONTFORK", MADV_DONTFORK, DONT_FORK, 0);
}

static inline void op_dofork(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "DOFORK", MADV_DOFORK, 0, DONT_FORK);
}

static inline void op_huge(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "HUGEPAGE", MADV_HUGEPAGE, 0, 0);
}

static inline void op_nohuge(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "NOHUGEPAGE", MADV_NOHUGEPAGE, 0, 0);
}

static inline void op_mergeable(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "MERGEABLE", MADV_MERGEABLE, 0, 0);
}

static inline void op_unmergeable(struct actor *a, struct region *r)
{
        advise_mapping(a, r, "UNMERGEABLE", MADV_UNMERGEABLE, 0, 0);
}

static inline void op_collapse(struct actor *a, struct region *r)
{
        uint64_t start = ((uintptr_t)r->base + (2ul << 20) - 1) & ~((2ul << 20) - 1);
        uint64_t first = (start - (uintptr_t)r->base) / PAGE;

        if (first + 512 > r->pages)
                return;
        unlock_region(a, r);
        remember(a, r, "COLLAPSE", first, 512, 0);
        if (madvise((void *)start, 512 * PAGE, MADV_COLLAPSE) < 0)
                atomic_fetch_add(&board->refused, 1);
        look_at_some(a, r, first, 512);
}

static inline void populate(struct actor *a, struct region *r, const char *what, int advice, uint8_t not_with)
{
        uint64_t first, n = random_run(a, r, 64, &first);

        if (any_mark(r, first, n, not_with))
                return;
        remember(a, r, what, first, n, 0);
        if (madvise(page_at(r, first), n * PAGE, advice) < 0)
                tell_error(a, r, what);
        look_at_some(a, r, first, n);
}

static inline void op_populate_read(struct actor *a, struct region *r)
{
        populate(a, r, "POPULATE_READ", MADV_POPULATE_READ, NO_ACCESS);
}

static inline void op_populate_write(struct actor *a, struct region *r)
{
        populate(a, r, "POPULATE_WRITE", MADV_POPULATE_WRITE, NO_ACCESS | READ_ONLY);
}

static inline void op_willneed(struct actor *a, struct region *r)
{
        uint64_t first, n = advise(a, r, "WILLNEED", MADV_WILLNEED, r->pages, true, &first);

        look_at_some(a, r, first, n);
}

static inline void op_cold(struct actor *a, struct region *r)
{
        uint64_t first, n = advise(a, r, "COLD", MADV_COLD, r->pages, false, &first);

        look_at_some(a, r, first, n);
}

static inline void op_pageout(struct actor *a, struct region *r)
{
        uint64_t first, n = advise(a, r, "PAGEOUT", MADV_PAGEOUT, r->pages, false, &first);

        look_at_some(a, r, first, n);
}

/* --- mprotect, mlock ------------------------------------------------------------------------------------------- */

static inline void protect(struct actor *a, struct region *r, const char *what, int protection, uint8_t marks)
{
        uint64_t first, n = random_run(a, r, below(a, 2) ? 64 : r->pages, &first);

        unlock_region(a, r);
        if (marks == 0 || below(a, 4) == 0) {
                first = 0;
                n = r->pages;
        } else {
                r->split = true;
        }
        remember(a, r, what, first, n, 0);
        if (mprotect(page_at(r, first), n * PAGE, protection) < 0)
                tell_error(a, r, what);
        change_marks(r, first, n, marks, READ_ONLY | NO_ACCESS);
        look_at_some(a, r, first, n);
}

static inline void op_readonly(struct actor *a, struct region *r)
{
        protect(a, r, "mprotect read-only", PROT_READ, READ_ONLY);
}

static inline void op_none(struct actor *a, struct region *r)
{
        protect(a, r, "mprotect none", PROT_NONE, NO_ACCESS);
}

static inline void op_writable(struct actor *a, struct region *r)
{
        protect(a, r, "mprotect writable", PROT_READ | PROT_WRITE, 0);
}

static inline void op_lock(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, 8, &first);

        if (any_mark(r, first, n, NO_ACCESS))
                return;
        unlock_region(a, r);
        remember(a, r, "mlock", first, n, 0);
        r->split = r->locked = true;
        if (mlock(page_at(r, first), n * PAGE) < 0)
                atomic_fetch_add(&board->refused, 1); /* RLIMIT_MEMLOCK */
        look_at_some(a, r, first, n);
}

static inline void op_unlock(struct actor *a, struct region *r)
{
        unlock_region(a, r);
}

/* --- munmap, mmap ---------------------------------------------------------------------------------------------- */

static inline void op_renew(struct actor *a, struct region *r)
{
        unmap_region(a, r);
        map_region(a, r);
}

static inline void op_map_over(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, below(a, 2) ? 64 : r->pages, &first);
        void *p;

        unlock_region(a, r);
        remember(a, r, "mmap MAP_FIXED", first, n, 0);
        p = mmap(page_at(r, first), n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (p == MAP_FAILED)
                tell_error(a, r, "mmap MAP_FIXED");
        r->split = true;
        set_pages(r, first, n, 0, 0);
        look_at_some(a, r, first, n);
}

/* Where somebody else has mapped something into the hole, the region ends there. */
static inline void op_unmap_part(struct actor *a, struct region *r)
{
        uint64_t first, n = random_run(a, r, below(a, 2) ? 64 : r->pages, &first), end = first + n;
        void *p;

        unlock_region(a, r);
        leave(a, r->base + first * PAGE);
        remember(a, r, "munmap of a part", first, n, 0);
        if (munmap(page_at(r, first), n * PAGE) < 0)
                tell_error(a, r, "munmap of a part");
        p = mmap(page_at(r, first), n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                 -1, 0);
        if (p != MAP_FAILED) {
                r->split = true;
                set_pages(r, first, n, 0, 0);
                look_at_some(a, r, first, n);
                return;
        }
        if (end < r->pages && munmap(page_at(r, end), (r->pages - end) * PAGE) < 0)
                tell_error(a, r, "munmap of the last part");
        r->pages = first;
        if (first == 0)
                r->base = NULL;
}

/* Only of the first thread and its children: the memory at the end of the heap. Nothing else may call malloc then. */
static inline void op_brk(struct actor *a, struct region *r)
{
        uint64_t pages = below(a, max_pages / 2), old;

        r = &a->region[BRK];
        if (!r->base || a->raw)
                return;
        old = r->pages;
        unlock_region(a, r);
        remember(a, r, "brk", 0, pages, 0);
        if (brk(r->base + pages * PAGE) < 0) {
                atomic_fetch_add(&board->refused, 1);
                return;
        }
        if (pages > old)
                set_pages(r, old, pages - old, 0, 0);
        r->pages = pages;
        for (uint64_t i = 0; pages && i < 64; i++) {
                write_page(a, r, below(a, pages));
                check_page(a, r, below(a, pages));
        }
}

/* --- mremap ---------------------------------------------------------------------------------------------------- */

/*
 * mremap(2), tried again while it answers EFAULT for a region that is one mapping; returns MAP_FAILED for one that may
 * be several. With MREMAP_FIXED it is not tried again: a part may have been moved, or unmapped.
 */
static inline void *remap(struct actor *a, struct region *r, uint64_t pages, int flags, void *to)
{
        uint64_t until = now_ms() + 5000;

        for (bool first = true;; first = false) {
                void *p = mremap(r->base, r->pages * PAGE, pages * PAGE, flags, to);

                if (p != MAP_FAILED) {
                        atomic_fetch_add(&board->moves, 1);
                        return p;
                }
                if (errno != EFAULT)
                        tell_error(a, r, "mremap");
                if (r->split)
                        return p;
                atomic_fetch_add(&board->efaults, first);
                if (flags & MREMAP_FIXED)
                        return p;
                if (now_ms() > until) {
                        if (!r->forked)
                                tell_error(a, r, "mremap, for 5 s");
                        /* Its parent's was registered in part when it forked. The kernel never joins a child's. */
                        atomic_fetch_add(&board->parted, 1);
                        r->split = true;
                        return p;
                }
                usleep(1000);
        }
}

/* Ready to be moved: what was unmapped for being split is mapped anew. */
static inline bool ready_to_move(struct actor *a, struct region *r, bool must_be_one)
{
        unlock_region(a, r);
        if (!r->split || !must_be_one)
                return true;
        atomic_fetch_add(&board->healed, 1);
        op_renew(a, r);
        for (uint64_t i = 0; i < 256; i++)
                write_page(a, r, below(a, r->pages));
        return false;
}

static inline void op_grow(struct actor *a, struct region *r)
{
        uint64_t pages = r->pages + 1 + below(a, max_pages / 2);
        void *p;

        ready_to_move(a, r, false);
        if (pages > max_pages)
                return;
        remember(a, r, "mremap, growing", 0, pages, 0);
        if (below(a, 2))
                leave(a, r->base);
        p = remap(a, r, pages, MREMAP_MAYMOVE, NULL);
        if (p == MAP_FAILED) {
                ready_to_move(a, r, true);
                return;
        }
        set_pages(r, r->pages, pages - r->pages, 0,
                  r->marks[r->pages - 1] & (WIPE | DONT_FORK | READ_ONLY | NO_ACCESS));
        r->base = p;
        r->pages = pages;
        remember(a, r, "mremapped", 0, pages, 0);
        look_at_some(a, r, 0, pages);
}

static inline void op_shrink(struct actor *a, struct region *r)
{
        uint64_t pages = r->pages - below(a, r->pages / 2 + 1);

        ready_to_move(a, r, false);
        remember(a, r, "mremap, shrinking", 0, pages, 0);
        if (remap(a, r, pages, MREMAP_MAYMOVE, NULL) == MAP_FAILED) {
                ready_to_move(a, r, true);
                return;
        }
        r->pages = pages;
        look_at_some(a, r, 0, pages);
}

/* After a failed mremap with MREMAP_FIXED nothing is known of the region. */
static inline void lose(struct actor *a, struct region *r)
{
        remember(a, r, "lost", 0, r->pages, 0);
        atomic_fetch_add(&board->lost, 1);
        r->base = NULL;
        r->pages = 0;
}

static inline void move_to(struct actor *a, struct region *r, uint64_t pages, uint8_t *to, const char *what)
{
        void *p;

        remember(a, r, what, 0, pages, (uint64_t)to);
        leave(a, r->base);
        p = remap(a, r, pages, MREMAP_MAYMOVE | MREMAP_FIXED, to);
        if (p == MAP_FAILED) {
                lose(a, r);
                return;
        }
        r->base = p;
        if (pages > r->pages)
                set_pages(r, r->pages, pages - r->pages, 0,
                          r->marks[r->pages - 1] & (WIPE | DONT_FORK | READ_ONLY | NO_ACCESS));
        r->pages = pages;
        remember(a, r, "mremapped", 0, pages, 0);
        look_at_some(a, r, 0, pages);
}

static inline uint64_t other_size(struct actor *a, const struct region *r)
{
        return below(a, 2) ? r->pages : max_pages / 4 + 1 + below(a, max_pages * 3 / 4);
}

static inline void op_move(struct actor *a, struct region *r)
{
        uint64_t pages;
        uint8_t *to;

        if (!ready_to_move(a, r, true))
                return;
        pages = other_size(a, r);
        to = mmap(NULL, pages * PAGE, below(a, 2) ? PROT_NONE : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0);
        if (to == MAP_FAILED)
                tell_error(a, r, "mmap of a target");
        move_to(a, r, pages, to, "mremap to a new place");
}

/* To where something else is just leaving, as soon as it has. */
static inline void op_move_left(struct actor *a, struct region *r)
{
        uint64_t until = now_ms() + 20, pages;
        uint8_t *to = MAP_FAILED;
        void *hint;

        if (!ready_to_move(a, r, true))
                return;
        pages = other_size(a, r);
        hint = (void *)atomic_exchange(&board->left[below(a, LEFT)], 0);
        while (hint && to == MAP_FAILED && now_ms() < until)
                to = mmap(hint, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (to == MAP_FAILED)
                op_move(a, r);
        else
                move_to(a, r, pages, to, "mremap to a place just left");
}

/* What stays behind is a region of its own, of zeros, or is unmapped. */
static inline void op_dontunmap(struct actor *a, struct region *r)
{
        struct region *other = &a->region[below(a, REGIONS)];
        uint8_t *old, *p;

        if (!ready_to_move(a, r, true))
                return;
        remember(a, r, "mremap DONTUNMAP", 0, r->pages, 0);
        old = r->base;
        p = remap(a, r, r->pages, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
        if (p == MAP_FAILED)
                return;
        r->base = p;
        remember(a, r, "mremapped", 0, r->pages, 0);
        look_at_some(a, r, 0, r->pages);
        if (other == r) {
                leave(a, old);
                if (munmap(old, r->pages * PAGE) < 0)
                        tell_error(a, r, "munmap of what was left");
                return;
        }
        if (other->base) {
                unlock_region(a, other);
                unmap_region(a, other);
        }
        new_region(a, other, old, r->pages);
        for (uint64_t page = 0; page < r->pages; page++)
                other->marks[page] = r->marks[page] & (WIPE | DONT_FORK | READ_ONLY | NO_ACCESS);
        remember(a, other, "left by DONTUNMAP", 0, other->pages, 0);
        look_at_some(a, other, 0, other->pages);
}

static inline void op_move_over(struct actor *a, struct region *r)
{
        struct region *other = &a->region[below(a, REGIONS)];
        uint64_t n;

        if (other == r || !other->base || other->pages < 2 || !ready_to_move(a, r, true))
                return;
        unlock_region(a, other);
        n = below(a, 2) && r->pages <= other->pages ? r->pages : 1 + below(a, other->pages);
        remember(a, other, "moved over by another", 0, n, (uint64_t)r->base);
        move_to(a, r, n, other->base, "mremap over another region");
        if (!r->base) {
                lose(a, other);
                return;
        }
        other->base += n * PAGE;
        other->pages -= n;
        memmove(other->stamp, other->stamp + n, other->pages * sizeof(*other->stamp));
        memmove(other->marks, other->marks + n, other->pages);
        remember(a, other, "was moved over", 0, other->pages, 0);
        if (other->pages == 0)
                other->base = NULL;
        else
                look_at_some(a, other, 0, other->pages);
}

#endif
