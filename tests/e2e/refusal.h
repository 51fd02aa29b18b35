/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the kernel refuses an access to memory. */
#ifndef TESTS_E2E_REFUSAL_H
#define TESTS_E2E_REFUSAL_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

static sigjmp_buf refusal_back;
static volatile uintptr_t refused_at;

static inline void on_refusal(int signal, siginfo_t *info, void *context)
{
        (void)signal, (void)context;
        refused_at = (uintptr_t)info->si_addr;
        siglongjmp(refusal_back, 1);
}

static inline void refusal_init(void)
{
        struct sigaction action = { .sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO };

        sigaction(SIGSEGV, &action, NULL);
}

/* Whether touching the byte is a SIGSEGV that names it. */
static inline bool is_refused(volatile uint8_t *at, bool write)
{
        refused_at = 0;
        if (sigsetjmp(refusal_back, 1) == 0) {
                if (write)
                        *at = 1;
                else
                        (void)*at;
                return false;
        }
        return refused_at == (uintptr_t)at;
}

#endif
