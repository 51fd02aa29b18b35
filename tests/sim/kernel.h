/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulated kernel: address spaces with private anonymous mappings, and the userfaultfd of each. Addresses are page
 * numbers here, 0 .. SIM_PAGES - 1; the port translates. Each function is what happens in one hold of the kernel's
 * locks, except for those that take a task: that may wait, and others come in between. The rules are those of Linux
 * 6.18 (mm/userfaultfd.c, fs/userfaultfd.c, mm/mremap.c, mm/vma.c, mm/madvise.c, mm/memory.c, kernel/fork.c).
 *
 * What is in a page is one number: 0 for zeros, or a version of the oracle's (client.h).
 */
#ifndef TESTS_SIM_KERNEL_H
#define TESTS_SIM_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <vmpager/uffd-compat.h>

#include "model/ptable.h"
#include "task.h"

#define SIM_PAGES   96u
#define SIM_ANY     SIM_PAGES /* as an address: wherever there is room */
#define SIM_THREADS 6u
#define SIM_STAGING 256u
/* The pages lie in two chunks. */
#define SIM_BASE (UINT64_C(0x100000000000) + PTABLE_CHUNK_SIZE - 40 * PAGE_SIZE_)

/* A page of memory. Several address spaces may have it, after a fork. */
struct sim_page {
        uint64_t content;
        unsigned refs, pins;
        bool exclusive; /* known to be of one address space alone (PageAnonExclusive) */
};

enum pte_kind { PTE_NONE, PTE_PAGE, PTE_ZERO, PTE_POISON };

/* What the kernel calls a thread. */
#define KERNEL_TID(number) (100 + (number))

/* An absent page with wp is what the pager calls marked. */
struct sim_pte {
        enum pte_kind kind;
        bool wp;
        bool lazy; /* MADV_FREE: may be taken back until it is written */
        struct sim_page *page;
};

enum vma_uffd { UFFD_NONE, UFFD_OURS, UFFD_FOREIGN };

struct sim_vma {
        unsigned start, end, pgoff;
        enum vma_uffd uffd;
        bool readable, writable, locked;
};

/* A task that waits in handle_userfault(), or for its event to be read. */
struct sim_waiter {
        struct task *task;
        bool read; /* a fault that was read stays a waiter until it is woken */
        unsigned page;
        struct uffd_msg msg;
};

struct sim_mm {
        struct sim_vma vma[SIM_PAGES + 2];
        unsigned n_vmas;
        struct sim_pte pte[SIM_PAGES];
        unsigned changing; /* mmap_changing of the userfaultfd */
        struct sim_waiter fault[SIM_THREADS + 1], event[SIM_THREADS + 1];
        unsigned n_faults, n_events;
        bool poll; /* the userfaultfd's poll was woken */
        bool gone; /* exit_mm() */

        /* The agent's staging area; its bytes are real. */
        char *staging;
        bool staging_registered, staged[SIM_STAGING];
};

/* The events that a call owes, all of them counted in mm->changing already. */
struct sim_call {
        struct uffd_msg msg[4];
        unsigned n;
};

static inline uint64_t sim_address(unsigned page)
{
        return SIM_BASE + page * PAGE_SIZE_;
}

/* kernel-vma.c: mappings */
struct sim_vma *kernel_vma_at(struct sim_mm *mm, unsigned page); /* or NULL */
bool kernel_is_free(struct sim_mm *mm, unsigned start, unsigned n);
void kernel_cut(struct sim_mm *mm, unsigned page); /* two mappings where one went over the beginning of the page */
void kernel_insert(struct sim_mm *mm, struct sim_vma v);
void kernel_erase(struct sim_mm *mm, unsigned start, unsigned end); /* mappings alone, not pages */
void kernel_merge(struct sim_mm *mm);
uint64_t kernel_size(const struct sim_mm *mm); /* pages mapped */

