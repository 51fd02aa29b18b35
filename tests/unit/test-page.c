// SPDX-License-Identifier: GPL-2.0-or-later
/* A page's entry: every transition against a table of its own, and that what is put into an entry is read from it. */
#include "model/page.h"

#include <string.h>

#include "unit-run.h"

/* Row: from; column: to; in the order of enum page_state. */
static const char *const legal[PAGE_N_STATES] = {
        /*                 N C E B S F K P Z   (B: standby, S: stored, K: clean, Z: zero) */
        [PAGE_NATIVE] = "111111111",  [PAGE_CLEARED] = "110000000",  [PAGE_EVICTING] = "111100101",
        [PAGE_STANDBY] = "110110100", [PAGE_STORED] = "110011000",   [PAGE_FETCHING] = "110011110",
        [PAGE_CLEAN] = "111010100",   [PAGE_POISONED] = "110000010", [PAGE_ZERO] = "110000001",
};

START_TEST(test_transitions)
{
        for (unsigned from = 0; from < PAGE_N_STATES; from++)
                for (unsigned to = 0; to < PAGE_N_STATES; to++)
                        ck_assert_msg(page_may_become(from, to) == (legal[from][to] == '1'), "%s -> %s",
                                      page_state_name(from), page_state_name(to));
        ck_assert(!page_may_become(PAGE_N_STATES, PAGE_NATIVE));
        ck_assert(!page_may_become(PAGE_NATIVE, PAGE_N_STATES));
        ck_assert(!page_may_become(15, 15));
}
END_TEST

START_TEST(test_entry)
{
        static const uint32_t index[] = { 0, 1, 255, 256, 2047, 0x55555, PAGE_INDEX_MAX };
        static const uint64_t loc[] = { 0, 1, 0x123456789, UINT64_C(1) << 35, PAGE_LOC_MAX };

        ck_assert_uint_eq(page_make(PAGE_NATIVE, 0, 0), 0);
        for (unsigned state = 0; state < PAGE_N_STATES; state++)
                for (unsigned i = 0; i < sizeof(index) / sizeof(*index); i++)
                        for (unsigned k = 0; k < sizeof(loc) / sizeof(*loc); k++) {
                                page_entry e = page_make(state, index[i], loc[k]);

                                ck_assert_uint_eq(page_state(e), state);
                                ck_assert_uint_eq(page_index(e), index[i]);
                                ck_assert_uint_eq(page_loc(e), loc[k]);
                                ck_assert_uint_eq(e & 0xf0, 0);
                        }
}
END_TEST

START_TEST(test_names)
{
        for (unsigned a = 0; a < PAGE_N_STATES; a++)
                for (unsigned b = 0; b < a; b++)
                        ck_assert_str_ne(page_state_name(a), page_state_name(b));
        ck_assert_str_eq(page_state_name(PAGE_NATIVE), "native");
        ck_assert_str_eq(page_state_name(PAGE_POISONED), "poisoned");
        ck_assert_str_eq(page_state_name(PAGE_N_STATES), "invalid");
        ck_assert_uint_eq(page_floor(0x7fff12345fff), 0x7fff12345000);
        ck_assert_uint_eq(page_floor(0x7fff12345000), 0x7fff12345000);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("page");

        tcase_add_test(tc, test_transitions);
        tcase_add_test(tc, test_entry);
        tcase_add_test(tc, test_names);
        return unit_run("page", tc);
}
