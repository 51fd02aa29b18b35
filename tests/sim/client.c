// SPDX-License-Identifier: GPL-2.0-or-later
/* The program's calls, each as the steps at which others can come in between. */
#include <errno.h>
#include <string.h>

#include "world.h"

static bool can_touch(const struct user_page *u)
{
        return u->mapped && !u->busy && u->readable;
}

static bool can_change(const struct user_page *u)
{
        return u->mapped && !u->busy && !u->users && !u->discards && !u->pinned && !u->locked;
}

static bool can_discard(const struct user_page *u)
{
        return u->mapped && !u->busy && !u->pinned && !u->locked && (!u->grown || world.all);
}

static bool can_lock(const struct user_page *u)
{
        return can_change(u) && u->readable && u->writable;
}

static bool is_locked(const struct user_page *u)
{
        return u->mapped && !u->busy && !u->users && !u->discards && u->locked;
}

static bool can_pin(const struct user_page *u)
{
        return can_touch(u) && !u->discards && !u->pinned && u->writable;
}

/* A range of up to `most` pages, of which all are of the kind. Returns how many, 0: there is none. */
static unsigned choose(bool (*kind)(const struct user_page *u), unsigned most, unsigned *at)
{
        unsigned from = sim_any(world.config.pages), n = 0;

        for (unsigned k = 0; k < world.config.pages && n == 0; k++) {
                *at = (from + k) % world.config.pages;
                while (n < most && *at + n < SIM_PAGES && kind(&current->page[*at + n]))
                        n++;
        }
        return n;
}

static void set_busy(unsigned at, unsigned n, bool busy)
{
        for (unsigned i = at; i < at + n; i++)
                current->page[i].busy = busy;
}

static void forget(unsigned at, unsigned n)
{
        memset(&current->page[at], 0, n * sizeof(current->page[0]));
}

/* Pages of a new mapping, whose call has not returned yet. */
static void note_new(unsigned at, unsigned n, bool readable, bool writable)
{
        forget(at, n);
        for (unsigned i = at; i < at + n; i++) {
                current->page[i].mapped = current->page[i].busy = true;
                current->page[i].readable = readable;
                current->page[i].writable = writable;
        }
}

/* --- contents --- */

/* Page after page or each second or third one, up or down, as far as it goes. */
static void walk(struct task *t)
{
        int stride = 1 + (sim_any(3) ? 0 : (int)sim_any(3)), at;
        unsigned from;

        if (choose(can_touch, 1, &from) == 0)
                return;
        if (sim_any(2))
                stride = -stride;
        for (at = (int)from; at >= 0 && at < (int)SIM_PAGES; at += stride) {
                if (!can_touch(&current->page[at]))
                        continue;
                oracle_access(t, (unsigned)at, current->page[at].writable && sim_any(4) == 0);
                task_pause(t);
        }
}

void client_access_some(struct task *t)
{
        unsigned at, n = choose(can_touch, 1 + sim_any(world.config.call_pages), &at);
        bool write = sim_any(2);

        if (world.config.walks && sim_any(2)) {
                walk(t);
                return;
        }
        for (unsigned i = at; i < at + n; i++) {
                if (!can_touch(&current->page[i]))
                        return;
                oracle_access(t, i, write && current->page[i].writable);
                task_pause(t);
        }
}

/* --- mappings --- */

static unsigned n_mapped(void)
{
        unsigned n = 0;

        for (unsigned i = 0; i < SIM_PAGES; i++)
                n += current->page[i].mapped;
        return n;
}

/* Mapped at once. */
static unsigned most_pages(void)
{
        return world.config.pages * 3 / 4;
}

static void map(struct task *t, bool fixed)
{
        struct sim_vma like = { .readable = true, .writable = true };
        struct sim_call call = { .n = 0 };
        unsigned at = SIM_ANY, n = 1 + sim_any(world.config.call_pages);

        if (!fixed && n_mapped() + n > most_pages())
                return;
        if (fixed)
                n = choose(can_change, n, &at);
        if (n == 0)
                return;
        if (fixed)
                set_busy(at, n, true);
        like.uffd = sim_any(40) == 0 ? UFFD_FOREIGN : UFFD_NONE;
        task_pause(t);
        if (kernel_mmap(&current->mm, &call, at, n, like, &at) < 0)
                return;
        sim_say("thread %u: mmap %u-%u%s%s", t->number, at, at + n - 1, fixed ? ", MAP_FIXED" : "",
                like.uffd ? ", of another userfaultfd" : "");
        note_new(at, n, true, true);
        kernel_tell(&current->mm, &call, t);
        set_busy(at, n, false);
}

