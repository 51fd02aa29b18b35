/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks: the client's threads and its agent. Each has a stack of its own and runs, when it is told to, up to the next
 * place at which another could come in between.
 */
#ifndef TESTS_SIM_TASK_H
#define TESTS_SIM_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <setjmp.h>
#include <ucontext.h>

struct task {
        ucontext_t context; /* of its beginning */
        jmp_buf place;      /* where it goes on; unlike swapcontext() that takes no system call */
        bool started;
        void *stack;
        void (*run)(struct task *t); /* never returns */
        unsigned number;             /* of the thread; the agent has the last one */
        bool idle;                   /* between two of its calls */
        bool jumped;                 /* a signal handler has left what it was doing, by longjmp() */
        const char *waits;           /* for what; NULL: it can go on */
        uint64_t resumed;            /* how often */
};

/* Makes a task that begins with run(t); one that was under way is given up. */
void task_start(struct task *t, unsigned number, void (*run)(struct task *t));

/* Lets a task go on, up to its next task_pause() or task_wait(). */
void task_resume(struct task *t);

/* By a task itself: others may go on; or nothing goes on with it before task_wake(). */
void task_pause(struct task *t);
void task_wait(struct task *t, const char *what);

static inline void task_wake(struct task *t)
{
        t->waits = 0;
}

#endif
