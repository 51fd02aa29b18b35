/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operations of torture-verify in which the kernel reads and writes pages, and those on stacks. */
#ifndef TESTS_TORTURE_IO_H
#define TESTS_TORTURE_IO_H

#include "torture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define COPY_PAGES         16ul
#define SIGNAL_STACK_PAGES 64ul
#define FRAME_WORDS        384u

static int torture_file = -1; /* COPY_PAGES for each actor */

/* --- copies ---------------------------------------------------------------------------------------------------- */

struct copy {
        struct region *from, *to;
        uint64_t from_first, to_first, n;
};

/* A run that can be read and says for certain what it is, and another that can be written. */
static inline bool pick_copy(struct actor *a, struct region *r, const char *what, struct copy *c)
{
        c->from = r;
        c->to = &a->region[below(a, REGIONS)];
        if (!c->to->base)
                return false;
        c->n = random_run(a, c->from, COPY_PAGES, &c->from_first);
        c->to_first = below(a, c->to->pages);
        if (c->n > c->to->pages - c->to_first)
                c->n = c->to->pages - c->to_first;
        if (c->to == c->from && c->from_first < c->to_first + c->n && c->to_first < c->from_first + c->n)
                return false;
        if (any_mark(c->to, c->to_first, c->n, READ_ONLY | NO_ACCESS) || any_mark(r, c->from_first, c->n, NO_ACCESS))
                return false;
        for (uint64_t page = c->from_first; page < c->from_first + c->n; page++)
                if (r->marks[page] & MAYBE)
                        write_page(a, r, page);
        if (any_mark(r, c->from_first, c->n, MAYBE))
                return false;
        remember(a, c->to, what, c->to_first, c->n, (uint64_t)page_at(r, c->from_first));
        if (c->to != r)
                remember(a, r, what, c->from_first, c->n, 0);
        return true;
}

static inline void end_copy(struct actor *a, const struct copy *c)
{
        for (uint64_t i = 0; i < c->n; i++)
                c->to->stamp[c->to_first + i] = c->from->stamp[c->from_first + i];
        change_marks(c->to, c->to_first, c->n, 0, MAYBE);
        check_run(a, c->to, c->to_first, c->n, 1);
}

static inline void op_pipe(struct actor *a, struct region *r)
{
        struct copy c;
        int fd[2];
        ssize_t length;

        if (!pick_copy(a, r, "copy through a pipe", &c))
                return;
        if (pipe2(fd, O_CLOEXEC) < 0)
                tell_error(a, r, "pipe2");
        length = write(fd[1], page_at(c.from, c.from_first), c.n * PAGE);
        if (length != (ssize_t)(c.n * PAGE))
                tell_error(a, c.from, "write(2) to a pipe");
        for (uint64_t done = 0; done < c.n * PAGE; done += (uint64_t)length) {
                length = read(fd[0], (uint8_t *)page_at(c.to, c.to_first) + done, c.n * PAGE - done);
                if (length <= 0)
                        tell_error(a, c.to, "read(2) from a pipe");
        }
        close(fd[0]);
        close(fd[1]);
        end_copy(a, &c);
}

static inline void op_direct(struct actor *a, struct region *r)
{
        off_t at = (off_t)(a->number * COPY_PAGES * PAGE);
        struct copy c;

        if (!pick_copy(a, r, "copy through a file, O_DIRECT", &c))
                return;
        if (pwrite(torture_file, page_at(c.from, c.from_first), c.n * PAGE, at) != (ssize_t)(c.n * PAGE))
                tell_error(a, c.from, "write to a file, O_DIRECT");
        if (pread(torture_file, page_at(c.to, c.to_first), c.n * PAGE, at) != (ssize_t)(c.n * PAGE))
                tell_error(a, c.to, "read from a file, O_DIRECT");
        end_copy(a, &c);
}

static inline void op_vm_readv(struct actor *a, struct region *r)
{
        struct iovec to, from;
        struct copy c;

        if (!pick_copy(a, r, "copy by process_vm_readv", &c))
                return;
        to = (struct iovec){ page_at(c.to, c.to_first), c.n * PAGE };
        from = (struct iovec){ page_at(c.from, c.from_first), c.n * PAGE };
        if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)(c.n * PAGE))
                tell_error(a, c.from, "process_vm_readv");
        end_copy(a, &c);
}

