// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that end, or change into another, in every way there is, while their threads fault: see rough.h. The cases
 * that end by themselves say DONE before.
 */
#include "rough.h"

#include <signal.h>
#include <sys/resource.h>

static const char *self, *path, *size, *exec_case;

/* The situation has been: nobody watches any more. */
static void say_done(void)
{
        atomic_store(&control->phase, DONE);
}

static void no_core(void)
{
        struct rlimit none = { 0, 0 };

        rough_must(setrlimit(RLIMIT_CORE, &none) == 0);
}

static void by_exit(void)
{
        say_done();
        exit(41);
}

static void by__exit(void)
{
        say_done();
        _exit(42);
}

static void by_exit_group(void)
{
        say_done();
        syscall(SYS_exit_group, 43);
}

static void by_abort(void)
{
        no_core();
        say_done();
        abort();
}

static void by_dump(void)
{
        say_done();
        abort();
}

static void by_segv(void)
{
        no_core();
        say_done();
        raise(SIGSEGV);
}

static void by_kill(void)
{
        say_done();
        kill(getpid(), SIGKILL);
}

static void *exec_in_thread(void *arg)
{
        execl(self, self, exec_case, path, size, (char *)NULL);
        rough_wrong("exec: error %d", errno);
        return arg;
}

/* The others fault while it happens. What comes after is another program, in the same process. */
static void by_exec(void)
{
        pthread_t thread;

        exec_case = "walk";
        atomic_store(&control->said[0], atomic_load(&control->said[0]) + 1);
        rough_must((errno = pthread_create(&thread, NULL, exec_in_thread, NULL)) == 0);
        for (;;)
                pause();
}

static void walk(void)
{
}

/* What of the process is resident and anonymous, in KiB, as this thread sees it. */
static uint32_t anonymous_kib(void)
{
        unsigned long all, resident, shared;
        FILE *f = fopen("/proc/thread-self/statm", "re");

        rough_must(f && fscanf(f, "%lu %lu %lu", &all, &resident, &shared) == 3);
        fclose(f);
        return (uint32_t)((resident - shared) * PAGE / 1024);
}

/* Thread 1 goes on alone: it is the process now. */
static void *go_on(void *arg)
{
        struct part *all = arg;

        pthread_join(part[0].thread, NULL); /* the first thread has ended */
        atomic_store(&control->phase, IN_IT);
        do
                rough_pass(all);
        while (!atomic_load(&control->go));
        for (int i = 0; i < 3; i++) { /* new mappings, and growth, after the first thread */
                size_t bytes = n_pages * PAGE / 2;
                uint32_t kib;
                uint64_t *more = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                rough_must(more != MAP_FAILED);
                for (uint64_t w = 0; w < bytes / 8; w++)
                        more[w] = w * UINT64_C(0x9e3779b97f4a7c15);
                kib = anonymous_kib();
                for (uint64_t w = 0; w < bytes / 8; w++)
                        rough_must(more[w] == w * UINT64_C(0x9e3779b97f4a7c15));
                rough_pass(all);
                munmap(more, bytes);
                if (control->said[1] < kib)
                        control->said[1] = kib;
        }
        for (uint64_t p = 0; p < n_pages; p++)
                rough_check_page(p);
        say_done();
        return NULL;
}

static struct part everything;

static void *go_on_and_exit(void *arg)
{
        go_on(arg);
        syscall(SYS_exit_group, 0);
        return NULL;
}

static void without_first(void)
{
        pthread_t thread;

        everything = part[0];
        part[0].thread = pthread_self();
        rough_must((errno = pthread_create(&thread, NULL, go_on_and_exit, &everything)) == 0);
        pthread_exit(NULL);
}

/* The process has to end with its last thread, although the agent is one. */
static void to_the_last_thread(void)
{
        pthread_t thread;

        everything = part[0];
        part[0].thread = pthread_self();
        rough_must((errno = pthread_create(&thread, NULL, go_on, &everything)) == 0);
        pthread_exit(NULL);
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "exit", 3, by_exit },
                { "_exit", 3, by__exit },
                { "exit_group", 3, by_exit_group },
                { "abort", 3, by_abort },
                { "dump", 3, by_dump },
                { "segv", 3, by_segv },
                { "kill", 3, by_kill },
                { "exec", 4, by_exec },
                { "walk", 1, walk },
                { "without-first", 1, without_first },
                { "to-the-last-thread", 1, to_the_last_thread },
        };

        self = "/proc/self/exe";
        if (argc == 4) {
                path = argv[2];
                size = argv[3];
        }
        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
