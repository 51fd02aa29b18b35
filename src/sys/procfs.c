// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/PID of a client. The directory's descriptor stands for one process for good: when that is gone its files
 * answer -ESRCH, whoever has the pid then. What remains is the moment of opening, and there the order helps: the
 * directory is opened first, and if the pidfd then still says "alive", the pid cannot have been reused before.
 *
 * A thread that has ended has no memory map any more: where it is the first, which stays until the others have ended
 * too (pthread_exit() in main), statm and maps are empty. Another thread's are looked at then. A live process
 * always has at least one mapping, so both are -ESRCH when no thread has any.
 */
#include "sys/procfs.h"

#include "sys/pagemap-compat.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCAN_RUNS 256

/* Threads that are looked at when the first has ended: only those that end at this moment are passed by. */
#define THREADS_MOST 64

static int gone(int code)
{
        return code == -ENOENT ? -ESRCH : code;
}

int procfs_open_in(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? gone(-errno) : fd;
}

/* 0 when the process has not ended, -ESRCH when it has. */
static int alive(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        int r;

        do
                r = poll(&p, 1, 0);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        if (r == 0)
                return pidfd < 0 ? -EBADF : 0;
        return p.revents & POLLNVAL ? -EBADF : -ESRCH;
}

int procfs_open(struct procfs *p, pid_t pid, int pidfd)
{
        _cleanup_(closep) int dir = -1, statm = -1, pagemap = -1, maps = -1;
        char path[32];
        int r;

        snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return gone(-errno);
        r = alive(pidfd);
        if (r < 0)
                return r;
        statm = procfs_open_in(dir, "statm");
        if (statm < 0)
                return statm;
        pagemap = procfs_open_in(dir, "pagemap");
        if (pagemap < 0)
                return pagemap;
        maps = procfs_open_in(dir, "maps");
        if (maps < 0)
                return maps;
        *p = (struct procfs){ take_fd(&dir), take_fd(&statm), take_fd(&pagemap), take_fd(&maps), 0 };
        return 0;
}

void procfs_close(struct procfs *p)
{
        if (!p)
                return;
        closep(&p->dir);
        closep(&p->statm);
        closep(&p->pagemap);
        closep(&p->maps);
        *p = (struct procfs)PROCFS_NONE;
}

