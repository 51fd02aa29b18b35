/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System calls without libc in between: no errno, no cancellation point, no symbol that a program
 * could interpose, no lazy binding. Every function returns what the kernel returned, so a
 * failure is a negative errno.
 */
#ifndef PRELOAD_SYSCALL_H
#define PRELOAD_SYSCALL_H

#include <linux/futex.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        long ret;

        __asm__ volatile("syscall"
                         : "=a"(ret)
                         : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return ret;
}

static inline void sys_pause(void)
{
        __builtin_ia32_pause();
}

#elif defined(__aarch64__)

static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
        register long x8 __asm__("x8") = nr;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;

        __asm__ volatile("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return x0;
}

static inline void sys_pause(void)
{
        __asm__ volatile("yield" ::: "memory");
}

#else
#error "vmpager's preload library knows the system call convention of x86-64 and aarch64 only"
#endif

/* Arguments may be integers or pointers; missing ones are 0. */
#define sys_call(...) sys_call_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define sys_call_(nr, a, b, c, d, e, f, ...) \
        sys_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Whether a system call that returns an address failed. */
static inline bool sys_failed(long ret)
{
        return (unsigned long)ret > -4096ul;
}

static inline long sys_ioctl(int fd, unsigned long request, const void *argument)
{
        return sys_call(SYS_ioctl, fd, request, argument);
}

static inline void sys_close(int fd)
{
        sys_call(SYS_close, fd);
}

/*
 * Sleeps while *word is value, at most that many milliseconds. The futex is a shared one: the word may
 * be woken by another process. -ETIMEDOUT when the time was up; anything else means: look again.
 */
static inline long sys_futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int milliseconds)
{
        struct __kernel_timespec ts = {
                .tv_sec = milliseconds / 1000,
                .tv_nsec = (long long)(milliseconds % 1000) * 1000000,
        };

        return sys_call(SYS_futex, word, FUTEX_WAIT, value, &ts);
}

static inline void sys_futex_wake(_Atomic uint32_t *word)
{
        sys_call(SYS_futex, word, FUTEX_WAKE, INT32_MAX);
}

/* CLOCK_MONOTONIC in milliseconds. */
static inline int64_t sys_now_ms(void)
{
        struct __kernel_timespec ts = {0};

        sys_call(SYS_clock_gettime, 1, &ts);
        return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#endif
