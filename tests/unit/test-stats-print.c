// SPDX-License-Identifier: GPL-2.0-or-later
/* What a person is shown: nothing that was not measured as a number, and nothing that a terminal obeys. */
#include "vmpagerctl/stats-print.c" /* the tool is no library */

#include "unit-run.h"

static char *shown(const char *json)
{
        struct json_object *o = json_tokener_parse(json);
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        ck_assert_ptr_nonnull(o);
        ck_assert_ptr_nonnull(f);
        stats_print(f, o);
        fclose(f);
        json_object_put(o);
        return text;
}

#define ck_assert_shows(text, what) ck_assert_msg(strstr(text, what), "no \"%s\" in:\n%s", what, text)

START_TEST(test_full)
{
        char *text = shown("{\"version\":\"1.2\",\"tracker\":\"standby\",\"probes\":null,"
                           "\"store\":{\"ram_bytes\":null,\"disk_bytes\":1048576,\"disk_capacity_bytes\":4194304,"
                           "\"disk_free_long_bytes\":1572864,\"disk_free_longest_bytes\":1048576,"
                           "\"disk_free_runs\":12,\"disk_written_bytes\":2097152,\"put_bytes\":4194304,"
                           "\"moved_pages\":77,\"discarded_bytes\":8388608,\"discarding_bytes\":0,"
                           "\"discard_errors\":2},"
                           "\"clients\":[{\"pid\":42,\"comm\":\"prog\",\"limit_bytes\":268435456,"
                           "\"resident_bytes\":0,\"peak_resident_bytes\":1024,\"stored_pages\":256,\"ram_bytes\":null,"
                           "\"evicted_pages\":7,\"written_pages\":6,\"clean_evictions\":9,\"prefetched_pages\":64,"
                           "\"prefetch_hits\":48,\"prefetch_wasted\":4,\"poisoned_pages\":0,"
                           "\"faults\":{\"total\":8,\"zero\":2,\"standby\":1,\"ram\":null,\"disk\":5},"
                           "\"service_us\":{\"count\":8,\"p50\":85,\"p90\":90,\"p99\":1200.5,\"p999\":2000,"
                           "\"max\":3400000},\"wait_us\":null}]}");

        ck_assert_shows(text, "vmpagerd 1.2   tracker standby   probes -\n");
        ck_assert_shows(text, "disk 1M of 4M (25.0%)   ram -\n");
        ck_assert_shows(text, "free 3M (50.0% of it in runs of 64K and more)   runs 12   longest 1M\n");
        ck_assert_shows(text, "written 2M for 4M of pages put (50.0%)   pages moved 77   discarded 8M (2 failed)\n");
        ck_assert_shows(text, "\n42 prog\n");
        ck_assert_shows(text, "limit 256M  resident 0");
        ck_assert_shows(text, "stored 256 (1M)  in memory -  evicted 7  written 6\n");
        ck_assert_shows(text, "evicted clean 9  prefetched 64  of these used 48  wasted 4\n");
        ck_assert_shows(text, "faults     8\n");
        ck_assert_shows(text, "2   25.0%");
        ck_assert_shows(text, "5   62.5%");
        ck_assert_shows(text, "p50 85us  p99 1.2ms  p99.9 2ms  max 3.4s  (8 faults)\n");
        ck_assert_shows(text, "waited     -\n");
        ck_assert_ptr_null(strstr(text, "LOST"));
        ck_assert_ptr_null(strstr(text, "ERRORS"));
        free(text);
        text = shown("{\"store\":{\"read_errors\":1,\"write_errors\":0,\"checksum_errors\":2}}");
        ck_assert_shows(text, "ERRORS: 1 reads, 0 writes, 2 pages that were not what was written\n");
        free(text);
}
END_TEST

START_TEST(test_not_measured)
{
        char *text = shown("{\"clients\":[{\"pid\":1,\"faults\":null,\"poisoned_pages\":null,"
                           "\"wait_us\":{\"count\":null,\"p50\":null}}]}");

        ck_assert_shows(text, "vmpagerd -   tracker -   probes -\n");
        ck_assert_shows(text, "disk - of -   ram -\n");
        ck_assert_shows(text, "\n1 -\n");
        ck_assert_shows(text, "limit -  resident -  peak -\n");
        ck_assert_shows(text, "faults     -\n");
        ck_assert_shows(text, "served in  -\n");
        ck_assert_shows(text, "waited     -\n");
        for (const char *p = text; (p = strpbrk(p, "0123456789")); p++)
                ck_assert_msg(*p == '1' && p[-1] == '\n', "a number out of nothing: %.20s", p);
        free(text);
}
END_TEST

START_TEST(test_hostile_name)
{
        char *text = shown("{\"clients\":[{\"pid\":1,\"comm\":\"a\\u001b[2J\\nb\\u0007\"}]}");

        ck_assert_shows(text, "\n1 a?[2J?b?\n");
        free(text);
}
END_TEST

START_TEST(test_lost_and_unlimited)
{
        char *text = shown("{\"clients\":[{\"pid\":1,\"limit_bytes\":0,\"poisoned_pages\":3}]}");

        ck_assert_ptr_null(strstr(text, "swap"));
        ck_assert_shows(text, "LOST       3 pages");
        ck_assert_shows(text, "limit none  ");
        free(text);
}
END_TEST

START_TEST(test_swap)
{
        char *text = shown("{\"clients\":[{\"pid\":1,\"swap_limit_bytes\":67108864,\"swap_full\":3}]}");

        ck_assert_shows(text, "swap       64M at most, found full 3 times\n");
        free(text);
}
END_TEST

START_TEST(test_nobody)
{
        char *text = shown("{\"version\":\"1\",\"clients\":[]}");

        ck_assert_shows(text, "no programs\n");
        free(text);
}
END_TEST

/* Several files, devices and servers are shown one by one; one alone is the store. */
START_TEST(test_parts)
{
        char *text = shown("{\"store\":{\"parts\":[{\"name\":\"a\",\"disk_bytes\":1048576,"
                           "\"disk_capacity_bytes\":4194304,\"disk_read_bytes\":0,\"disk_written_bytes\":2048,"
                           "\"read_errors\":0,\"write_errors\":0,\"away\":false},"
                           "{\"name\":\"b\",\"disk_bytes\":0,\"read_errors\":3,\"write_errors\":4,\"away\":true}]}}");

        ck_assert_shows(text, "a: 1M of 4M   read 0B   written 2K\n");
        ck_assert_shows(text, "b: 0B of -   read -   written -   failed 3 reads, 4 writes   AWAY\n");
        free(text);
        text = shown("{\"store\":{\"parts\":[{\"name\":\"only\",\"disk_bytes\":1}]}}");
        ck_assert_ptr_null(strstr(text, "only"));
        free(text);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("stats-print");

        tcase_add_test(tc, test_full);
        tcase_add_test(tc, test_not_measured);
        tcase_add_test(tc, test_hostile_name);
        tcase_add_test(tc, test_lost_and_unlimited);
        tcase_add_test(tc, test_swap);
        tcase_add_test(tc, test_nobody);
        tcase_add_test(tc, test_parts);
        return unit_run("stats-print", tc);
}