/* Reads a small file whole into buf and NUL-terminates it. Returns the length or a negative errno. */
static ssize_t read_text(int fd, char *buf, size_t len)
{
        ssize_t n;

        do
                n = pread(fd, buf, len - 1, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return gone(-errno);
        buf[n] = '\0';
        return n;
}

static int read_memory(int statm, struct procfs_memory *out)
{
        const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        unsigned long long size, resident, shared;
        char text[128];
        ssize_t n = read_text(statm, text, sizeof(text));

        if (n < 0)
                return (int)n;
        if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
                return -EIO;
        if (!size)
                return -ESRCH;
        out->mapped = size * page;
        out->resident = resident * page;
        out->anonymous = resident > shared ? (resident - shared) * page : 0; /* the counters are not one snapshot */
        return 0;
}

static int memory_of_thread(struct procfs *p, pid_t tid, struct procfs_memory *out)
{
        _cleanup_(closep) int statm = -1;
        char name[32];
        int r;

        snprintf(name, sizeof(name), "task/%d/statm", (int)tid);
        statm = procfs_open_in(p->dir, name);
        if (statm < 0)
                return statm;
        r = read_memory(statm, out);
        if (r < 0)
                return r;
        closep(&p->statm);
        p->statm = take_fd(&statm);
        p->tid = tid;
        return 0;
}

/* The first thread that has its memory still stands for the process. */
static int memory_of_any_thread(struct procfs *p, struct procfs_memory *out)
{
        int fd = openat(p->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = -ESRCH;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!dir) {
                r = gone(-errno);
                closep(&fd);
                return r;
        }
        for (unsigned n = 0; r == -ESRCH && n < THREADS_MOST && (entry = readdir(dir)); n++)
                if (entry->d_name[0] != '.')
                        r = memory_of_thread(p, (pid_t)strtol(entry->d_name, NULL, 10), out);
        closedir(dir);
        return r;
}

int procfs_memory(struct procfs *p, struct procfs_memory *out)
{
        int r = read_memory(p->statm, out);

        return r == -ESRCH ? memory_of_any_thread(p, out) : r;
}

/* What a scan looks for: these bits set, those of `without` not, and at least one of `any` if there are any. */
struct wanted {
        uint64_t with, without, any;
};

/* PFNZERO is the zero page. Kernels that do not tell the huge one from memory report that as present. */
static const struct wanted wanted_present = { PAGE_IS_PRESENT, PAGE_IS_PFNZERO | PAGE_IS_FILE, 0 };

/* A mark is an entry that looks like swapped-out memory which was not written since it was protected. */
static const struct wanted wanted_marked = { PAGE_IS_SWAPPED, PAGE_IS_PRESENT | PAGE_IS_WRITTEN, 0 };

static const struct wanted wanted_taken = { 0, 0, PAGE_IS_PRESENT | PAGE_IS_SWAPPED };

static int scan(int pagemap, uint64_t start, uint64_t end, const struct wanted *wanted, struct page_region *regions,
                unsigned most, uint64_t max_pages, uint64_t *walk_end)
{
        struct pm_scan_arg arg = {
                .size = sizeof(arg),
                .start = start,
                .end = end,
                .vec = (uintptr_t)regions,
                .vec_len = most,
                .max_pages = max_pages,
                .category_mask = wanted->with | wanted->without,
                .category_inverted = wanted->without,
                .category_anyof_mask = wanted->any,
                .return_mask = wanted->with | wanted->any,
        };
        int n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

        if (n < 0)
                return -errno;
        *walk_end = arg.walk_end;
        return n;
}

static int find(const struct procfs *p, uint64_t start, uint64_t end, const struct wanted *wanted,
                struct procfs_run *runs, unsigned max_runs, uint64_t max_pages, uint64_t *next)
{
        const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        struct page_region regions[SCAN_RUNS];
        unsigned n = 0;

        while (start < end && n < max_runs && max_pages) {
                unsigned room = max_runs - n < SCAN_RUNS ? max_runs - n : SCAN_RUNS;
                int got = scan(p->pagemap, start, end, wanted, regions, room, max_pages, &start);

                if (got < 0)
                        return got;
                if (got == 0)
                        break; /* start is the end now */
                for (int i = 0; i < got; i++) {
                        runs[n++] = (struct procfs_run){ regions[i].start, regions[i].end };
                        max_pages -= (regions[i].end - regions[i].start) / page;
                }
        }
        *next = start < end ? start : end;
        return (int)n;
}

int procfs_present(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                   uint64_t max_pages, uint64_t *next)
{
        return find(p, start, end, &wanted_present, runs, max_runs, max_pages, next);
}

int procfs_marked(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                  uint64_t *next)
{
        return find(p, start, end, &wanted_marked, runs, max_runs, UINT64_MAX, next);
}

int procfs_taken(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                 uint64_t *next)
{
        return find(p, start, end, &wanted_taken, runs, max_runs, UINT64_MAX, next);
}

int procfs_sharing(const struct procfs *p, uint64_t start, uint64_t end, struct procfs_sharing *out)
{
        const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), present = 1ull << 63, exclusive = 1ull << 56;
        uint64_t entry[PROCFS_SHARING_MOST], first = start / page, count = end / page - first;
        ssize_t n;

        if (count > PROCFS_SHARING_MOST)
                return -E2BIG;
        do
                n = pread(p->pagemap, entry, count * sizeof(entry[0]), (off_t)(first * sizeof(entry[0])));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return gone(-errno);
        *out = (struct procfs_sharing){ 0 };
        for (size_t i = 0; i < (size_t)n / sizeof(entry[0]); i++)
                if (entry[i] & present)
                        (entry[i] & exclusive ? out->mine : out->shared)[i / 64] |= 1ull << i % 64;
        return 0;
}