/* kernel-page.c: pages and faults */
void kernel_begin(void);                 /* there is no page */
void kernel_mm_begin(struct sim_mm *mm); /* nothing is mapped */
void kernel_exit(struct sim_mm *mm);
struct sim_page *kernel_page_new(uint64_t content);
void kernel_page_put(struct sim_page *p);
void kernel_clear(struct sim_mm *mm, unsigned start, unsigned end);     /* all entries become empty */
void kernel_lazy_free(struct sim_mm *mm, unsigned start, unsigned end); /* what MADV_FREE does to entries */
bool kernel_reclaim(struct sim_mm *mm, unsigned from);                  /* takes one lazily freed page back */

enum touch { TOUCH_OK, TOUCH_SIGBUS, TOUCH_SEGV, TOUCH_LEFT };

/* Touches a page. OK: it can be read (written), until the next task_pause(). LEFT: a signal handler jumped away. */
enum touch kernel_touch(struct sim_mm *mm, struct task *t, unsigned page, bool write);
uint64_t kernel_read(const struct sim_mm *mm, unsigned page);
void kernel_write(struct sim_mm *mm, unsigned page, uint64_t content);
bool kernel_signal(struct sim_mm *mm, unsigned which); /* wakes a task out of a fault */

/* kernel-call.c: system calls; 0 or a negative errno */
int kernel_mmap(struct sim_mm *mm, struct sim_call *call, unsigned at, unsigned n, struct sim_vma like,
                unsigned *where);
int kernel_munmap(struct sim_mm *mm, struct sim_call *call, unsigned at, unsigned n);

/* to: an address (MREMAP_FIXED), SIM_ANY (MREMAP_MAYMOVE), or `from` (neither). */
int kernel_mremap(struct sim_mm *mm, struct sim_call *call, unsigned from, unsigned old_n, unsigned new_n, unsigned to,
                  unsigned *where);
int kernel_mprotect(struct sim_mm *mm, unsigned at, unsigned n, bool readable, bool writable);
int kernel_lock(struct sim_mm *mm, unsigned at, unsigned n, bool locked); /* without bringing the pages in */
int kernel_madvise(struct sim_mm *mm, struct task *t, unsigned at, unsigned n, bool lazily);

/* Something that was done to the mappings has to be told. */
void kernel_owe(struct sim_mm *mm, struct sim_call *call, struct uffd_msg msg);

/* MADV_POPULATE_WRITE */
int kernel_populate(struct sim_mm *mm, struct task *t, unsigned at, unsigned n);

/* kernel-fork.c: makes the child's memory; what the call owes is to be told before the child runs. */
void kernel_fork(struct sim_mm *mm, struct sim_mm *child, unsigned fd, struct sim_call *call);

/* Tells of what a call did, and waits until it was read. */
void kernel_tell(struct sim_mm *mm, struct sim_call *call, struct task *t);

/* kernel-uffd.c: the userfaultfd. Pages done, or a negative errno. */
int kernel_uffd_read(struct sim_mm *mm, struct uffd_msg *msg); /* 1, 0 for none */
int kernel_uffd_copy(struct sim_mm *mm, unsigned at, unsigned n, const char *bytes);
int kernel_uffd_zeropage(struct sim_mm *mm, unsigned at, unsigned n);
int kernel_uffd_poison(struct sim_mm *mm, unsigned at, unsigned n);
void kernel_uffd_wake(struct sim_mm *mm, unsigned at, unsigned n);
int kernel_uffd_protect(struct sim_mm *mm, unsigned at, unsigned n, bool protect);
int kernel_uffd_register(struct sim_mm *mm, unsigned at, unsigned n, bool registered);

/* UFFDIO_MOVE from the program's pages to staging; *moved pages are moved, whatever it returns. */
int kernel_uffd_move(struct sim_mm *mm, unsigned from, unsigned to, unsigned n, unsigned *moved);
void kernel_staging_drop(struct sim_mm *mm);

#endif
