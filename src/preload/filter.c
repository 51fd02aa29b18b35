/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that puts a seccomp filter on itself allows what it needs, and knows nothing of the agent. So the filter is
 * asked first, as the kernel would ask it, about each system call of ours:
 *
 *     the agent's own       matters where the filter is for all threads (SECCOMP_FILTER_FLAG_TSYNC): an agent that
 *                           would be killed, and the program perhaps with it, or could do nothing, leaves for good
 *     those of its start    matters to children that are forked from now on: they go without an agent, if one of
 *                           these calls would kill them
 *
 * vmpagerd serves a program without an agent, and evicts nothing of it.
 *
 * prctl(2) and syscall(2) are where filters come from (libseccomp uses both). A program that makes the system call by
 * itself is not noticed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vmpager/uffd-compat.h>

#include "preload.h"
#include "syscall.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define EXPORT __attribute__((visibility("default")))

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#else
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

struct filter_call {
        int number;
        uint64_t args[6];
};

/* As an argument: the process's number. */
#define FILTER_OWN_PID UINT64_MAX

/* Without these it can do nothing. */
static const struct filter_call filter_vital_calls[] = {
        { SYS_futex, { 0, FUTEX_WAIT } },
        { SYS_futex, { 0, FUTEX_WAKE } },
        { SYS_ioctl, { 0, UFFDIO_REGISTER } },
        { SYS_ioctl, { 0, UFFDIO_UNREGISTER } },
        { SYS_ioctl, { 0, UFFDIO_MOVE } },
        { SYS_ioctl, { 0, UFFDIO_WRITEPROTECT } },
        { SYS_madvise, { 0, 0, MADV_DONTNEED } },
        { SYS_madvise, { 0, 0, MADV_POPULATE_WRITE } },
        { SYS_mincore, { 0 } },
        { SYS_write, { 64 } },
};

static const struct filter_call filter_other_calls[] = {
        { SYS_rt_sigprocmask, { 0 } }, { SYS_rt_sigreturn, { 0 } },
        { SYS_munlock, { 0 } },        { SYS_ppoll, { 0 } },
        { SYS_getpid, { 0 } },         { SYS_capget, { 0 } },
        { SYS_capset, { 0 } },         { SYS_prctl, { PR_CAP_AMBIENT } },
        { SYS_clock_gettime, { 1 } },
};

/* By these it looks after threads that end (ends.c); it can go on without. */
static const struct filter_call filter_ends_calls[] = {
        { SYS_tgkill, { FILTER_OWN_PID } },
        { SYS_futex, { 0, FUTEX_WAKE_OP } },
};

static const struct filter_call filter_start_calls[] = {
        { SYS_mmap, { 0, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED } },
        { SYS_mmap, { 0, 0, PROT_READ | PROT_WRITE, MAP_SHARED, 64 } },
        { SYS_mprotect, { 0, 0, PROT_READ | PROT_WRITE } },
        { SYS_madvise, { 0, 0, MADV_DONTFORK } },
        { SYS_madvise, { 0, 0, MADV_WIPEONFORK } },
        { SYS_prctl, { PR_SET_VMA } },
        { SYS_prctl, { PR_SET_NAME } },
        { SYS_clone3, { 0 } },
        { SYS_clone, { 0x3d0f00 } }, /* as pthread_create(3) makes it */
        { SYS_set_robust_list, { 0 } },
        { SYS_openat, { 0 } },
        { SYS_gettid, { 0 } },
        { SYS_close_range, { 0 } },
        { SYS_close, { 64 } },
        { SYS_socket, { 1, 5 } },
        { SYS_setsockopt, { 64 } },
        { SYS_connect, { 64 } },
        { SYS_sendmsg, { 64 } },
        { SYS_recvmsg, { 64 } },
        { SYS_memfd_create, { 0 } },
        { SYS_ftruncate, { 64 } },
        { SYS_fcntl, { 64 } },
        { SYS_eventfd2, { 0 } },
};

#define FILTER_COUNT(calls) (sizeof(calls) / sizeof((calls)[0]))

bool filter_forbids_agent;

