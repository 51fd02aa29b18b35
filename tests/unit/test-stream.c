// SPDX-License-Identifier: GPL-2.0-or-later
/* Who goes on in sequence is given more. */
#include "model/stream.h"

#include "model/page.h"
#include "unit-run.h"

/* One access at addr that is given all it may have. Returns how many pages that was. */
static uint32_t give(struct streams *s, uint32_t tid, uint64_t addr)
{
        uint32_t run = stream_run(s, tid, addr);

        stream_given(s, tid, addr, run);
        return run;
}

START_TEST(test_growth)
{
        static const uint32_t want[] = { 1, 2, 4, 8, 16, 32, 64, 64, 64 };
        struct streams s = { 0 };
        uint64_t addr = 0x100000;

        for (unsigned i = 0; i < sizeof(want) / sizeof(*want); i++) {
                ck_assert_uint_eq(give(&s, 7, addr), want[i]);
                addr += want[i] * PAGE_SIZE_;
        }
        ck_assert_uint_eq(give(&s, 7, addr + PAGE_SIZE_), 1);
        ck_assert_uint_eq(give(&s, 7, addr + 2 * PAGE_SIZE_), 2);
        ck_assert_uint_eq(give(&s, 7, addr), 1);
}
END_TEST

/* The run grows from what was really given, and the next access is expected behind that. */
START_TEST(test_given_less)
{
        struct streams s = { 0 };

        stream_given(&s, 7, 0x100000, 16);
        ck_assert_uint_eq(stream_run(&s, 7, 0x110000), 32);
        stream_given(&s, 7, 0x110000, 3);
        ck_assert_uint_eq(stream_run(&s, 7, 0x130000), 1);
        ck_assert_uint_eq(stream_run(&s, 7, 0x113000), 6);
        stream_given(&s, 7, 0x113000, 0);
        ck_assert_uint_eq(stream_run(&s, 7, 0x113000), 2);
}
END_TEST

START_TEST(test_threads)
{
        struct streams s = { 0 };
        uint64_t addr = 0x100000;

        for (uint32_t tid = 1; tid <= STREAMS; tid++)
                ck_assert_uint_eq(give(&s, tid, addr * tid), 1);
        for (uint32_t tid = 1; tid <= STREAMS; tid++) {
                ck_assert_uint_eq(stream_run(&s, tid + 1, addr * tid + PAGE_SIZE_), 1);
                ck_assert_uint_eq(give(&s, tid, addr * tid + PAGE_SIZE_), 2);
        }
        /* One more takes the place of one of them, and all others keep theirs. */
        ck_assert_uint_eq(give(&s, 1000, addr), 1);
        ck_assert_uint_eq(give(&s, 1000, addr + PAGE_SIZE_), 2);
        uint32_t kept = 0;

        for (uint32_t tid = 1; tid <= STREAMS; tid++)
                kept += stream_run(&s, tid, addr * tid + 3 * PAGE_SIZE_) == 4;
        ck_assert_uint_eq(kept, STREAMS - 1);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("stream");

        tcase_add_test(tc, test_growth);
        tcase_add_test(tc, test_given_less);
        tcase_add_test(tc, test_threads);
        return unit_run("stream", tc);
}