/* --- stacks ---------------------------------------------------------------------------------------------------- */

_Noreturn static inline void tell_stack(struct actor *a, const volatile uint64_t *word, uint64_t want)
{
        uint64_t is = *word;
        size_t length;

        begin_text(&length);
        add_text(&length, "WRONG word of a stack at %p: %lx and not %lx\n  ", (const void *)(uintptr_t)word, is, want);
        add_who(&length, a, NULL);
        end_text();
}

/* Fills a frame, goes deeper, and finds the frame as it was. */
__attribute__((noinline)) static void recurse(struct actor *a, uint64_t salt, unsigned depth)
{
        volatile uint64_t frame[FRAME_WORDS];

        for (unsigned i = 0; i < FRAME_WORDS; i++)
                frame[i] = word_of(salt, i);
        if (depth)
                recurse(a, salt + 0x1000001, depth - 1);
        for (unsigned i = 0; i < FRAME_WORDS; i++)
                if (frame[i] != word_of(salt, i))
                        tell_stack(a, &frame[i], word_of(salt, i));
}

static inline void *deep_thread(void *arg)
{
        self = arg;
        recurse(self, self->random | 1, 250);
        return NULL;
}

static inline void op_thread(struct actor *a, struct region *r)
{
        pthread_attr_t attributes;
        pthread_t id;
        int error;

        if (a->raw)
                return;
        remember(a, r, "a thread with a deep stack", 0, 0, 0);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 2 << 20);
        error = pthread_create(&id, &attributes, deep_thread, a);
        pthread_attr_destroy(&attributes);
        if (error) {
                errno = error;
                tell_error(a, r, "pthread_create");
        }
        pthread_join(id, NULL);
}

/* On the alternate stack. */
static void on_signal(int number)
{
        struct actor *a = self;

        (void)number;
        recurse(a, a->writes | 1, 40);
        for (unsigned i = 0; i < REGIONS; i++)
                if (a->region[i].base)
                        check_page(a, &a->region[i], a->writes % a->region[i].pages);
}

static inline void op_signal(struct actor *a, struct region *r)
{
        stack_t stack = { .ss_sp = a->signal_stack, .ss_size = SIGNAL_STACK_PAGES * PAGE };
        stack_t none = { .ss_flags = SS_DISABLE };

        remember(a, r, "a signal on an alternate stack", 0, 0, (uint64_t)a->signal_stack);
        if (madvise(a->signal_stack, SIGNAL_STACK_PAGES * PAGE, below(a, 2) ? MADV_DONTNEED : MADV_COLD) < 0 ||
            sigaltstack(&stack, NULL) < 0)
                tell_error(a, r, "sigaltstack");
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
        if (sigaltstack(&none, NULL) < 0)
                tell_error(a, r, "sigaltstack, to disable");
}

/*
 * SIGSEGV and SIGBUS are told like what is wrong. But what a child has where its parent's threads changed memory at
 * that moment cannot always be told, and then it is SIGBUS, and said in the log: the child ends, and is counted.
 */
static void on_fault(int number, siginfo_t *info, void *context)
{
        const struct region *r = NULL;
        uint64_t page = UINT64_MAX;
        size_t length;

        (void)context;
        if (number == SIGBUS && self && self->pid) {
                atomic_fetch_add(&board->bereft, 1);
                _exit(0);
        }
        for (unsigned i = 0; self && i <= REGIONS; i++) {
                const struct region *is = &self->region[i];

                if (is->base && (uint8_t *)info->si_addr >= is->base &&
                    (uint8_t *)info->si_addr < is->base + is->pages * PAGE) {
                        r = is;
                        page = (uint64_t)((uint8_t *)info->si_addr - is->base) / PAGE;
                }
        }
        begin_text(&length);
        add_text(&length, "SIGNAL %d, code %d, at %p, page %ld, pagemap %lx\n  ", number, info->si_code, info->si_addr,
                 (long)page, pagemap_entry(info->si_addr));
        if (self)
                add_who(&length, self, r);
        if (r) {
                add_stamp(&length, "expected", r->stamp[page]);
                add_past(&length, r, page);
                if (!self->raw)
                        add_mappings(&length, (uintptr_t)info->si_addr, (uintptr_t)info->si_addr + 1);
        }
        end_text();
}

#endif