/* What the instructions of a filter work on; see Documentation/userspace-api/seccomp_filter.rst and bpf(4). */
struct filter_machine {
        const struct seccomp_data *data;
        uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t filter_load(const struct filter_machine *m, const struct sock_filter *i)
{
        switch (BPF_MODE(i->code)) {
        case BPF_ABS:
                return i->k <= sizeof(*m->data) - sizeof(uint32_t) ? *(const uint32_t *)((const char *)m->data + i->k) :
                                                                     0;
        case BPF_LEN:
                return sizeof(*m->data);
        case BPF_MEM:
                return m->memory[i->k % BPF_MEMWORDS];
        default:
                return i->k;
        }
}

static uint32_t filter_alu(uint32_t a, uint32_t b, unsigned int op)
{
        switch (op) {
        case BPF_ADD:
                return a + b;
        case BPF_SUB:
                return a - b;
        case BPF_MUL:
                return a * b;
        case BPF_DIV:
                return b ? a / b : 0;
        case BPF_AND:
                return a & b;
        case BPF_OR:
                return a | b;
        case BPF_XOR:
                return a ^ b;
        case BPF_LSH:
                return b < 32 ? a << b : 0;
        case BPF_RSH:
                return b < 32 ? a >> b : 0;
        default:
                return -a; /* BPF_NEG */
        }
}

/* How many instructions a jump leaves out. */
static uint32_t filter_jump(uint32_t a, uint32_t b, const struct sock_filter *i)
{
        switch (BPF_OP(i->code)) {
        case BPF_JA:
                return i->k;
        case BPF_JEQ:
                return a == b ? i->jt : i->jf;
        case BPF_JGT:
                return a > b ? i->jt : i->jf;
        case BPF_JGE:
                return a >= b ? i->jt : i->jf;
        default: /* BPF_JSET */
                return a & b ? i->jt : i->jf;
        }
}

/* What the filter says of a call. The kernel has not checked it yet: nonsense ends, and is taken for a kill. */
static uint32_t filter_ask(const struct sock_fprog *filter, const struct seccomp_data *data)
{
        struct filter_machine m = { .data = data };

        for (uint32_t at = 0; at < filter->len; at++) {
                const struct sock_filter *i = &filter->filter[at];
                uint32_t operand = BPF_SRC(i->code) == BPF_X ? m.x : i->k;

                switch (BPF_CLASS(i->code)) {
                case BPF_LD:
                        m.a = filter_load(&m, i);
                        break;
                case BPF_LDX:
                        m.x = filter_load(&m, i);
                        break;
                case BPF_ST:
                        m.memory[i->k % BPF_MEMWORDS] = m.a;
                        break;
                case BPF_STX:
                        m.memory[i->k % BPF_MEMWORDS] = m.x;
                        break;
                case BPF_ALU:
                        m.a = filter_alu(m.a, operand, BPF_OP(i->code));
                        break;
                case BPF_JMP:
                        at += filter_jump(m.a, operand, i);
                        break;
                case BPF_RET:
                        return BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
                default: /* BPF_MISC */
                        if (BPF_MISCOP(i->code) == BPF_TAX)
                                m.x = m.a;
                        else
                                m.a = m.x;
                        break;
                }
        }
        return SECCOMP_RET_KILL_PROCESS;
}

/* Whether each of the calls is let through, or, if that will do, fails and no more. */
static bool filter_spares(const struct sock_fprog *filter, const struct filter_call *calls, size_t n, bool may_fail)
{
        for (size_t k = 0; k < n; k++) {
                struct seccomp_data data = { .nr = calls[k].number, .arch = FILTER_ARCH };
                uint32_t says;

                for (int i = 0; i < 6; i++)
                        data.args[i] =
                                calls[k].args[i] == FILTER_OWN_PID ? (uint64_t)init_agent->pid : calls[k].args[i];
                says = filter_ask(filter, &data) & SECCOMP_RET_ACTION_FULL;
                if (says != SECCOMP_RET_ALLOW && says != SECCOMP_RET_LOG && !(may_fail && says == SECCOMP_RET_ERRNO))
                        return false;
        }
        return true;
}

/* A filter is about to be set for this thread, or for all. */
static void filter_comes(const struct sock_fprog *filter, bool for_all)
{
        const size_t n_vital = FILTER_COUNT(filter_vital_calls), n_other = FILTER_COUNT(filter_other_calls);
        bool kills;

        if (!init_agent || !filter || !filter->filter)
                return;
        kills = !filter_spares(filter, filter_vital_calls, n_vital, true) ||
                !filter_spares(filter, filter_other_calls, n_other, true);
        if (kills || !filter_spares(filter, filter_start_calls, FILTER_COUNT(filter_start_calls), true))
                filter_forbids_agent = true;
        if (for_all && (kills || !filter_spares(filter, filter_vital_calls, n_vital, false)))
                aside_leave();
        else if (for_all && !filter_spares(filter, filter_ends_calls, FILTER_COUNT(filter_ends_calls), true))
                ends_leave(init_agent);
}

EXPORT int prctl(int option, ...)
{
        long arg[4], result;
        va_list ap;

        va_start(ap, option);
        for (int i = 0; i < 4; i++)
                arg[i] = va_arg(ap, long);
        va_end(ap);
        if (option == PR_SET_SECCOMP && arg[0] == SECCOMP_MODE_FILTER)
                filter_comes((const struct sock_fprog *)arg[1], false);
        result = sys_call(SYS_prctl, option, arg[0], arg[1], arg[2], arg[3]);
        if (result < 0) {
                errno = (int)-result;
                return -1;
        }
        return (int)result;
}

EXPORT long syscall(long number, ...)
{
        long arg[6], result;
        va_list ap;

        va_start(ap, number);
        for (int i = 0; i < 6; i++)
                arg[i] = va_arg(ap, long);
        va_end(ap);
        if (number == SYS_seccomp && arg[0] == SECCOMP_SET_MODE_FILTER)
                filter_comes((const struct sock_fprog *)arg[2], arg[1] & SECCOMP_FILTER_FLAG_TSYNC);
        result = sys_call6(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
        if (number == SYS_futex && result == -EFAULT)
                result = futex_again(arg, result);
        if (sys_failed(result)) {
                errno = (int)-result;
                return -1;
        }
        return result;
}