static void unmap(struct task *t)
{
        struct sim_call call = { .n = 0 };
        unsigned at, n = choose(can_change, 1 + sim_any(world.config.call_pages), &at);

        if (n == 0)
                return;
        set_busy(at, n, true);
        task_pause(t);
        kernel_munmap(&current->mm, &call, at, n);
        sim_say("thread %u: munmap %u-%u", t->number, at, at + n - 1);
        forget(at, n);
        kernel_tell(&current->mm, &call, t);
}

/* mremap() was carried out: what the program knew of the pages goes with them. */
static void note_moved(unsigned from, unsigned old_n, unsigned to, unsigned new_n)
{
        struct user_page old[SIM_PAGES];
        unsigned kept = old_n < new_n ? old_n : new_n;

        memcpy(old, &current->page[from], old_n * sizeof(old[0]));
        forget(from, old_n);
        note_new(to, new_n, old[0].readable, old[0].writable);
        memcpy(&current->page[to], old, kept * sizeof(old[0]));
        for (unsigned i = 0; i < kept; i++)
                current->doubtful[to + i] |= old[i].may_be_lost || current->doubtful[from + i];
        for (unsigned i = to == from ? to : to + old_n; i < to + new_n && new_n > old_n; i++)
                current->page[i].grown = true;
}

static unsigned free_behind(unsigned at)
{
        unsigned n = 0;

        while (n < 4 && at + n < SIM_PAGES && kernel_is_free(&current->mm, at + n, 1))
                n++;
        return n;
}

static void remap(struct task *t)
{
        struct sim_call call = { .n = 0 };
        unsigned from, to = SIM_ANY, old_n = choose(can_change, 1 + sim_any(world.config.call_pages), &from),
                       new_n = old_n, where;
        int r;

        if (old_n == 0)
                return;
        set_busy(from, old_n, true);
        if (sim_any(3) == 0)
                new_n = 1 + sim_any(old_n);
        else if (world.config.grows && sim_any(2) && n_mapped() < most_pages())
                new_n = old_n + 1 + sim_any(4);
        if (sim_any(3) == 0) { /* MREMAP_FIXED, over other memory */
                unsigned at, n = choose(can_change, new_n, &at);

                if (n == new_n) {
                        to = at;
                        set_busy(to, new_n, true);
                }
        }
        task_pause(t);
        if (to == SIM_ANY && new_n > old_n && !world.config.grows && free_behind(from + old_n))
                new_n = old_n;
        r = kernel_mremap(&current->mm, &call, from, old_n, new_n, to, &where);
        sim_say("thread %u: mremap %u-%u to %u, %u pages%s: %d", t->number, from, from + old_n - 1, r < 0 ? to : where,
                new_n, to == SIM_ANY ? "" : ", MREMAP_FIXED", r);
        if (r < 0) {
                sim_result->efault += r == -EFAULT;
                set_busy(from, old_n, false);
                if (to != SIM_ANY)
                        set_busy(to, new_n, false);
                return;
        }
        note_moved(from, old_n, where, new_n);
        kernel_tell(&current->mm, &call, t);
        set_busy(where, new_n, false);
}

static void protect(struct task *t)
{
        unsigned at, n = choose(can_change, 1 + sim_any(world.config.call_pages), &at);
        bool readable = sim_any(4), writable = readable && sim_any(3);

        if (n == 0)
                return;
        set_busy(at, n, true);
        task_pause(t);
        kernel_mprotect(&current->mm, at, n, readable, writable);
        sim_say("thread %u: mprotect %u-%u: %s", t->number, at, at + n - 1,
                writable ? "read, write" :
                readable ? "read" :
                           "none");
        for (unsigned i = at; i < at + n; i++) {
                current->page[i].readable = readable;
                current->page[i].writable = writable;
        }
        set_busy(at, n, false);
}

/* --- contents --- */

