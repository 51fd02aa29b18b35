// SPDX-License-Identifier: GPL-2.0-or-later
/* What /proc says of processes made for it: this one and forked children. */
#include "sys/procfs.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define MANY 64u

static int pidfd_of(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static struct procfs open_self(void)
{
        struct procfs p = PROCFS_NONE;
        int pidfd = pidfd_of(getpid());

        ck_assert_int_ge(pidfd, 0);
        ck_assert_int_eq(procfs_open(&p, getpid(), pidfd), 0);
        close(pidfd);
        return p;
}

static char *map_pages(size_t n)
{
        char *mem = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        ck_assert_ptr_ne(mem, MAP_FAILED);
        ck_assert_int_eq(madvise(mem, n * PAGE, MADV_NOHUGEPAGE), 0);
        return mem;
}

static uint64_t addr(const void *p)
{
        return (uintptr_t)p;
}

/* A child that does nothing until it is killed. */
static pid_t sleeper(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        ck_assert_int_gt(pid, 0);
        return pid;
}

/* What children do not get, as it is and in the middle of other mappings. */
START_TEST(test_inherited)
{
        struct procfs p = open_self();
        char *mem = map_pages(6);

        mem[0] = mem[3 * PAGE] = 1;
        ck_assert_int_eq(madvise(mem + 2 * PAGE, PAGE, MADV_DONTFORK), 0);
        ck_assert_int_eq(madvise(mem + 4 * PAGE, PAGE, MADV_WIPEONFORK), 0);
        ck_assert_int_eq(munmap(mem + 5 * PAGE, PAGE), 0);
        for (unsigned i = 0; i < 5; i++)
                ck_assert_int_eq(procfs_inherited(&p, addr(mem) + i * PAGE), i != 2 && i != 4);
        ck_assert_int_eq(procfs_inherited(&p, addr(mem) + 5 * PAGE), -ENOENT);
        ck_assert_int_eq(procfs_inherited(&p, PAGE), -ENOENT);
        ck_assert_int_eq(madvise(mem, 5 * PAGE, MADV_DOFORK), 0);
        ck_assert_int_eq(procfs_inherited(&p, addr(mem) + 2 * PAGE), 1);
        munmap(mem, 5 * PAGE);
        procfs_close(&p);
}
END_TEST

START_TEST(test_open)
{
        struct procfs p = open_self();

        ck_assert_int_eq(fcntl(p.dir, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(fcntl(p.statm, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(fcntl(p.pagemap, F_GETFD), FD_CLOEXEC);
        procfs_close(&p);
        ck_assert_int_eq(p.dir, -1);
        ck_assert_int_eq(p.pagemap, -1);
        procfs_close(&p);
        procfs_close(NULL);
}
END_TEST

static void kill_and_reap(pid_t pid)
{
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* The pid is somebody else's by now: here, simply another process's. The pidfd decides. */
START_TEST(test_reused_pid)
{
        struct procfs p = PROCFS_NONE;
        pid_t dead = sleeper();
        int pidfd = pidfd_of(dead);

        kill_and_reap(dead);
        ck_assert_int_eq(procfs_open(&p, getpid(), pidfd), -ESRCH);
        ck_assert_int_eq(p.dir, -1);
        ck_assert_int_eq(procfs_open(&p, dead, pidfd), -ESRCH);
        ck_assert_int_eq(procfs_open(&p, getpid(), -1), -EBADF);
        close(pidfd);
}
END_TEST

static int count(const struct procfs_mapping *m, void *arg)
{
        (void)m;
        ++*(int *)arg;
        return 0;
}

START_TEST(test_gone)
{
        struct procfs p = PROCFS_NONE;
        struct procfs_memory memory = { 1, 2, 3 };
        struct procfs_run run;
        pid_t pid = sleeper(), parent = 77;
        int pidfd = pidfd_of(pid), n = 0;
        siginfo_t info;
        uint64_t next;
        char comm[16] = "unchanged";

        ck_assert_int_eq(procfs_open(&p, pid, pidfd), 0);
        ck_assert_int_eq(procfs_parent(pid, &parent), 0);
        ck_assert_int_eq(parent, getpid());
        kill(pid, SIGKILL);
        for (int reaped = 0; reaped < 2; reaped++) { /* first a zombie, then nothing */
                ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | (reaped ? 0 : WNOWAIT)), 0);
                ck_assert_int_eq(procfs_memory(&p, &memory), -ESRCH);
                ck_assert_int_eq(procfs_mappings(&p, count, &n), -ESRCH);
        }
        ck_assert_uint_eq(memory.mapped, 1);
        ck_assert_int_eq(n, 0);
        ck_assert_int_le(procfs_present(&p, 0, 1ull << 40, &run, 1, 1, &next), 0);
        ck_assert_int_eq(procfs_comm(&p, comm), -ESRCH);
        ck_assert_str_eq(comm, "unchanged");
        ck_assert_int_eq(procfs_parent(pid, &parent), -ESRCH);
        ck_assert_int_eq(parent, getpid());
        close(pidfd);
        procfs_close(&p);
}
END_TEST

static void *outlive(void *arg)
{
        char byte;

        (void)!read(*(int *)arg, &byte, 1); /* until the test closes the other end */
        _exit(0);
}

/* A process whose first thread ends when the pipe says so, and another goes on. */
static pid_t headless(int go, int end)
{
        static int fd;
        pthread_t thread;
        pid_t pid = fork();
        char byte;

        if (pid)
                return pid;
        fd = end;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pthread_create(&thread, NULL, outlive, &fd) != 0 || read(go, &byte, 1) != 1)
                _exit(1);
        syscall(SYS_exit, 0);
        _exit(1);
}

/* The first thread's files are empty once it has ended; what is told is the others', which are the same memory. */
START_TEST(test_headless)
{
        int go[2], end[2], calls = 0, more = 0, pidfd;
        struct procfs p = PROCFS_NONE;
        struct procfs_memory before, after = { 0 };
        pid_t pid;

        ck_assert(pipe2(go, O_CLOEXEC) == 0 && pipe2(end, O_CLOEXEC) == 0);
        pid = headless(go[0], end[0]);
        close(end[0]);
        pidfd = pidfd_of(pid);
        ck_assert_int_eq(procfs_open(&p, pid, pidfd), 0);
        ck_assert_int_eq(procfs_memory(&p, &before), 0);
        ck_assert_int_eq(write(go[1], "g", 1), 1);
        while (p.tid == 0) /* bounded by the test's timeout */
                ck_assert_int_eq(procfs_memory(&p, &after), 0);
        ck_assert_int_ne(p.tid, pid);
        ck_assert_uint_ge(after.mapped, before.mapped / 2);
        ck_assert_uint_gt(after.anonymous, 0);
        ck_assert_int_eq(procfs_mappings(&p, count, &calls), 0);
        ck_assert_int_gt(calls, 1);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(procfs_memory(&p, &after), -ESRCH);
        ck_assert_int_eq(procfs_mappings(&p, count, &more), -ESRCH);
        ck_assert_int_eq(more, 0);
        close(pidfd);
        procfs_close(&p);
        close(go[0]);
        close(go[1]);
        close(end[1]);
}
END_TEST

START_TEST(test_memory)
{
        enum { PAGES = 16384 };
        const uint64_t slack = 1u << 20; /* the counters are gathered from CPUs */
        struct procfs p = open_self();
        struct procfs_memory before, mapped, touched, file;
        char *mem, *shared;

        ck_assert_int_eq(procfs_memory(&p, &before), 0);
        mem = map_pages(PAGES);
        ck_assert_int_eq(procfs_memory(&p, &mapped), 0);
        ck_assert_uint_ge(mapped.mapped, before.mapped + PAGES * PAGE);
        ck_assert_uint_lt(mapped.anonymous, before.anonymous + slack);

        /* not by touching it, for which a sanitizer would take memory of its own */
        ck_assert_int_eq(madvise(mem, (size_t)PAGES * PAGE, MADV_POPULATE_WRITE), 0);
        ck_assert_int_eq(procfs_memory(&p, &touched), 0);
        ck_assert_uint_ge(touched.anonymous, mapped.anonymous + PAGES * PAGE - slack);
        ck_assert_uint_le(touched.anonymous, mapped.anonymous + PAGES * PAGE + slack);
        ck_assert_uint_ge(touched.resident, touched.anonymous);

        shared = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_int_eq(madvise(shared, (size_t)PAGES * PAGE, MADV_POPULATE_WRITE), 0);
        ck_assert_int_eq(procfs_memory(&p, &file), 0);
        ck_assert_uint_lt(file.anonymous, touched.anonymous + slack);
        ck_assert_uint_ge(file.resident, touched.resident + PAGES * PAGE - slack);
        procfs_close(&p);
}
END_TEST

/* Looks for one mapping by its address. */
struct wanted {
        uint64_t at;
        struct procfs_mapping found;
        char name[256];
        uint64_t last_end;
};

static int find(const struct procfs_mapping *m, void *arg)
{
        struct wanted *w = arg;

        if (m->start >= m->end || m->start < w->last_end)
                ck_abort_msg("out of order: %llx-%llx", (unsigned long long)m->start, (unsigned long long)m->end);
        w->last_end = m->end;
        if (m->start <= w->at && w->at < m->end) {
                w->found = *m;
                snprintf(w->name, sizeof(w->name), "%s", m->name);
        }
        return 0;
}

static struct wanted mapping_at(const struct procfs *p, const void *at)
{
        struct wanted w = { .at = addr(at) };

        ck_assert_int_eq(procfs_mappings(p, find, &w), 0);
        ck_assert_uint_ne(w.found.end, 0);
        return w;
}

START_TEST(test_mapping_kinds)
{
        struct procfs p = open_self();
        struct wanted w;
        char *mem = map_pages(6), *shared, *file;
        int local = 0, fd = memfd_create("a name (deleted) of spaces", MFD_CLOEXEC);

        mprotect(mem, PAGE, PROT_NONE);
        mprotect(mem + 5 * PAGE, PAGE, PROT_READ);
        w = mapping_at(&p, mem + 2 * PAGE);
        ck_assert_uint_eq(w.found.start, addr(mem) + PAGE);
        ck_assert_uint_eq(w.found.end, addr(mem) + 5 * PAGE);
        ck_assert(w.found.anonymous && w.found.readable && w.found.writable);
        ck_assert(!w.found.shared && !w.found.stack);
        ck_assert_str_eq(w.name, "");
        w = mapping_at(&p, mem);
        ck_assert(w.found.anonymous && !w.found.readable && !w.found.writable);
        w = mapping_at(&p, mem + 5 * PAGE);
        ck_assert(w.found.anonymous && w.found.readable && !w.found.writable);

        w = mapping_at(&p, &local);
        ck_assert(w.found.stack && !w.found.anonymous);
        ck_assert_ptr_ne(sbrk(PAGE), (void *)-1);
        w = mapping_at(&p, (char *)sbrk(0) - 1);
        ck_assert_str_eq(w.name, "[heap]");
        ck_assert(w.found.anonymous);

        shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        w = mapping_at(&p, shared);
        ck_assert(w.found.shared && !w.found.anonymous);
        ck_assert_int_eq(ftruncate(fd, PAGE), 0);
        file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
        w = mapping_at(&p, file);
        ck_assert(!w.found.shared && !w.found.anonymous);
        ck_assert_str_eq(w.name, "/memfd:a name (deleted) of spaces (deleted)");
        w = mapping_at(&p, (void *)open_self); /* this program: a function's address is data here */
        ck_assert(!w.found.anonymous && w.found.readable && !w.found.writable);
        ck_assert_int_eq(w.name[0], '/');
        procfs_close(&p);
}
END_TEST

static int no_special(const struct procfs_mapping *m, void *arg)
{
        (void)arg;
        if (strcmp(m->name, "[vdso]") == 0 || strncmp(m->name, "[vvar", 5) == 0 || strcmp(m->name, "[vsyscall]") == 0)
                ck_assert_msg(!m->anonymous && !m->stack, "%s", m->name);
        if (strcmp(m->name, "[vdso]") == 0)
                ++*(int *)arg;
        return 0;
}

static int end_at_third(const struct procfs_mapping *m, void *arg)
{
        (void)m;
        return ++*(int *)arg == 3 ? -ENOTTY : 0;
}

START_TEST(test_mapping_walk)
{
        struct procfs p = open_self();
        int vdso = 0, calls = 0;

        ck_assert_int_eq(procfs_mappings(&p, no_special, &vdso), 0);
        ck_assert_int_eq(vdso, 1);
        ck_assert_int_eq(procfs_mappings(&p, end_at_third, &calls), -ENOTTY);
        ck_assert_int_eq(calls, 3);
        procfs_close(&p);
}
END_TEST

START_TEST(test_mapping_named)
{
        struct procfs p = open_self();
        char *mem = map_pages(1);
        struct wanted w;

        ck_assert_int_eq(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mem, PAGE, "heap of mine"), 0);
        w = mapping_at(&p, mem);
        ck_assert_str_eq(w.name, "[anon:heap of mine]");
        ck_assert(w.found.anonymous);
        procfs_close(&p);
}
END_TEST

/* What is there of a directory with a made-up maps file: lines that this kernel would not give. */
static int walk_text(const char *text, size_t len, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        struct procfs p = PROCFS_NONE;
        char dir[] = "/tmp/test-procfs-XXXXXX";
        int fd, r;

        ck_assert_ptr_nonnull(mkdtemp(dir));
        p.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        fd = openat(p.dir, "maps", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
        close(fd);
        r = procfs_mappings(&p, fn, arg);
        unlinkat(p.dir, "maps", 0);
        rmdir(dir);
        procfs_close(&p);
        return r;
}

/* 'a' for anonymous, 's' for the stack, '.' for neither. */
static int note_kind(const struct procfs_mapping *m, void *arg)
{
        char *kinds = arg;

        kinds[strlen(kinds)] = m->anonymous ? 'a' : m->stack ? 's' : '.';
        return 0;
}

START_TEST(test_mapping_text)
{
        static const char text[] = "00400000-00401000 rw-p 00000000 00:00 0 \n"
                                   "00401000-00402000 rw-p 00000000 00:00 0\n"
                                   "00402000-00403000 rw-p 00000000 00:00 0                   [heap]\n"
                                   "00403000-00404000 rw-p 00000000 00:00 0                   [anon:my heap]\n"
                                   "00404000-00405000 rw-s 00000000 00:01 12                  [anon_shmem:x]\n"
                                   "00405000-00406000 rw-p 00000000 fd:00 0123                /x [anon:y]\n"
                                   "00406000-00407000 rw-s 00000000 00:01 1024                /dev/zero (deleted)\n"
                                   "00407000-00408000 rw-s 00000000 00:0f 1050                anon_inode:[io_uring]\n"
                                   "00408000-00409000 rw-s 00000000 00:01 2                   /SYSV00000000 (deleted)\n"
                                   "00409000-0040a000 rw-p 00000000 00:0e 7                  /anon_hugepage (deleted)\n"
                                   "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0           [stack]\n"
                                   "7ffffffff000-8000000000000 r--p 00000000 00:00 0          [vvar_vclock]\n"
                                   "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]\n";
        char kinds[32] = "";
        int calls = 0;

        ck_assert_int_eq(walk_text(text, sizeof(text) - 1, note_kind, kinds), 0);
        ck_assert_str_eq(kinds, "aaaa......s..");
        ck_assert_int_eq(walk_text(text, sizeof(text) - 2, count, &calls), -EIO); /* a last line cut short */
        ck_assert_int_eq(walk_text("", 0, count, &calls), -ESRCH);
        ck_assert_int_eq(walk_text("nonsense\n", 9, count, &calls), -EIO);
        ck_assert_int_eq(walk_text("1000-2000\n", 10, count, &calls), -EIO);
        ck_assert_int_eq(walk_text("1000-2000 r\n", 12, count, &calls), -EIO);
}
END_TEST

/* The longest line there can be goes through, wherever in the buffer it lies; one without an end does not. */
START_TEST(test_mapping_long)
{
        enum { LINES = 40, NAME = 4 * 4095 };
        static char text[LINES * (NAME + 64) + 65536];
        size_t used = 0;
        int calls = 0;

        for (int i = 0; i < LINES; i++) {
                used += (size_t)sprintf(text + used, "%x000-%x000 rw-p 00000000 fd:00 9 /", i + 1, i + 2);
                memset(text + used, 'x', NAME - (size_t)i * 37);
                used += NAME - (size_t)i * 37;
                text[used++] = '\n';
        }
        ck_assert_int_eq(walk_text(text, used, count, &calls), 0);
        ck_assert_int_eq(calls, LINES);
        memset(text + used, 'x', 65536);
        ck_assert_int_eq(walk_text(text, used + 65536, count, &calls), -EIO);
}
END_TEST

/* Far more than fits the buffer, so that lines are cut at its end at many places. */
START_TEST(test_mapping_many)
{
        enum { N = 20000 };
        struct procfs p = open_self();
        int before = 0, after = 0;
        char *mem;

        ck_assert_int_eq(procfs_mappings(&p, count, &before), 0);
        mem = map_pages(2 * N);
        for (size_t i = 0; i < N; i++)
                ck_assert_int_eq(mprotect(mem + (2 * i + 1) * PAGE, PAGE, PROT_NONE), 0);
        ck_assert_int_eq(procfs_mappings(&p, count, &after), 0);
        ck_assert_int_ge(after, before + 2 * N - 1);
        ck_assert_int_le(after, before + 2 * N + 8);
        mapping_at(&p, mem + (size_t)N * PAGE);
        procfs_close(&p);
}
END_TEST

static void expect_runs(const struct procfs *p, const char *mem, uint64_t pages, const unsigned (*want)[2], int n)
{
        struct procfs_run runs[MANY];
        uint64_t next = 1;

        ck_assert_int_eq(procfs_present(p, addr(mem), addr(mem) + pages * PAGE, runs, MANY, UINT64_MAX, &next), n);
        ck_assert_uint_eq(next, addr(mem) + pages * PAGE);
        for (int i = 0; i < n; i++) {
                ck_assert_uint_eq(runs[i].start, addr(mem) + (uint64_t)want[i][0] * PAGE);
                ck_assert_uint_eq(runs[i].end, addr(mem) + (uint64_t)want[i][1] * PAGE);
        }
}

/* Touched, read, dropped, not mapped, of a file. */
static char *patchwork(void)
{
        char *mem = map_pages(64);
        int fd = memfd_create("test", MFD_CLOEXEC);

        memset(mem + 2 * PAGE, 1, 3 * PAGE);
        mem[8 * PAGE] = *(volatile char *)(mem + 10 * PAGE); /* 10: the zero page */
        memset(mem + 20 * PAGE, 1, 10 * PAGE);
        madvise(mem + 23 * PAGE, PAGE, MADV_DONTNEED);
        munmap(mem + 30 * PAGE, 10 * PAGE);
        ck_assert_int_eq(ftruncate(fd, 4 * PAGE), 0);
        ck_assert_ptr_eq(mmap(mem + 50 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0),
                         mem + 50 * PAGE);
        mem[51 * PAGE] = *(volatile char *)(mem + 50 * PAGE); /* 50: the file's; 51: a private copy */
        mem[63 * PAGE] = 1;
        close(fd);
        return mem;
}

static const unsigned patches[][2] = { { 2, 5 }, { 8, 9 }, { 20, 23 }, { 24, 30 }, { 51, 52 }, { 63, 64 } };

START_TEST(test_present)
{
        struct procfs p = open_self();
        char *mem = patchwork();

        expect_runs(&p, mem, 64, patches, 6);
        expect_runs(&p, mem + 30 * PAGE, 10, NULL, 0);
        expect_runs(&p, mem + 10 * PAGE, 0, NULL, 0);
        procfs_close(&p);
}
END_TEST

START_TEST(test_present_of_child)
{
        struct procfs p = PROCFS_NONE;
        char *mem = patchwork();
        pid_t pid = sleeper();
        int pidfd = pidfd_of(pid);

        munmap(mem, 64 * PAGE); /* here; the child has it */
        ck_assert_int_eq(procfs_open(&p, pid, pidfd), 0);
        expect_runs(&p, mem, 64, patches, 6);
        kill_and_reap(pid);
        close(pidfd);
        procfs_close(&p);
}
END_TEST

/* Whatever the limits are, going on at *next finds all of it, once. */
START_TEST(test_present_limits)
{
        enum { PAGES = 4096 };
        struct procfs p = open_self();
        char *mem = map_pages(PAGES);
        static bool want[PAGES], seen[PAGES];
        struct procfs_run runs[600];

        for (unsigned i = 0; i < PAGES; i++)
                if (i % 2 == 0 ? i < 2400 : i % 7 == 0)
                        mem[(size_t)i * PAGE] = (char)(want[i] = true);
        static const struct {
                unsigned runs;
                uint64_t pages;
        } limits[] = { { 1, UINT64_MAX }, { 600, 1 },    { 3, 7 },      { 600, 256 },
                       { 256, 300 },      { 257, 1000 }, { 600, 10000 } };

        for (unsigned l = 0; l < sizeof(limits) / sizeof(*limits); l++) {
                uint64_t at = addr(mem), end = at + (uint64_t)PAGES * PAGE, next, pages;

                memset(seen, 0, sizeof(seen));
                for (; at < end; at = next) {
                        int n = procfs_present(&p, at, end, runs, limits[l].runs, limits[l].pages, &next);

                        ck_assert_int_ge(n, 0);
                        ck_assert_int_le(n, (int)limits[l].runs);
                        ck_assert_uint_gt(next, at);
                        ck_assert_uint_le(next, end);
                        pages = 0;
                        for (int i = 0; i < n; i++)
                                for (uint64_t a = runs[i].start; a < runs[i].end; a += PAGE, pages++) {
                                        uint64_t page = (a - addr(mem)) / PAGE;

                                        if (a < at || a >= next || seen[page] || !want[page])
                                                ck_abort_msg("limits %u: page %llu", l, (unsigned long long)page);
                                        seen[page] = true;
                                }
                        ck_assert_uint_le(pages, limits[l].pages);
                }
                ck_assert_int_eq(memcmp(seen, want, sizeof(want)), 0);
        }

        uint64_t next = 1;

        ck_assert_int_eq(procfs_present(&p, addr(mem), addr(mem) + PAGE, runs, 0, 1, &next), 0);
        ck_assert_uint_eq(next, addr(mem));
        ck_assert_int_eq(procfs_present(&p, addr(mem), addr(mem) + PAGE, runs, 1, 0, &next), 0);
        ck_assert_uint_eq(next, addr(mem));
        ck_assert_int_eq(procfs_present(&p, addr(mem) + 1, addr(mem) + PAGE, runs, 1, 1, &next), -EINVAL);
        procfs_close(&p);
}
END_TEST

/* A terabyte of nothing but its last page, and a whole huge page cut by a limit. */
START_TEST(test_present_huge)
{
        const size_t tera = (size_t)1 << 40, huge = 2u << 20;
        struct procfs p = open_self();
        struct procfs_run runs[4];
        uint64_t next;
        char *mem = mmap(NULL, tera, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *thp;

        ck_assert_ptr_ne(mem, MAP_FAILED);
        mem[tera - 1] = 1;
        ck_assert_int_eq(procfs_present(&p, addr(mem), addr(mem) + tera, runs, 4, UINT64_MAX, &next), 1);
        ck_assert_uint_eq(runs[0].end, addr(mem) + tera);
        ck_assert_uint_eq(next, addr(mem) + tera);

        thp = (char *)((addr(mem) + huge - 1) & ~(uint64_t)(huge - 1));
        madvise(thp, huge, MADV_HUGEPAGE); /* where there are none, the test holds for small ones */
        memset(thp, 1, huge);
        ck_assert_int_eq(procfs_present(&p, addr(thp), addr(thp) + huge, runs, 4, 100, &next), 1);
        ck_assert_uint_eq(runs[0].start, addr(thp));
        ck_assert_uint_eq(runs[0].end, addr(thp) + 100 * PAGE);
        ck_assert_uint_eq(next, addr(thp) + 100 * PAGE);
        ck_assert_int_eq(procfs_present(&p, next, addr(thp) + huge, runs, 4, UINT64_MAX, &next), 1);
        ck_assert_uint_eq(runs[0].end, addr(thp) + huge);
        procfs_close(&p);
}
END_TEST

/* Names with what could confuse a parser of /proc/PID/stat. */
START_TEST(test_comm)
{
        struct procfs p = open_self();
        char comm[16];
        pid_t parent;

        ck_assert_int_eq(prctl(PR_SET_NAME, "a) S 1 (b c"), 0);
        ck_assert_int_eq(procfs_comm(&p, comm), 0);
        ck_assert_str_eq(comm, "a) S 1 (b c");
        ck_assert_int_eq(procfs_parent(getpid(), &parent), 0);
        ck_assert_int_eq(parent, getppid());
        ck_assert_int_eq(prctl(PR_SET_NAME, "fifteen-letters"), 0);
        ck_assert_int_eq(procfs_comm(&p, comm), 0);
        ck_assert_str_eq(comm, "fifteen-letters");
        procfs_close(&p);
}
END_TEST

static void *wait_for(void *lock)
{
        pthread_mutex_lock(lock);
        pthread_mutex_unlock(lock);
        return NULL;
}

START_TEST(test_threads)
{
        struct procfs p = open_self();
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        pthread_t thread;
        int n = procfs_threads(&p);

        ck_assert_int_ge(n, 1);
        pthread_mutex_lock(&lock);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_for, &lock), 0);
        ck_assert_int_eq(procfs_threads(&p), n + 1);
        pthread_mutex_unlock(&lock);
        pthread_join(thread, NULL);
        procfs_close(&p);
}
END_TEST

START_TEST(test_mapping_end)
{
        struct procfs p = open_self();
        char *mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct procfs_mapping m;
        uint64_t end = 0;
        int r;

        ck_assert_int_eq(mprotect(mem + PAGE, PAGE, PROT_NONE), 0);
        ck_assert_int_eq(procfs_mapping_end(&p, (uintptr_t)mem + PAGE, &end), 0);
        ck_assert_uint_eq(end, (uintptr_t)mem + 2 * PAGE);
        r = procfs_mapping_at(&p, (uintptr_t)mem + PAGE, &m);
        ck_assert(r == -ENOTTY ||
                  (r == 0 && m.start == (uintptr_t)mem + PAGE && m.end == end && !m.readable && !m.writable));
        ck_assert_int_eq(munmap(mem + PAGE, PAGE), 0);
        ck_assert_int_eq(procfs_mapping_end(&p, (uintptr_t)mem + PAGE, &end), -ENOENT);
        ck_assert_int_eq(procfs_mapping_at(&p, (uintptr_t)mem + PAGE, &m), r ? r : -ENOENT);
        munmap(mem, 3 * PAGE);
        procfs_close(&p);
}
END_TEST

/* What has ended, or is about to, is not said to have one thread because its others were quicker. */
START_TEST(test_threads_of_ended)
{
        struct procfs p = PROCFS_NONE;
        pid_t pid = fork();
        int pidfd;

        if (pid == 0)
                for (;;)
                        pause();
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        ck_assert_int_eq(procfs_open(&p, pid, pidfd), 0);
        ck_assert_int_eq(procfs_threads(&p), 1);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(procfs_threads(&p), -ESRCH);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(procfs_threads(&p), -ESRCH);
        procfs_close(&p);
        close(pidfd);
}
END_TEST

/* PR_SET_VMA_ANON_NAME needs CONFIG_ANON_VMA_NAME. */
static bool names_supported(void)
{
        void *mem = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* check's asserts need a test */
        int r = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mem, PAGE, "x");

        munmap(mem, PAGE);
        return r == 0;
}

int main(void)
{
        Suite *suite = suite_create("procfs");
        TCase *tc = tcase_create("procfs");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_open);
        tcase_add_test(tc, test_inherited);
        tcase_add_test(tc, test_reused_pid);
        tcase_add_test(tc, test_gone);
        tcase_add_test(tc, test_headless);
        tcase_add_test(tc, test_memory);
        tcase_add_test(tc, test_threads);
        tcase_add_test(tc, test_threads_of_ended);
        tcase_add_test(tc, test_mapping_end);
        tcase_add_test(tc, test_mapping_kinds);
        tcase_add_test(tc, test_mapping_walk);
        tcase_add_test(tc, test_mapping_text);
        tcase_add_test(tc, test_mapping_long);
        tcase_add_test(tc, test_mapping_many);
        if (names_supported())
                tcase_add_test(tc, test_mapping_named);
        else
                printf("skipped: test_mapping_named: no names for anonymous memory in this kernel\n");
        tcase_add_test(tc, test_present);
        tcase_add_test(tc, test_present_of_child);
        tcase_add_test(tc, test_present_limits);
        tcase_add_test(tc, test_present_huge);
        tcase_add_test(tc, test_comm);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
