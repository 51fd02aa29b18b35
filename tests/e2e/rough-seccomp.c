// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that shut themselves in after their start, with a filter of system calls: the calling thread alone, or all
 * threads (SECCOMP_FILTER_FLAG_TSYNC), which the agent is one of. What is not allowed fails with EPERM, or ends the
 * thread, or the process. See rough.h.
 */
#include "rough.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#define SECCOMP_RET_KILL_THREAD  0x00000000U
#endif

#define MAX_ALLOWED 32

/* What a worker that computes needs. */
static const int computing[] = { SYS_read,  SYS_write,  SYS_rt_sigreturn, SYS_exit,     SYS_exit_group,
                                 SYS_futex, SYS_munmap, SYS_madvise,      SYS_mprotect, SYS_rt_sigprocmask,
                                 -1 };

/* The same and what the agent needs. */
static const int paging[] = { SYS_read,   SYS_write,   SYS_rt_sigreturn, SYS_exit,          SYS_exit_group,
                              SYS_futex,  SYS_munmap,  SYS_madvise,      SYS_mprotect,      SYS_rt_sigprocmask,
                              SYS_ioctl,  SYS_mincore, SYS_munlock,      SYS_ppoll,         SYS_capget,
                              SYS_capset, SYS_getpid,  SYS_prctl,        SYS_clock_gettime, -1 };

/* As strict as can be: what SECCOMP_MODE_STRICT allows, and the end of the process. */
static const int strict[] = { SYS_read, SYS_write, SYS_rt_sigreturn, SYS_exit, SYS_exit_group, -1 };

/* Strict, but for what the agent sleeps with. */
static const int strict_futex[] = { SYS_read, SYS_write, SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_futex, -1 };

static const int nothing[] = { SYS_exit_group, -1 };

static void shut_in(const int *allowed, uint32_t otherwise, unsigned flags)
{
        struct sock_filter code[2 * MAX_ALLOWED + 2];
        unsigned short n = 0;
        struct sock_fprog program;

        code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (; *allowed >= 0; allowed++) {
                code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)*allowed, 0, 1);
                code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        }
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
        program = (struct sock_fprog){ n, code };
        rough_must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        rough_must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
}

static void alone_errno(void)
{
        shut_in(nothing, SECCOMP_RET_ERRNO | EPERM, 0);
}

static void alone_kill(void)
{
        shut_in(nothing, SECCOMP_RET_KILL_PROCESS, 0);
}

static void all_paging(void)
{
        shut_in(paging, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

static void all_paging_kill(void)
{
        shut_in(paging, SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC);
}

static void all_computing(void)
{
        shut_in(computing, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

static void all_strict(void)
{
        shut_in(strict, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

static void all_nothing(void)
{
        shut_in(nothing, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

/* Whichever thread goes beyond it ends by itself; the agent does so when it next has something to do. */
static void all_kill_thread(void)
{
        shut_in(strict_futex, SECCOMP_RET_KILL_THREAD, SECCOMP_FILTER_FLAG_TSYNC);
}

static void all_kill_process(void)
{
        shut_in(strict_futex, SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC);
}

int main(int argc, char **argv)
{
        static const struct rough_case cases[] = {
                { "alone-errno", 1, alone_errno },
                { "alone-kill", 1, alone_kill },
                { "all-paging", 1, all_paging },
                { "all-paging-kill", 1, all_paging_kill },
                { "all-computing", 1, all_computing },
                { "all-strict", 1, all_strict },
                { "all-nothing", 1, all_nothing },
                { "all-kill-thread", 1, all_kill_thread },
                { "all-kill-thread-threads", 4, all_kill_thread },
                { "all-kill-process", 1, all_kill_process },
        };

        return rough_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
