// SPDX-License-Identifier: GPL-2.0-or-later
/* The histogram: the seams between buckets, and quantiles against a sorted array of the same values. */
#include "util/hist.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Every bucket begins where the one before ends, and holds its own edges. */
START_TEST(test_buckets)
{
        ck_assert_uint_eq(hist_bucket_low(0), 0);
        for (unsigned b = 0; b < HIST_BUCKETS; b++) {
                uint64_t low = hist_bucket_low(b), high = hist_bucket_high(b);

                ck_assert_uint_le(low, high);
                ck_assert_uint_eq(hist_bucket(low), b);
                ck_assert_uint_eq(hist_bucket(high), b);
                ck_assert_uint_le(high - low, low / HIST_SUB);
                if (b + 1 < HIST_BUCKETS)
                        ck_assert_uint_eq(hist_bucket_low(b + 1), high + 1);
        }
        ck_assert_uint_eq(hist_bucket_high(HIST_BUCKETS - 1), UINT64_MAX);
        for (uint64_t v = 0; v < 2 * HIST_SUB; v++)
                ck_assert_uint_eq(hist_bucket_high(hist_bucket(v)), v);
}
END_TEST

START_TEST(test_empty)
{
        static struct hist h;

        ck_assert_uint_eq(hist_quantile(&h, 0.5), 0);
        ck_assert_uint_eq(hist_count(&h), 0);
        ck_assert_uint_eq(hist_max(&h), 0);
}
END_TEST

START_TEST(test_few)
{
        static struct hist h;

        hist_add(&h, 1000);
        ck_assert_uint_eq(hist_quantile(&h, 0), 1000); /* never above the largest */
        ck_assert_uint_eq(hist_quantile(&h, 1), 1000);
        hist_add(&h, 3);
        hist_add(&h, 0);
        hist_add(&h, UINT64_MAX);
        ck_assert_uint_eq(hist_quantile(&h, 0), 0);
        ck_assert_uint_eq(hist_quantile(&h, 0.25), 0);
        ck_assert_uint_eq(hist_quantile(&h, 0.26), 3);
        ck_assert_uint_eq(hist_quantile(&h, 0.5), 3);
        ck_assert_uint_eq(hist_quantile(&h, 0.75), hist_bucket_high(hist_bucket(1000)));
        ck_assert_uint_eq(hist_quantile(&h, 0.751), UINT64_MAX);
        ck_assert_uint_eq(hist_quantile(&h, -3), 0);
        ck_assert_uint_eq(hist_quantile(&h, 3), UINT64_MAX);
        ck_assert_uint_eq(hist_quantile(&h, NAN), 0);
        ck_assert_uint_eq(hist_count(&h), 4);
        ck_assert_uint_eq(hist_max(&h), UINT64_MAX);
}
END_TEST

static int by_size(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* xorshift64, of a random number of bits */
static uint64_t draw(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state >> (*state % 64);
}

START_TEST(test_quantiles)
{
        enum { N = 5000 };
        static const double parts[] = { 0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };
        static uint64_t values[N];
        static struct hist h, halves[2];
        uint64_t rng = 88172645463325252u, sum = 0;

        for (unsigned i = 0; i < N; i++) {
                values[i] = draw(&rng);
                sum += values[i];
                hist_add(&h, values[i]);
                hist_add(&halves[i % 2], values[i]);
        }
        hist_merge(&halves[0], &halves[1]);
        qsort(values, N, sizeof(*values), by_size);
        for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
                unsigned rank = (unsigned)ceil(parts[i] * N);
                uint64_t exact = values[rank ? rank - 1 : 0], got = hist_quantile(&h, parts[i]);

                ck_assert_uint_ge(got, exact);
                ck_assert_uint_le(got - exact, exact / HIST_SUB);
                ck_assert_uint_le(got, values[N - 1]);
                ck_assert_uint_eq(hist_quantile(&halves[0], parts[i]), got);
        }
        ck_assert_uint_eq(hist_count(&h), N);
        ck_assert_uint_eq(hist_count(&halves[0]), N);
        ck_assert_uint_eq(hist_max(&halves[0]), values[N - 1]);
        ck_assert_uint_eq(atomic_load(&h.sum), sum);
        ck_assert_uint_eq(atomic_load(&halves[0].sum), sum);
}
END_TEST

static struct hist shared;
static atomic_bool ended;

static void *add_many(void *arg)
{
        (void)arg;
        for (unsigned i = 0; i < 200000; i++)
                hist_add(&shared, 100 + i % 3 * 1000);
        atomic_store(&ended, true);
        return NULL;
}

/* A reader beside the writer sees nothing that was never there. */
START_TEST(test_reader)
{
        pthread_t thread;
        uint64_t last = 0;

        ck_assert_int_eq(pthread_create(&thread, NULL, add_many, NULL), 0);
        while (!atomic_load(&ended)) {
                uint64_t n = hist_count(&shared), q = hist_quantile(&shared, 1);

                if (n < last || n > 200000 || (q != 0 && q > hist_bucket_high(hist_bucket(2100))))
                        ck_abort_msg("count %llu, quantile %llu", (unsigned long long)n, (unsigned long long)q);
                last = n;
        }
        pthread_join(thread, NULL);
        ck_assert_uint_eq(hist_count(&shared), 200000);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("hist");
        TCase *tc = tcase_create("hist");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_buckets);
        tcase_add_test(tc, test_empty);
        tcase_add_test(tc, test_few);
        tcase_add_test(tc, test_quantiles);
        tcase_add_test(tc, test_reader);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
