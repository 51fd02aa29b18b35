// SPDX-License-Identifier: GPL-2.0-or-later
/* See task.h. One thread has them all, so the one that resumes is always the same. */
#include "task.h"

#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define STACK_BYTES (128u << 10)

static jmp_buf resumer;
static struct task *starting;

static void begin(void)
{
        starting->run(starting);
        abort();
}

void task_start(struct task *t, unsigned number, void (*run)(struct task *t))
{
        void *stack = t->stack ? t->stack : malloc(STACK_BYTES);

        if (!stack)
                abort();
#ifdef __SANITIZE_ADDRESS__
        ASAN_UNPOISON_MEMORY_REGION(stack, STACK_BYTES);
#endif
        *t = (struct task){ .stack = stack, .run = run, .number = number };
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = stack;
        t->context.uc_stack.ss_size = STACK_BYTES;
        makecontext(&t->context, begin, 0);
}

void task_resume(struct task *t)
{
        starting = t;
        t->resumed++;
        if (_setjmp(resumer))
                return;
        if (t->started)
                _longjmp(t->place, 1);
        t->started = true;
        setcontext(&t->context);
}

void task_pause(struct task *t)
{
        if (!_setjmp(t->place))
                _longjmp(resumer, 1);
}

void task_wait(struct task *t, const char *what)
{
        t->waits = what;
        while (t->waits)
                task_pause(t);
}