/* Adds the pids of a list of them to out, of which n are there; forgets the first ones where there are too many. */
static unsigned add_children(const char *list, pid_t *out, unsigned n, unsigned max)
{
        char *end;

        for (long pid; (pid = strtol(list, &end, 10)) > 0; list = end) {
                if (n == max)
                        memmove(out, out + 1, --n * sizeof(out[0]));
                out[n++] = (pid_t)pid;
        }
        return n;
}

int procfs_children(const struct procfs *p, pid_t *out, unsigned max)
{
        int fd = openat(p->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;
        unsigned n = 0;

        if (!tasks) {
                int error = -errno;

                closep(&fd);
                return gone(error);
        }
        while ((d = readdir(tasks))) {
                _cleanup_(closep) int file = -1;
                char path[sizeof(d->d_name) + 16], text[8192];

                if (d->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/children", d->d_name);
                file = procfs_open_in(dirfd(tasks), path);
                if (file >= 0 && read_text(file, text, sizeof(text)) >= 0)
                        n = add_children(text, out, n, max);
        }
        closedir(tasks);
        return (int)n;
}

/*
 * Reads a stat, see proc_pid_stat(5); *out is where in text its third field begins, behind the name, which may hold
 * anything. Returns 0 or a negative errno.
 */
static int read_stat(int dir, const char *path, char *text, size_t size, const char **out)
{
        _cleanup_(closep) int fd = procfs_open_in(dir, path);
        ssize_t n;

        if (fd < 0)
                return fd;
        n = read_text(fd, text, size);
        if (n < 0)
                return (int)n;
        *out = strrchr(text, ')');
        return *out ? 0 : -EIO;
}

/*
 * Looks at a thread's stat: num_threads, and flags and signal, which say whether it is ending
 * (PF_EXITING, PF_DUMPCORE, PF_SIGNALED of linux/sched.h; SIGKILL, which all threads get when one ends the process).
 * Returns num_threads, or a negative errno: -ESRCH also when it is ending.
 */
static int look_at_thread(const struct procfs *p, const char *path)
{
        const unsigned long going = 0x4 | 0x200 | 0x400, killed = 1ul << (SIGKILL - 1);
        unsigned long flags, signals;
        char text[1024];
        const char *at;
        int threads, r = read_stat(p->dir, path, text, sizeof(text), &at);

        if (r < 0)
                return r;
        if (sscanf(at,
                   ") %*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %*u %*u "
                   "%*d %*u %*u %*u %*u %*u %*u %lu",
                   &flags, &threads, &signals) != 3)
                return -EIO;
        return (flags & going) || (signals & killed) ? -ESRCH : threads;
}

/* Twice: flags are read first, and the signal can be taken, which sets a flag, between the two. */
static int look_twice(const struct procfs *p, const char *path)
{
        int r = look_at_thread(p, path), again = r < 0 ? r : look_at_thread(p, path);

        return again < 0 ? again : r;
}

int procfs_threads(const struct procfs *p)
{
        return look_twice(p, "stat");
}

bool procfs_is_ending(const struct procfs *p, pid_t tid)
{
        char path[40] = "stat";

        if (tid)
                snprintf(path, sizeof(path), "task/%d/stat", (int)tid);
        return look_twice(p, path) < 0;
}

int procfs_comm(const struct procfs *p, char buf[16])
{
        _cleanup_(closep) int fd = procfs_open_in(p->dir, "comm");
        char text[64];
        ssize_t n;

        if (fd < 0)
                return fd;
        n = read_text(fd, text, sizeof(text));
        if (n < 0)
                return (int)n;
        text[strcspn(text, "\n")] = '\0';
        snprintf(buf, 16, "%.15s", text);
        return 0;
}

int procfs_parent(pid_t pid, pid_t *out)
{
        char path[32], text[1024];
        const char *at;
        int parent, r;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        r = read_stat(AT_FDCWD, path, text, sizeof(text), &at);
        if (r < 0)
                return r;
        if (sscanf(at, ") %*c %d", &parent) != 1)
                return -EIO;
        *out = parent;
        return 0;
}
