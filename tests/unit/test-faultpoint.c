// SPDX-License-Identifier: GPL-2.0-or-later
/* Fault points: the text that sets them, and which visits they hit. */
#include "util/error.h"
#include "util/faultpoint.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void set(const char *text)
{
        struct error e = { 0 };

        if (faultpoint_set(text, &e) < 0)
                ck_abort_msg("%s: %s", text, e.text);
}

static void expect(const char *name, enum faultpoint_action action, int64_t value)
{
        struct faultpoint_hit hit = faultpoint_visit(name);

        ck_assert_int_eq(hit.action, action);
        ck_assert_int_eq(hit.value, value);
}

START_TEST(test_none)
{
        expect("read", FAULTPOINT_NONE, 0);
        set("");
        expect("read", FAULTPOINT_NONE, 0);
        set(NULL);
        expect("read", FAULTPOINT_NONE, 0);
}
END_TEST

START_TEST(test_actions)
{
        set("read=errno:EIO,write=short:512,wait=delay:50ms,sync=errno:ENOSPC");
        for (int i = 0; i < 3; i++) {
                expect("read", FAULTPOINT_ERRNO, -EIO);
                expect("write", FAULTPOINT_SHORT, 512);
                expect("wait", FAULTPOINT_DELAY, 50000000);
                expect("sync", FAULTPOINT_ERRNO, -ENOSPC);
                expect("rea", FAULTPOINT_NONE, 0);
                expect("reads", FAULTPOINT_NONE, 0);
        }
        set("other=errno:EXDEV"); /* an x that is not a count */
        expect("read", FAULTPOINT_NONE, 0);
        expect("other", FAULTPOINT_ERRNO, -EXDEV);
        set(NULL);
        expect("other", FAULTPOINT_NONE, 0);
}
END_TEST

START_TEST(test_counts)
{
        set("a=errno:EIO@2x3,b=short:0x1,c=errno:EAGAIN@1");
        for (int i = 0; i < 8; i++) {
                expect("a", i >= 2 && i < 5 ? FAULTPOINT_ERRNO : FAULTPOINT_NONE, i >= 2 && i < 5 ? -EIO : 0);
                expect("b", i == 0 ? FAULTPOINT_SHORT : FAULTPOINT_NONE, 0);
                expect("c", i >= 1 ? FAULTPOINT_ERRNO : FAULTPOINT_NONE, i >= 1 ? -EAGAIN : 0);
        }
        set("a=errno:EIO@1x1"); /* counted anew */
        expect("a", FAULTPOINT_NONE, 0);
        expect("a", FAULTPOINT_ERRNO, -EIO);
        expect("a", FAULTPOINT_NONE, 0);
}
END_TEST

/* Two entries of one name count the same visits; the first that is due is taken. */
START_TEST(test_same_name)
{
        set("a=errno:EIO@1x1,a=errno:ENOSPC@1x2");
        expect("a", FAULTPOINT_NONE, 0);
        expect("a", FAULTPOINT_ERRNO, -EIO);
        expect("a", FAULTPOINT_ERRNO, -ENOSPC);
        expect("a", FAULTPOINT_NONE, 0);
}
END_TEST

/* What is wrong is named, and what was set stays. */
START_TEST(test_refused)
{
        static const char *const bad[] = {
                "a",           "=errno:EIO",  "a=",          "a=errno",      "a=errno:",     "a=errno:EWHAT",
                "a=errno:5",
                "a=delay:50",  "a=delay:",    "a=short:-1",  "a=short:many", "a=kill:9",     "a=explode",     "a=none",
                "a=hang:1s",
                "a=errno:EIO@", "a=errno:EIOx", "a=errno:EIOx0", "a=errno:EIO@-1", "a=errno:EIO@1x", "a=errno:EIOx1@1",
                "a=errno:EIO,", ",",           "b=errno:EIO,a", "a=short:99999999999999999999",
                "a=short:9223372036854775808",
        };

        set("kept=errno:EIO");
        for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct error e = { 0 };
                int r = faultpoint_set(bad[i], &e);

                if (strcmp(bad[i], "a=errno:EIO,") == 0) { /* a comma at the end is no mistake */
                        ck_assert_int_eq(r, 0);
                        set("kept=errno:EIO");
                        continue;
                }
                ck_assert_msg(r == -EINVAL, "%s gives %d", bad[i], r);
                ck_assert_ptr_nonnull(strstr(e.text, "fault point"));
                expect("kept", FAULTPOINT_ERRNO, -EIO);
                expect("b", FAULTPOINT_NONE, 0);
        }
        ck_assert_int_eq(faultpoint_set("a", NULL), -EINVAL);
}
END_TEST

START_TEST(test_hang)
{
        set("a=hang@1x2");
        ck_assert_int_eq(faultpoint_visit("a").action, FAULTPOINT_NONE);
        ck_assert_int_eq(faultpoint_visit("a").action, FAULTPOINT_HANG);
        ck_assert_int_eq(faultpoint_visit("a").action, FAULTPOINT_HANG);
        ck_assert_int_eq(faultpoint_visit("a").action, FAULTPOINT_NONE);
}
END_TEST

START_TEST(test_kill)
{
        set("end=kill@1");
        expect("end", FAULTPOINT_NONE, 0);
        faultpoint_visit("end");
        exit(0);
}
END_TEST

static atomic_int hits;

static void *visit_many(void *arg)
{
        for (int i = 0; i < 10000; i++)
                if (faultpoint_visit(arg).action == FAULTPOINT_ERRNO)
                        atomic_fetch_add(&hits, 1);
        return NULL;
}

/* Of all threads together it is so many, and not one more. */
START_TEST(test_threads)
{
        pthread_t threads[4];

        set("a=errno:EIO@5000x12345");
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, visit_many, (void *)"a"), 0);
        for (int i = 0; i < 100; i++)
                faultpoint_visit("b");
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(atomic_load(&hits), 12345);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("faultpoint");
        TCase *tc = tcase_create("faultpoint");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_none);
        tcase_add_test(tc, test_actions);
        tcase_add_test(tc, test_counts);
        tcase_add_test(tc, test_same_name);
        tcase_add_test(tc, test_refused);
        tcase_add_test(tc, test_hang);
        tcase_add_test_raise_signal(tc, test_kill, SIGKILL);
        tcase_add_test(tc, test_threads);
        suite_add_tcase(suite, tc);

        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
