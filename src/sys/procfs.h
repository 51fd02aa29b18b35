/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon reads of a client in /proc: through a descriptor of /proc/PID that was opened while the
 * client's pidfd said it was alive, so that a reused pid is never taken for the client. Nothing here
 * touches the client's memory.
 */
#ifndef SYS_PROCFS_H
#define SYS_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs {
        int dir; /* /proc/PID */
        int statm;
        int pagemap;
        int maps;
        pid_t tid; /* the thread that stands for the process: 0 the first, another once that has ended */
};

#define PROCFS_NONE           \
        {                     \
                -1, -1, -1, -1, 0 \
        }

/* Opens what is read often. Returns 0 or a negative errno (-ESRCH: the process is gone). */
int procfs_open(struct procfs *p, pid_t pid, int pidfd);
void procfs_close(struct procfs *p);

/* Opens one of its files to be read. Returns the descriptor or a negative errno. */
int procfs_open_in(int dir, const char *name);

/*
 * Memory of the process in bytes, from statm (Linux 6.2 and newer: off by at most some 64 pages a CPU). When the first
 * thread has ended before the others, another one stands for the process from then on.
 */
struct procfs_memory {
        uint64_t mapped;    /* size of all mappings */
        uint64_t anonymous; /* resident anonymous memory: resident minus shared */
        uint64_t resident;
};
int procfs_memory(struct procfs *p, struct procfs_memory *out);

struct procfs_mapping {
        uint64_t start, end;
        bool readable, writable, shared;
        bool anonymous;   /* no file: no inode, and no name or one the kernel made up ([heap], [anon:...]) */
        bool stack;       /* the main thread's */
        const char *name; /* "" where there is none; valid during the call */
};

/*
 * Calls fn for each mapping in address order until it returns non-zero, which is then returned. Negative errno on
 * failure, -ESRCH when the process is gone.
 */
int procfs_mappings(const struct procfs *p, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg);

/*
 * The mapping that addr is in, but for its name, and without much ado: a query of its own (PROCMAP_QUERY, Linux 6.11).
 * Returns 0 or a negative errno: -ENOENT there is none, -ESRCH the process is gone, -ENOTTY the kernel has no such
 * query.
 */
int procfs_mapping_at(const struct procfs *p, uint64_t addr, struct procfs_mapping *m);

/* Where the mapping that addr is in ends. Returns 0 or a negative errno: -ENOENT there is none, -ESRCH it is gone. */
int procfs_mapping_end(const struct procfs *p, uint64_t addr, uint64_t *end);

/*
 * Calls fn for what the kernel itself reads and writes at the end of each of its threads, as long as it returns 0:
 * [start, end) in the process's memory. Returns what fn returned, or a negative errno. Needs CAP_SYS_PTRACE for what
 * other users' programs have.
 */
int procfs_thread_ends(const struct procfs *p, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg);

struct procfs_run {
        uint64_t start, end;
};

/*
 * Runs of pages in [start, end) that are present and anonymous (PAGEMAP_SCAN, Linux 6.7), in address order, at most
 * max_runs and max_pages. The shared zero page does not count. *next is where to go on: end, or less when a
 * maximum was reached. Returns the number of runs or a negative errno.
 */
int procfs_present(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                   uint64_t max_pages, uint64_t *next);

/* The same for pages that are absent and marked (uffd_mark()). */
int procfs_marked(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                  uint64_t *next);

/*
 * The same for places that are not empty: present pages, marks, and whatever else the kernel keeps in a page table
 * entry (the guards of MADV_GUARD_INSTALL).
 */
int procfs_taken(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                 uint64_t *next);

/*
 * Which pages of [start, end), PROCFS_SHARING_MOST at most, are present and in the page tables of this process alone,
 * and which in those of others too: bit i for page i. From bit 56 of /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst). Returns 0 or a negative errno.
 */
#define PROCFS_SHARING_MOST 512u
struct procfs_sharing {
        uint64_t mine[PROCFS_SHARING_MOST / 64], shared[PROCFS_SHARING_MOST / 64];
};
int procfs_sharing(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_sharing *out);

/*
 * Whether forked children get the memory at addr with what is in it, by VmFlags in /proc/PID/smaps: not with
 * MADV_DONTFORK ("dc") or MADV_WIPEONFORK ("wf"). Returns 1, 0, or a negative errno, -ENOENT where nothing is mapped.
 * Takes long: the kernel walks all memory up to there.
 */
int procfs_inherited(const struct procfs *p, uint64_t addr);

/*
 * The pids of its children, at most max, those of each thread in the order of their birth
 * (/proc/PID/task/TID/children). Where there are more, the last ones. Returns how many or a negative errno.
 */
int procfs_children(const struct procfs *p, pid_t *out, unsigned max);

/*
 * How many threads it has, or a negative errno: -ESRCH also when it is ending, since those that go first are not
 * counted any more, although they may have been in the middle of something.
 */
int procfs_threads(const struct procfs *p);

/*
 * Whether the process is ending, or calls exec, as a thread of it shows that never begins that itself (0: the first
 * thread, which can: then it shows a moment late). True as well when there is no such thread.
 */
bool procfs_is_ending(const struct procfs *p, pid_t tid);

/* Short name of the process (comm), and its parent's pid. Both return 0 or a negative errno. */
int procfs_comm(const struct procfs *p, char buf[16]);
int procfs_parent(pid_t pid, pid_t *out);

#endif
