// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that get signals by the thousand while their memory comes and goes: a timer, and each other; handlers that
 * touch memory that is out, on stacks that are out. See rough.h.
 */
#include "rough.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#define STACK_BYTES  (64ul << 10)
#define SIGNALS      3000u
#define HANDLED      control->said[0]
#define INTERRUPTED  control->said[1]

/* A part of the memory that the handlers compare, each call another page. */
static struct part handled;
static _Atomic uint64_t next_page;

static void handler(int signal)
{
        uint64_t page = handled.first + atomic_fetch_add(&next_page, 797) % (handled.end - handled.first);
        int error = errno;

        (void)signal;
        rough_check_page(page);
        atomic_fetch_add(&HANDLED, 1);
        errno = error;
}

/* An alternate stack, in memory that is paged like all other. */
static void have_stack(void)
{
        stack_t stack = { .ss_size = STACK_BYTES };

        stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        rough_must(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
}

static void handle(int signal, int flags)
{
        struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | flags };

        rough_must(sigaction(signal, &action, NULL) == 0);
}

/* The last quarter is the handlers' alone, for comparing. */
static void share(void)
{
        handled = (struct part){ 0, n_pages * 3 / 4, n_pages };
        part[n_parts - 1].end = handled.first;
}

/*
 * System calls that fault in the kernel, on pages of the memory, while the signals come. A call that was interrupted is
 * an error with SA_RESTART, and tried again without.
 */
static void copy_pages(int file, bool restarts)
{
        for (uint64_t p = part[0].first; p < part[0].end; p += 7) {
                ssize_t n;

                while ((n = pwrite(file, memory + p * WORDS, PAGE, 0)) < 0 && errno == EINTR)
                        rough_must(!restarts);
                rough_must(n == (ssize_t)PAGE);
                memset(memory + p * WORDS, 0, PAGE);
                while ((n = pread(file, memory + p * WORDS, PAGE, 0)) < 0 && errno == EINTR)
                        rough_must(!restarts);
                rough_must(n == (ssize_t)PAGE);
                rough_check_page(p);
        }
}

static void sleep_ms(unsigned ms, bool restarts)
{
        struct timespec left = { .tv_nsec = ms * 1000000l };

        (void)restarts; /* nanosleep(2) never restarts by itself after a handler */
        while (nanosleep(&left, &left) < 0) {
                rough_must(errno == EINTR);
                atomic_fetch_add(&INTERRUPTED, 1);
        }
}

static void storm(int flags)
{
        struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
        int file = memfd_create("pages", MFD_CLOEXEC);

        rough_must(file >= 0);
        share();
        have_stack();
        handle(SIGALRM, flags);
        rough_must(setitimer(ITIMER_REAL, &often, NULL) == 0);
        do {
                copy_pages(file, flags & SA_RESTART);
                rough_pass(&part[0]);
                sleep_ms(20, flags & SA_RESTART);
        } while (atomic_load(&HANDLED) < SIGNALS);
        rough_must(setitimer(ITIMER_REAL, &never, NULL) == 0);
        rough_must(atomic_load(&INTERRUPTED) > 0);
        close(file);
}

static void alarm_restarts(void)
{
        storm(SA_RESTART);
}

static void alarm_interrupts(void)
{
        storm(0);
}

/* Threads are sent signals while they fault, by one that does nothing else; one handler may interrupt the other. */
static void *struck(void *arg)
{
        have_stack();
        while (!atomic_load(&part_stop))
                rough_pass(arg);
        return NULL;
}

static void threads(void)
{
        struct part mine[2];
        struct part *first = &part[0];

        share();
        handle(SIGUSR1, 0);
        handle(SIGUSR2, SA_RESTART);
        mine[0] = (struct part){ 0, first->first, handled.first / 2 };
        mine[1] = (struct part){ 0, handled.first / 2, handled.first };
        for (int i = 0; i < 2; i++)
                rough_must((errno = pthread_create(&mine[i].thread, NULL, struck, &mine[i])) == 0);
        for (unsigned n = 0; atomic_load(&HANDLED) < SIGNALS; n++) {
                rough_must((errno = pthread_kill(mine[n % 2].thread, n % 3 ? SIGUSR1 : SIGUSR2)) == 0);
                if (n % 8 == 0)
                        nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
        }
        atomic_store(&part_stop, true);
        for (int i = 0; i < 2; i++)
                rough_must((errno = pthread_join(mine[i].thread, NULL)) == 0);
        atomic_store(&part_stop, false);
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "alarm-restarts", 1, alarm_restarts },
                { "alarm-interrupts", 1, alarm_interrupts },
                { "threads", 1, threads },
        };

        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
