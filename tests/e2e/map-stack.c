/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks whose pages go out of the program while somebody is to return to them (see paged.h). */
#include <semaphore.h>
#include <ucontext.h>

#include "paged.h"

#define THREADS 4u
#define DEPTH   256u

/* Where the frames are, and what a thread waits for: in memory that is never paged. */
struct climber {
        pthread_t thread;
        uint64_t number;
        uint8_t *top, *bottom;
        sem_t arrived, go;
        bool wrong;
};

static void __attribute__((noinline)) descend(struct climber *c, unsigned depth)
{
        _Alignas(PAGE) uint8_t frame[PAGE];

        fill(frame, PAGE, c->number, depth);
        if (depth == 0)
                c->top = frame;
        if (depth == DEPTH) {
                c->bottom = frame;
                sem_post(&c->arrived);
                while (sem_wait(&c->go) < 0)
                        ;
        } else {
                descend(c, depth + 1);
        }
        if (!pattern_matches(frame, c->number, depth))
                c->wrong = true;
}

static void *climb(void *arg)
{
        descend(arg, 0);
        return NULL;
}

static struct climber *new_climber(uint64_t number)
{
        struct climber *c = map_shared(sizeof(*c));

        c->number = number;
        sem_init(&c->arrived, 1, 0);
        sem_init(&c->go, 1, 0);
        return c;
}

static void thread_stacks(void)
{
        struct climber *climber[THREADS];

        for (unsigned i = 0; i < THREADS; i++) {
                climber[i] = new_climber(i + 1);
                pthread_create(&climber[i]->thread, NULL, climb, climber[i]);
                sem_wait(&climber[i]->arrived);
        }
        for (unsigned i = 0; i < THREADS; i++)
                evict_out(climber[i]->bottom, (size_t)(climber[i]->top - climber[i]->bottom));
        for (unsigned i = 0; i < THREADS; i++) {
                sem_post(&climber[i]->go);
                pthread_join(climber[i]->thread, NULL);
                check(!climber[i]->wrong, "thread %u found other bytes in a frame", i);
        }
}

/* Its pages are not taken; others are, meanwhile. */
static void main_stack_frames(struct climber *c, unsigned depth)
{
        _Alignas(PAGE) uint8_t frame[PAGE];

        fill(frame, PAGE, 9, depth);
        if (depth == DEPTH)
                for (int i = 0; i < 60; i++)
                        pressure_step(&pressure);
        else
                main_stack_frames(c, depth + 1);
        if (!pattern_matches(frame, 9, depth))
                c->wrong = true;
}

static void main_stack(void)
{
        struct climber *c = new_climber(9);

        main_stack_frames(c, 0);
        check(!c->wrong, "a frame has other bytes");
}

/* A mapping that grows downwards when what is below it is touched. */
static void growing(void)
{
        size_t room = 16 * MIB, grown = 4 * MIB;
        uint8_t *outer = map(room), *end = outer + room, *low;

        check_call(munmap(outer, room));
        low = map_at(end - PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_GROWSDOWN | MAP_FIXED_NOREPLACE);
        for (size_t i = 1; i <= grown / PAGE; i++) {
                low = end - i * PAGE;
                fill(low, PAGE, 1, i);
        }
        evict_out(low, grown);
        for (size_t i = grown / PAGE + 1; i <= 2 * grown / PAGE; i++) {
                low = end - i * PAGE;
                fill(low, PAGE, 1, i);
        }
        evict_out(low, 2 * grown);
        for (size_t i = 1; i <= 2 * grown / PAGE; i++)
                check_filled("grown", end - i * PAGE, PAGE, 1, i);
        check(n_mappings(low, 2 * grown) == 1, "%d mappings where there was one", n_mappings(low, 2 * grown));
        check_call(munmap(low, 2 * grown));
}

/* --- coroutines: contexts that are switched by the program ----------------------------------- */

#define ROUTINES   8u
#define STACK_SIZE (256 * 1024ul)

struct routine {
        ucontext_t context, back;
        struct climber *climber;
        uint8_t *stack;
};

static struct routine *current;

static void __attribute__((noinline)) routine_frames(struct routine *r, unsigned depth)
{
        _Alignas(PAGE) uint8_t frame[PAGE];

        fill(frame, PAGE, r->climber->number, depth);
        if (depth == 16)
                swapcontext(&r->context, &r->back);
        else
                routine_frames(r, depth + 1);
        if (!pattern_matches(frame, r->climber->number, depth))
                r->climber->wrong = true;
}

static void routine_main(void)
{
        struct routine *r = current;

        routine_frames(r, 0);
        swapcontext(&r->context, &r->back);
}

/* The contexts themselves, with the registers in them, are paged too. */
static void coroutines(void)
{
        struct routine *r = (struct routine *)map(MIB);

        for (unsigned i = 0; i < ROUTINES; i++) {
                r[i].climber = new_climber(20 + i);
                r[i].stack = map(STACK_SIZE);
                getcontext(&r[i].context);
                r[i].context.uc_stack.ss_sp = r[i].stack;
                r[i].context.uc_stack.ss_size = STACK_SIZE;
                makecontext(&r[i].context, routine_main, 0);
                current = &r[i];
                swapcontext(&r[i].back, &r[i].context);
        }
        evict_out(r, ROUTINES * sizeof(*r));
        for (unsigned i = 0; i < ROUTINES; i++)
                evict_out(r[i].stack, STACK_SIZE);
        for (unsigned i = 0; i < ROUTINES; i++) {
                swapcontext(&r[i].back, &r[i].context);
                check(!r[i].climber->wrong, "coroutine %u found other bytes in a frame", i);
                munmap(r[i].stack, STACK_SIZE);
        }
        munmap(r, MIB);
}

static const struct paged_case cases[] = {
        { "stacks of threads", thread_stacks },
        { "the main thread's stack", main_stack },
        { "a growing stack", growing },
        { "stacks of coroutines", coroutines },
};

int main(int argc, char **argv)
{
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
