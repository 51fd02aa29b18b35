/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ends of threads. When a thread ends the kernel clears the word that pthread_join(3) waits for, and wakes who
 * waits. It waits for no userfaultfd then: where the page is out it gives up, and the join would wait for ever.
 * vmpagerd leaves the pages alone that hold such words of threads which it has seen (pager/evict-keep.c). Here is what
 * becomes of those of a thread that is younger: the page has been moved out, its bytes are in staging, and the thread
 * may be ending at this very moment.
 *
 * Such a page is known by what it holds: the C library has the word in its description of the thread, a few bytes
 * before the head of the thread's list of robust mutexes, in which one field is the same in all threads. The agent
 * is such a thread, and learns from its own what to look for.
 *
 * Each of those pages is touched when the batch is done, which brings it back, and its word is looked at for
 * ENDS_LAST_MS. Where it names a thread that is no more, the agent does what the kernel could not do. Nobody else
 * writes to the word then: who joins the thread waits for it, and libc does not use the memory again before it is
 * cleared.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>

#include "preload.h"
#include "syscall.h"

/* As long as the end of a thread takes, from the moment when it clears the word, at most. */
#define ENDS_LAST_MS 2000

/* Descriptions of threads begin at such an address in glibc, whatever the machine. */
#define ENDS_LINE 64u

/* PID_MAX_LIMIT of Linux */
#define ENDS_MOST_TID (4 << 20)

void ends_learn(struct agent *a)
{
        struct robust_list_head *head = NULL;
        size_t len;

        if (sys_call(SYS_get_robust_list, 0, &head, &len) < 0 || !head)
                return;
        for (uint32_t before = sizeof(int32_t); before <= (uintptr_t)head % ENDS_LINE; before += sizeof(int32_t)) {
                if (*(const int32_t *)(const void *)((const char *)head - before) != a->tid)
                        continue;
                a->ends.head_at = (uintptr_t)head % ENDS_LINE;
                a->ends.word_before = before;
                a->ends.futex_offset = head->futex_offset;
                return;
        }
}

void ends_note(struct agent *a, const void *page, uint64_t addr)
{
        struct ends *e = &a->ends;

        if (!e->word_before)
                return;
        for (uint32_t at = e->head_at; at < VMPAGER_PAGE; at += ENDS_LINE) {
                const struct robust_list_head *head = (const void *)((const char *)page + at);
                struct ends_word *w;
                int32_t tid;

                if (head->futex_offset != e->futex_offset || !head->list.next)
                        continue;
                tid = *(const int32_t *)(const void *)((const char *)head - e->word_before);
                if (tid <= 0 || tid > ENDS_MOST_TID)
                        continue;
                w = &e->word[e->next++ % ENDS_MOST];
                e->n += w->tid == 0;
                w->addr = addr + at - e->word_before;
                w->tid = (uint32_t)tid;
                w->since = w->again = 0;
        }
}

void ends_leave(struct agent *a)
{
        atomic_store(&a->ends.given_up, true);
}

/* Whether the word still names the thread. Brings the page in, or finds that it is no memory any more. */
static bool ends_names(const struct ends_word *w)
{
        return sys_futex_wait((_Atomic uint32_t *)(uintptr_t)w->addr, w->tid, 0) == -ETIMEDOUT;
}

/* As the kernel does it at a thread's end. A futex call, since the program may have unmapped the memory. */
static void ends_clear(const struct ends_word *w)
{
        sys_call(SYS_futex, w->addr, FUTEX_WAKE_OP, INT32_MAX, 0, w->addr,
                 FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0));
}

/* Returns whether the word needs to be looked at again. */
static bool ends_look_at(const struct agent *a, struct ends_word *w, int64_t now)
{
        if (!ends_names(w))
                return false;
        if (sys_call(SYS_tgkill, a->pid, w->tid, 0) == -ESRCH) {
                /* It was cleared between the two calls, or was not when the thread ended, and nobody else does. */
                if (ends_names(w))
                        ends_clear(w);
                return false;
        }
        w->since = w->since ? w->since : now;
        w->again = now + 1 + (now - w->since);
        return now - w->since < ENDS_LAST_MS;
}

void ends_look(struct agent *a)
{
        struct ends *e = &a->ends;
        int64_t now;

        if (e->n == 0 || atomic_load(&e->given_up))
                return;
        now = sys_now_ms();
        e->again = INT64_MAX;
        for (struct ends_word *w = e->word; w < e->word + ENDS_MOST; w++) {
                if (w->tid == 0)
                        continue;
                if (w->again <= now && !ends_look_at(a, w, now)) {
                        w->tid = 0;
                        e->n--;
                } else if (w->again < e->again) {
                        e->again = w->again;
                }
        }
}

unsigned int ends_due(const struct agent *a, unsigned int most)
{
        int64_t left;

        if (a->ends.n == 0 || atomic_load(&a->ends.given_up))
                return most;
        left = a->ends.again - sys_now_ms();
        return left <= 0 ? 0 : left < most ? (unsigned int)left : most;
}
