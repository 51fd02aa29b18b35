// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes and durations: what is read, what is refused, and that what is written is read back. */
#include "util/size.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define K (UINT64_C(1) << 10)
#define M (UINT64_C(1) << 20)
#define G (UINT64_C(1) << 30)
#define T (UINT64_C(1) << 40)
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

typedef int (*parse_fn)(const char *text, uint64_t *out);

static void refused(parse_fn parse, const char *text, int code)
{
        uint64_t value = 77;
        int r = parse(text, &value);

        ck_assert_msg(r == code, "\"%s\" gives %d, not %d", text, r, code);
        ck_assert_uint_eq(value, 77);
}

static void accepted(parse_fn parse, const char *text, uint64_t want)
{
        uint64_t value = 77;
        int r = parse(text, &value);

        ck_assert_msg(r == 0 && value == want, "\"%s\" gives %d, %llu, not %llu", text, r, (unsigned long long)value,
                      (unsigned long long)want);
}

struct reading {
        const char *text;
        uint64_t value;
};

START_TEST(test_size_parse)
{
        static const struct reading good[] = {
                { "0", 0 },
                { "1", 1 },
                { "007", 7 },
                { "512B", 512 },
                { "4K", 4 * K },
                { "4k", 4 * K },
                { "4KB", 4 * K },
                { "4kB", 4 * K },
                { "4KiB", 4 * K },
                { "4kib", 4 * K },
                { "256M", 256 * M },
                { "1.5G", G + G / 2 },
                { "1.25GiB", G + G / 4 },
                { "0.5T", T / 2 },
                { "2T", 2 * T },
                { "0.3K", 307 },
                { "0.1G", 107374182 },
                { "0K", 0 },
                { "1.0000000000000000000000000000000M", M },
                { "0.9999999999999999999999999999999K", 1023 },
                { "18446744073709551615", UINT64_MAX },
                { "16777215T", 16777215 * T },
                { "16777215.999999999999T", UINT64_MAX - 1 },
        };

        for (unsigned i = 0; i < COUNT(good); i++)
                accepted(size_parse, good[i].text, good[i].value);
}
END_TEST

START_TEST(test_size_refuse)
{
        static const char *const bad[] = {
                "",    "K",    "M5",  "-1",   "+1",   " 1",  "1 ",  "1 K", "1.",   "1.K",   ".5G",  "1.5",
                "1.5B", "0x10", "1e3", "1KK",  "1KiBs", "1Ki", "1P",  "1E",  "1,5G", "1..5G", "1.5.5G", "nan",
                "inf", "1\n",  "1K\n", "Ki",  "1i",   "1iB", "1%",  "five",
        };

        for (unsigned i = 0; i < COUNT(bad); i++)
                refused(size_parse, bad[i], -EINVAL);
        refused(size_parse, "18446744073709551616", -ERANGE);
        refused(size_parse, "16777216T", -ERANGE);
        refused(size_parse, "17179869184.5G", -ERANGE);
        refused(size_parse, "99999999999999999999999999999999999999999999", -ERANGE);
        refused(size_parse, "18446744073709551616K", -ERANGE);
        refused(size_parse, "184467440737095516160 K", -EINVAL);
}
END_TEST

START_TEST(test_duration_parse)
{
        static const struct reading good[] = {
                { "0", 0 },
                { "0.0", 0 },
                { "0s", 0 },
                { "1ns", 1 },
                { "85us", 85000 },
                { "1.2ms", 1200000 },
                { "50ms", 50000000 },
                { "3.4s", UINT64_C(3400000000) },
                { "2m", UINT64_C(120000000000) },
                { "1.5h", UINT64_C(5400000000000) },
                { "7d", UINT64_C(604800000000000) },
                { "0.0000000019s", 1 },
                { "18446744073709551615ns", UINT64_MAX },
        };
        static const char *const bad[] = {
                "", "5", "1.5", "s", "-1s", "1 s", "1S", "1sec", "1min", "1M", "1MS", "1n", "1u", "1w", "1s ", "1.s",
                ".5s",
                "00000000000000000000000001",
        };

        for (unsigned i = 0; i < COUNT(good); i++)
                accepted(duration_parse, good[i].text, good[i].value);
        for (unsigned i = 0; i < COUNT(bad); i++)
                refused(duration_parse, bad[i], -EINVAL);
        refused(duration_parse, "18446744073709551616ns", -ERANGE);
        refused(duration_parse, "213504d", -ERANGE);
        refused(duration_parse, "18446744073709551616", -EINVAL);
}
END_TEST

struct writing {
        uint64_t value;
        const char *text;
};

START_TEST(test_size_format)
{
        static const struct writing all[] = {
                { 0, "0B" },
                { 1, "1B" },
                { 1023, "1023B" },
                { K, "1K" },
                { K + 50, "1K" },
                { K + 103, "1.1K" },
                { 812 * K, "812K" },
                { 256 * M, "256M" },
                { G + G / 2, "1.5G" },
                { 10 * G + G / 2, "10.5G" },
                { 100 * G + G / 4, "100G" },
                { 100 * G + 3 * (G / 4), "101G" },
                { M - 1, "1M" },
                { G - 1, "1G" },
                { 1023 * M + 400 * K, "1023M" },
                { 99 * M + 1000 * K, "100M" },
                { 5000 * T, "5000T" },
                { UINT64_MAX, "16777216T" },
        };
        char buf[32];

        for (unsigned i = 0; i < COUNT(all); i++) {
                ck_assert_ptr_eq(size_format(all[i].value, buf, sizeof(buf)), buf);
                ck_assert_str_eq(buf, all[i].text);
        }
        ck_assert_str_eq(size_format(256 * M, buf, 3), "25"); /* cut, but ended */
}
END_TEST

START_TEST(test_duration_format)
{
        static const struct writing all[] = {
                { 0, "0ns" },
                { 999, "999ns" },
                { 85000, "85us" },
                { 85300, "85.3us" },
                { 1200000, "1.2ms" },
                { 999999999, "1s" },
                { UINT64_C(3400000000), "3.4s" },
                { UINT64_C(59990000000), "1m" },
                { UINT64_C(90000000000), "1.5m" },
                { UINT64_C(7200000000000), "2h" },
                { UINT64_C(129600000000000), "1.5d" },
                { UINT64_MAX, "213504d" },
        };
        char buf[32];

        for (unsigned i = 0; i < COUNT(all); i++)
                ck_assert_str_eq(duration_format(all[i].value, buf, sizeof(buf)), all[i].text);
}
END_TEST

/* What is written can be read, and is at most 5 % (half a tenth of 1) off. */
START_TEST(test_round_trip)
{
        char buf[32];

        for (uint64_t v = 1; v < UINT64_C(1) << 60; v += v / 7 + 1) {
                uint64_t back = 0, off;

                ck_assert_int_eq(size_parse(size_format(v, buf, sizeof(buf)), &back), 0);
                off = back > v ? back - v : v - back;
                ck_assert_msg(off <= v / 20, "%llu is written %s", (unsigned long long)v, buf);
                ck_assert_int_eq(duration_parse(duration_format(v, buf, sizeof(buf)), &back), 0);
                off = back > v ? back - v : v - back;
                ck_assert_msg(off <= v / 20, "%llu is written %s", (unsigned long long)v, buf);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("size");
        TCase *tc = tcase_create("size");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_size_parse);
        tcase_add_test(tc, test_size_refuse);
        tcase_add_test(tc, test_duration_parse);
        tcase_add_test(tc, test_size_format);
        tcase_add_test(tc, test_duration_format);
        tcase_add_test(tc, test_round_trip);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
