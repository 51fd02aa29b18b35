/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that lives longer than the process whose it was: "outlive HOW" fills four times the limit, makes a child that
 * has the same memory, and ends. The child waits for a byte on stdin, compares all, and writes what it found to stdout.
 *
 *     clone  clone(2) with CLONE_VM; the parent calls exit
 *     exec   the same; the parent executes "sleep 1000", and is killed before the byte comes
 *     vfork  vfork(2); the parent is killed
 */
#include "paged.h"

#include <signal.h>
#include <sys/syscall.h>

#define BYTES (64 * MIB)

static uint8_t *memory;
static char stack[16 * PAGE] __attribute__((aligned(16)));

static int child(void *arg)
{
        size_t wrong = 0;
        char line[64], go;
        int n;

        (void)arg;
        if (read(STDIN_FILENO, &go, 1) != 1)
                _exit(1);
        for (size_t i = 0; i < BYTES / PAGE; i++)
                wrong += !pattern_matches(memory + i * PAGE, 1, i);
        n = snprintf(line, sizeof(line), "wrong pages: %zu\n", wrong);
        _exit(write(STDOUT_FILENO, line, (size_t)n) != n || wrong);
}

/* Until nothing is being evicted: what the agent has in its hands when it is killed is lost, which is SIGBUS. */
static void wait_for_quiet(void)
{
        const struct timespec pause = { .tv_nsec = 50000000 };
        long before = -1, now = n_present(memory, BYTES);

        for (int same = 0; same < 4; same = now == before ? same + 1 : 0) {
                nanosleep(&pause, NULL);
                before = now;
                now = n_present(memory, BYTES);
        }
}

int main(int argc, char **argv)
{
        const char *how = argc > 1 ? argv[1] : "";
        pid_t parent = getpid();

        memory = map(BYTES);
        fill(memory, BYTES, 1, 0);
        wait_for_quiet();
        if (strcmp(how, "vfork") == 0 && vfork() == 0) { /* NOLINT: the parent does not come back */
                kill(parent, SIGKILL);
                child(NULL);
        }
        if (clone(child, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
                return 2;
        if (strcmp(how, "exec") == 0)
                execlp("sleep", "sleep", "1000", NULL);
        _exit(0);
}
