// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has to be in each page. A page is discarded at some moment between the beginning and the end of the call: until
 * then zeros are right, and what was there is; afterwards zeros alone, unless it was written since the beginning.
 * With MADV_FREE both stay right until it is written.
 *
 * A child knows what its parent knew at the moment of the fork. Of what another thread was discarding then, either is
 * right, and stays so: that thread is not in the child.
 */
#include <string.h>

#include "world.h"

uint64_t oracle_fresh(void)
{
        if (++world.last_version >= SIM_VERSIONS)
                sim_fail("more writes in one episode than versions");
        return SIM_TAG | world.last_version;
}

uint64_t oracle_version(uint64_t content)
{
        return content & ~SIM_TAG;
}

static void see(const struct task *t, unsigned page, uint64_t content)
{
        struct user_page *u = &current->page[page];

        sim_say("thread %u: reads page %u: %llu", t->number, page, (unsigned long long)oracle_version(content));
        if (content == u->content) {
                if (!u->discards && !u->lazy)
                        u->maybe_zero = false;
                return;
        }
        if (content == 0 && u->maybe_zero) {
                u->content = 0;
                return;
        }
        if (content == 0)
                sim_fail("thread %u reads zeros in page %u, where version %llu is", t->number, page,
                         (unsigned long long)oracle_version(u->content));
        if (content >> 56 != SIM_TAG >> 56)
                sim_fail("thread %u reads rubbish in page %u, where version %llu is", t->number, page,
                         (unsigned long long)oracle_version(u->content));
        sim_fail("thread %u reads version %llu in page %u, where version %llu is", t->number,
                 (unsigned long long)oracle_version(content), page, (unsigned long long)oracle_version(u->content));
}

void oracle_written(unsigned page, uint64_t content)
{
        struct user_page *u = &current->page[page];

        u->content = content;
        u->written_at = world.last_version;
        u->maybe_zero = u->discards != 0;
        u->lazy = u->discards != 0;
}

/* Touches a page that can be touched. False: it is not there; its bytes are lost, and are so by right. */
bool oracle_touch(struct task *t, unsigned page, bool write)
{
        enum touch r = kernel_touch(&current->mm, t, page, write);
        uint64_t content = current->page[page].content;

        if (r == TOUCH_OK || r == TOUCH_LEFT)
                return r == TOUCH_OK;
        if (r == TOUCH_SEGV)
                sim_fail("thread %u has no memory at page %u, and should have", t->number, page);
        if (!current->page[page].may_be_lost && !current->doubtful[page] &&
            (content >> 56 != SIM_TAG >> 56 || !world.lost[oracle_version(content)]))
                sim_fail("thread %u gets SIGBUS at page %u, which the store has not lost", t->number, page);
        sim_say("thread %u: gets SIGBUS at page %u", t->number, page);
        sim_result->sigbus++;
        return false;
}

void oracle_access(struct task *t, unsigned page, bool write)
{
        struct user_page *u = &current->page[page];

        u->users++;
        if (oracle_touch(t, page, write)) {
                see(t, page, kernel_read(&current->mm, page));
                if (write) {
                        oracle_written(page, oracle_fresh());
                        kernel_write(&current->mm, page, u->content);
                        sim_say("thread %u: writes page %u: %llu", t->number, page,
                                (unsigned long long)oracle_version(u->content));
                }
        }
        u->users--;
}

uint64_t oracle_discard_begins(unsigned at, unsigned n, bool lazily)
{
        for (unsigned i = at; i < at + n; i++) {
                current->page[i].discards++;
                current->page[i].maybe_zero = true;
                current->page[i].lazy |= lazily;
        }
        return world.last_version;
}

void oracle_discard_ends(unsigned at, unsigned n, bool lazily, uint64_t began)
{
        for (unsigned i = at; i < at + n; i++) {
                struct user_page *u = &current->page[i];

                u->discards--;
                if (lazily || u->written_at > began)
                        continue;
                u->content = 0;
                u->maybe_zero = u->lazy = false;
        }
}

void oracle_fork(struct sim_client *child)
{
        memcpy(child->page, current->page, sizeof(child->page));
        for (unsigned i = 0; i < SIM_PAGES; i++) {
                struct user_page *u = &child->page[i];

                u->busy = u->pinned = u->locked = false;
                u->users = u->discards = 0;
                u->at_fork = i + 1;
        }
}
