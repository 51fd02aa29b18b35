/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a test program: runs a suite of one case with check's forks and gives the exit status. */
#ifndef TESTS_UNIT_RUN_H
#define TESTS_UNIT_RUN_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int unit_run(const char *name, TCase *tc)
{
        Suite *suite = suite_create(name);
        SRunner *runner;
        int failed;

        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Random numbers of a test (xorshift64*); the seed is printed, and VMPAGER_TEST_SEED repeats a run. */
static uint64_t unit_random_state;

static inline void unit_random_start(void)
{
        const char *given = getenv("VMPAGER_TEST_SEED");
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        unit_random_state =
                given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
        printf("VMPAGER_TEST_SEED=%llu\n", (unsigned long long)unit_random_state);
        fflush(stdout);
        unit_random_state |= 1;
}

/* 0 .. n - 1 */
static inline uint64_t unit_random(uint64_t n)
{
        unit_random_state ^= unit_random_state >> 12;
        unit_random_state ^= unit_random_state << 25;
        unit_random_state ^= unit_random_state >> 27;
        return (unit_random_state * UINT64_C(2685821657736338717) >> 16) % n;
}

#endif
