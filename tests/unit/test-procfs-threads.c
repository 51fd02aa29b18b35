// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel needs at the end of a thread: that of this process's threads, whose addresses they say themselves. */
#include "sys/procfs.h"

#include <check.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit-run.h"

#define THREADS 200u /* more than are listed in one call */

struct thread {
        pthread_t id;
        int *word; /* of set_tid_address() */
        struct robust_list_head *head;
        bool seen;
};

static struct thread thread[THREADS];
static pthread_barrier_t begun, end;

static void *say(void *arg)
{
        struct thread *t = arg;
        size_t len;

        prctl(PR_GET_TID_ADDRESS, &t->word);
        syscall(SYS_get_robust_list, 0, &t->head, &len);
        pthread_barrier_wait(&begun);
        pthread_barrier_wait(&end);
        return NULL;
}

static int note(uint64_t from, uint64_t to, void *arg)
{
        unsigned *n = arg;

        ++*n;
        for (unsigned i = 0; i < THREADS; i++)
                if ((uintptr_t)thread[i].head >= from && (uintptr_t)(thread[i].head + 1) <= to)
                        thread[i].seen = (uintptr_t)thread[i].word >= from && (uintptr_t)(thread[i].word + 1) <= to;
        return 0;
}

static int stop(uint64_t from, uint64_t to, void *arg)
{
        (void)from, (void)to;
        ++*(unsigned *)arg;
        return 5;
}

static struct procfs open_pid(pid_t pid)
{
        struct procfs p = PROCFS_NONE;
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        ck_assert_int_eq(procfs_open(&p, pid, pidfd), 0);
        close(pidfd);
        return p;
}

START_TEST(test_thread_ends)
{
        struct procfs p = open_pid(getpid());
        unsigned n = 0;

        pthread_barrier_init(&begun, NULL, THREADS + 1);
        pthread_barrier_init(&end, NULL, THREADS + 1);
        for (unsigned i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&thread[i].id, NULL, say, &thread[i]), 0);
        pthread_barrier_wait(&begun);
        ck_assert_int_eq(procfs_thread_ends(&p, note, &n), 0);
        ck_assert_uint_eq(n, THREADS + 1);
        for (unsigned i = 0; i < THREADS; i++)
                ck_assert_msg(thread[i].seen, "thread %u of %u", i, THREADS);
        n = 0;
        ck_assert_int_eq(procfs_thread_ends(&p, stop, &n), 5);
        ck_assert_uint_eq(n, 1);
        pthread_barrier_wait(&end);
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(thread[i].id, NULL);
        procfs_close(&p);
}
END_TEST

START_TEST(test_of_nobody)
{
        struct procfs p;
        unsigned n = 0;
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        p = open_pid(pid);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ck_assert_int_eq(procfs_thread_ends(&p, note, &n), -ESRCH);
        ck_assert_uint_eq(n, 0);
        procfs_close(&p);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("procfs-threads");
        int *word;

        if (prctl(PR_GET_TID_ADDRESS, &word) < 0) {
                puts("this kernel has no PR_GET_TID_ADDRESS");
                return 77;
        }
        tcase_add_test(tc, test_thread_ends);
        tcase_add_test(tc, test_of_nobody);
        return unit_run("procfs-threads", tc);
}