static void discard(struct task *t, bool lazily)
{
        uint64_t began;
        unsigned at, n = choose(can_discard, 1 + sim_any(world.config.call_pages), &at);

        if (n == 0)
                return;
        began = oracle_discard_begins(at, n, lazily);
        sim_say("thread %u: madvise %u-%u, %s", t->number, at, at + n - 1, lazily ? "FREE" : "DONTNEED");
        task_pause(t);
        if (kernel_madvise(&current->mm, t, at, n, lazily) < 0)
                sim_fail("thread %u: madvise of pages %u-%u has failed", t->number, at, at + n - 1);
        sim_say("thread %u: madvise %u-%u has returned", t->number, at, at + n - 1);
        oracle_discard_ends(at, n, lazily, began);
}

/* mlock() brings the pages in after the lock was dropped. */
static void lock(struct task *t)
{
        unsigned at, n = choose(can_lock, 1 + sim_any(4), &at);

        if (n == 0)
                return;
        set_busy(at, n, true);
        task_pause(t);
        kernel_lock(&current->mm, at, n, true);
        sim_say("thread %u: mlock %u-%u", t->number, at, at + n - 1);
        for (unsigned i = at; i < at + n; i++) {
                current->page[i].locked = true;
                oracle_touch(t, i, true);
                task_pause(t);
        }
        set_busy(at, n, false);
}

static void unlock(struct task *t)
{
        unsigned at, n = choose(is_locked, world.config.call_pages, &at);

        if (n == 0)
                return;
        kernel_lock(&current->mm, at, n, false);
        sim_say("thread %u: munlock %u-%u", t->number, at, at + n - 1);
        for (unsigned i = at; i < at + n; i++)
                current->page[i].locked = false;
}

/* A device writes to a page of which it has the address, some time after that was given to it. */
static void pin(struct task *t)
{
        struct sim_page *p;
        unsigned at, n = choose(can_pin, 1, &at);

        if (n == 0)
                return;
        current->page[at].users++;
        current->page[at].pinned = true;
        if (oracle_touch(t, at, true)) {
                p = current->mm.pte[at].page;
                p->pins++;
                sim_say("thread %u: page %u is pinned", t->number, at);
                for (unsigned i = 1 + sim_any(24); i > 0; i--)
                        task_pause(t);
                p->content = oracle_fresh();
                current->mm.pte[at].lazy = false;
                oracle_written(at, p->content);
                sim_say("device: writes page %u: %llu", at, (unsigned long long)oracle_version(p->content));
                p->pins--;
        }
        current->page[at].pinned = false;
        current->page[at].users--;
}

static void read_all(struct task *t)
{
        for (unsigned i = 0; i < SIM_PAGES; i++) {
                if (!current->page[i].mapped)
                        continue;
                if (!current->page[i].readable) {
                        kernel_mprotect(&current->mm, i, 1, true, true);
                        current->page[i].readable = current->page[i].writable = true;
                }
                oracle_access(t, i, false);
        }
}

static void call_something(struct task *t)
{
        unsigned what = world.config.storm ? 22 + sim_any(32) : sim_any(64);

        if (world.config.forks && sim_any(world.config.forks) == 0)
                fork_call(t);
        else if (what < 26 || current->calm)
                client_access_some(t);
        else if (what < 34)
                map(t, false);
        else if (what < 37)
                map(t, true);
        else if (what < 42)
                unmap(t);
        else if (what < 50)
                remap(t);
        else if (what < 56)
                discard(t, false);
        else if (what < 58)
                discard(t, true);
        else if (what < 60)
                protect(t);
        else if (what < 61)
                lock(t);
        else if (what < 62)
                unlock(t);
        else
                pin(t);
}

static void run(struct task *t)
{
        if (current->newborn)
                fork_in_child(t);
        for (;;) {
                t->idle = true;
                task_pause(t);
                t->idle = false;
                if (current->reading_all) {
                        current->reading_all = false;
                        read_all(t);
                } else if (!world.draining) {
                        call_something(t);
                }
        }
}

void client_begin(unsigned n)
{
        for (; n > 0; n--) {
                struct task *t = &current->thread[current->n_threads];

                task_start(t, current->n_threads++, run);
                t->idle = !current->newborn;
        }
}
