// SPDX-License-Identifier: GPL-2.0-or-later
/* Who runs under which grant: found by going up real parents, of forked children that wait until the test is over. */
#include "client/admit.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit-run.h"

#define MIB   (UINT64_C(1) << 20)
#define USER  1000u
#define OTHER 2000u
#define DEPTH 4

/* chain[0] is this process, each of the others a child of the one before. */
static pid_t chain[DEPTH];
static pid_t leader;

/* In a child: becomes chain[1], and starts the others below it; each says its pid, in order. */
static void descend(int out)
{
        for (int at = 1; at < DEPTH; at++) {
                pid_t self = getpid();

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (write(out, &self, sizeof(self)) != sizeof(self))
                        _exit(1);
                if (at + 1 < DEPTH && fork() != 0)
                        break;
        }
        for (;;)
                pause();
}

static void chain_start(void)
{
        int fd[2];

        ck_assert_int_eq(pipe(fd), 0);
        chain[0] = getpid();
        leader = fork();
        ck_assert_int_ge(leader, 0);
        if (leader == 0)
                descend(fd[1]);
        close(fd[1]);
        for (unsigned i = 1; i < DEPTH; i++)
                ck_assert_int_eq(read(fd[0], &chain[i], sizeof(chain[i])), sizeof(chain[i]));
        close(fd[0]);
}

/* The others die with their parents. */
static void chain_end(void)
{
        kill(leader, SIGKILL);
        waitpid(leader, NULL, 0);
}

static struct client_snapshot snapshot(pid_t pid, uint64_t grant, uint64_t evicted)
{
        struct client_snapshot s = { .pid = pid, .grant = grant, .comm = "program", .stats.evicted_pages = evicted };

        return s;
}

static size_t members(const struct admit *a)
{
        size_t n = 0;

        for (const struct member *m = a->members; m; m = m->next)
                n++;
        return n;
}

static struct grant *grant(struct admit *a, pid_t pid, uid_t uid, uint64_t limit)
{
        struct grant *g = admit_grant(a, pid, uid);

        ck_assert_ptr_nonnull(g);
        ck_assert_uint_eq(g->terms.limit, a->defaults.limit);
        g->terms.limit = limit;
        g->terms.swap = limit * 2;
        return g;
}

/* It comes under that limit, and the swap that goes with it. */
static void expect(struct admit *a, pid_t pid, uid_t uid, uint64_t limit, uint64_t number)
{
        struct client_terms got = { 77, 77, 77 };

        admit_client(a, pid, uid, &got);
        ck_assert_uint_eq(got.limit, limit);
        ck_assert_uint_eq(got.swap, limit == a->defaults.limit ? a->defaults.swap : limit * 2);
        ck_assert_uint_eq(got.grant, number);
}

START_TEST(test_default)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };

        expect(&a, chain[2], USER, 99 * MIB, 0);
        ck_assert_uint_eq(members(&a), 1);
        expect(&a, 1, 0, 99 * MIB, 0);
        admit_clear(&a);
        ck_assert_uint_eq(members(&a), 0);
}
END_TEST

START_TEST(test_parents)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };
        struct grant *top = grant(&a, chain[0], USER, 32 * MIB), *near;

        ck_assert_uint_gt(top->terms.grant, 0);
        expect(&a, chain[3], USER, 32 * MIB, top->terms.grant);
        admit_clear(&a);

        top = grant(&a, chain[0], USER, 32 * MIB);
        near = grant(&a, chain[2], USER, 64 * MIB);
        ck_assert_uint_ne(near->terms.grant, top->terms.grant);
        expect(&a, chain[3], USER, 64 * MIB, near->terms.grant);
        expect(&a, chain[1], USER, 32 * MIB, top->terms.grant);
        expect(&a, chain[0], USER, 32 * MIB, top->terms.grant);
        expect(&a, getppid(), USER, 99 * MIB, 0);
        admit_clear(&a);
}
END_TEST

/* A grant of another user's is passed by on the way up, one of root's is not. */
START_TEST(test_users)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };
        struct grant *far = grant(&a, chain[0], USER, 32 * MIB), *root;

        grant(&a, chain[2], OTHER, 64 * MIB);
        expect(&a, chain[3], USER, 32 * MIB, far->terms.grant);
        admit_revoke(&a, far);
        admit_ended(&a, &(struct client_snapshot){ .pid = chain[3], .grant = 1 });
        ck_assert_uint_eq(members(&a), 0);
        expect(&a, chain[3], USER, 99 * MIB, 0);
        admit_clear(&a);

        root = grant(&a, chain[1], 0, 48 * MIB);
        expect(&a, chain[3], USER, 48 * MIB, root->terms.grant);
        admit_clear(&a);

        /* root does not run under a limit that a user has set */
        grant(&a, chain[1], USER, 48 * MIB);
        expect(&a, chain[3], 0, 99 * MIB, 0);
        admit_clear(&a);
}
END_TEST

