/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Some operations of futex(2) change a word by themselves, and do not wait for a userfaultfd where it is out: they say
 * EFAULT (fault_in_user_writeable() in kernel/futex/core.c). A FUTEX_WAIT on the word does wait, and brings it in. What
 * calls syscall(2) is helped so. The C library makes such calls itself for mutexes with priority inheritance. It has
 * touched their words just before, and they are out only if they went in between (README.md, "Known gaps").
 */
#include <errno.h>
#include <linux/futex.h>

#include "preload.h"
#include "syscall.h"

/* Each time the page may be taken again before the call gets to it. */
#define FUTEX_TRIES 100

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* Whether there is memory at the word, which is in now. */
static bool futex_bring(long word)
{
        return sys_futex_wait((_Atomic uint32_t *)word, 0, 0) != -EFAULT;
}

/* What the operation has to have: 0 nothing of ours, 1 the first word, 2 the second as well. */
static int futex_words(long operation)
{
        switch (operation & FUTEX_CMD_MASK) {
        case FUTEX_LOCK_PI:
        case FUTEX_LOCK_PI2:
        case FUTEX_TRYLOCK_PI:
        case FUTEX_UNLOCK_PI:
                return 1;
        case FUTEX_WAKE_OP:
        case FUTEX_CMP_REQUEUE_PI:
                return 2;
        default:
                return 0;
        }
}

long futex_again(const long arg[6], long result)
{
        int words = init_agent ? futex_words(arg[1]) : 0;

        for (int i = 0; i < FUTEX_TRIES && words && result == -EFAULT; i++) {
                if (!futex_bring(arg[0]) || (words > 1 && !futex_bring(arg[4])))
                        break;
                result = sys_call6(SYS_futex, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
        }
        return result;
}