/* A client's descendants have its limit, even when the grant is gone; not so those of another user's client. */
START_TEST(test_members)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };
        struct grant *g = grant(&a, chain[1], USER, 32 * MIB);
        uint64_t number = g->terms.grant;

        expect(&a, chain[2], USER, 32 * MIB, number);
        admit_revoke(&a, g);
        expect(&a, chain[3], OTHER, 99 * MIB, 0);
        expect(&a, chain[3], USER, 32 * MIB, number);
        admit_clear(&a);
}
END_TEST

START_TEST(test_ended)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };
        struct grant *g = grant(&a, chain[1], USER, 32 * MIB), *other = grant(&a, chain[0], USER, 16 * MIB);
        struct client_snapshot last;
        bool seen[ADMIT_ENDED_MAX + 10] = { false };

        expect(&a, chain[2], USER, 32 * MIB, g->terms.grant);
        last = snapshot(chain[2], g->terms.grant, 7);
        admit_ended(&a, &last);
        ck_assert_uint_eq(members(&a), 0);
        ck_assert_uint_eq(g->n_ended, 1);
        ck_assert_int_eq(g->ended[0].pid, chain[2]);
        ck_assert_uint_eq(g->ended[0].stats.evicted_pages, 7);
        ck_assert_uint_eq(other->n_ended, 0);
        g->n_ended = 0;

        /* One that never was a client (no name) is not remembered. */
        last.comm[0] = '\0';
        admit_ended(&a, &last);
        ck_assert_uint_eq(g->n_ended, 0);

        /* More than there is room for, in an order in which each place is taken over: those that evicted most stay. */
        for (unsigned i = 0; i < ADMIT_ENDED_MAX + 10; i++) {
                last = snapshot(1000 + (pid_t)i, g->terms.grant, 1 + i * 31 % (ADMIT_ENDED_MAX + 10));
                admit_ended(&a, &last);
        }
        ck_assert_uint_eq(g->n_ended, ADMIT_ENDED_MAX);
        for (unsigned i = 0; i < ADMIT_ENDED_MAX; i++) {
                uint64_t evicted = g->ended[i].stats.evicted_pages;

                ck_assert_uint_gt(evicted, 10);
                ck_assert(!seen[evicted - 1]);
                seen[evicted - 1] = true;
        }
        admit_clear(&a);
}
END_TEST

/* exec: the same pid says HELLO again before its first session's end is seen. The end takes the older one away. */
START_TEST(test_exec)
{
        struct admit a = { .defaults = { .limit = 99 * MIB, .swap = 3 * MIB } };
        struct grant *g = grant(&a, chain[1], USER, 32 * MIB);
        struct client_snapshot last = snapshot(chain[2], g->terms.grant, 3);
        struct member *older, *newer;

        expect(&a, chain[2], USER, 32 * MIB, g->terms.grant);
        older = a.members;
        expect(&a, chain[2], USER, 32 * MIB, g->terms.grant);
        newer = a.members;
        ck_assert_ptr_ne(older, newer);
        ck_assert_uint_eq(members(&a), 2);
        admit_ended(&a, &last);
        ck_assert_uint_eq(members(&a), 1);
        ck_assert_ptr_eq(a.members, newer);
        /* The one that runs on still hands its limit down. */
        expect(&a, chain[3], USER, 32 * MIB, g->terms.grant);
        admit_ended(&a, &last);
        ck_assert_uint_eq(members(&a), 1);
        ck_assert_uint_eq(g->n_ended, 2);
        /* An end that nobody knows of harms nobody. */
        last.pid = 1;
        last.grant = 12345;
        admit_ended(&a, &last);
        ck_assert_uint_eq(members(&a), 1);
        admit_clear(&a);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("admit");

        tcase_add_checked_fixture(tc, chain_start, chain_end);
        tcase_add_test(tc, test_default);
        tcase_add_test(tc, test_parents);
        tcase_add_test(tc, test_users);
        tcase_add_test(tc, test_members);
        tcase_add_test(tc, test_ended);
        tcase_add_test(tc, test_exec);
        return unit_run("admit", tc);
}
