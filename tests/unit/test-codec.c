// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Codecs: each page comes back from each codec at each level, into memory that is guarded at both ends; input that
 * was cut, damaged or made up never leads beyond the page, nor beyond itself; and what the configuration may say.
 */
#include "store/codec.h"

#include <errno.h>

#include "content.h"
#include "util/error.h"

static const enum codec packing[] = { CODEC_LZ4, CODEC_ZSTD };
#define PACKING (sizeof(packing) / sizeof(*packing))

static struct codec_work *work;
static unsigned char *page, *out, *in;

static void start(void)
{
        unit_random_start();
        ck_assert_int_eq(codec_work_new(&work), 0);
        page = page_guarded();
        out = page_guarded();
        in = page_guarded();
}

static void stop(void)
{
        codec_work_free(work);
        page_guarded_free(page);
        page_guarded_free(out);
        page_guarded_free(in);
}

/* check writes to a file at each of its asserts: in the inner loops only where something is wrong. */
#define expect(condition)                               \
        do {                                            \
                if (!(condition))                       \
                        ck_abort_msg("%s", #condition); \
        } while (0)

/* Unpacks from the very end of readable memory to the page `out`. */
static int unpack_guarded(enum codec codec, const unsigned char *packed, size_t bytes)
{
        unsigned char *at = in + STORE_PAGE - bytes;

        memcpy(at, packed, bytes);
        return codec_unpack(work, codec, at, bytes, out);
}

static void round_trip(const struct codec_choice *choice)
{
        unsigned char packed[STORE_PAGE];
        size_t bytes = codec_pack(work, choice, page, packed, STORE_PAGE);

        if (!bytes)
                return;
        expect(bytes <= STORE_PAGE);
        memset(out, 0x5a, STORE_PAGE);
        expect(unpack_guarded(choice->codec, packed, bytes) == 0);
        expect(memcmp(out, page, STORE_PAGE) == 0);

        /* Where it fits exactly it is the same; where a byte is missing, nothing. */
        expect(codec_pack(work, choice, page, in + STORE_PAGE - bytes, bytes) == bytes);
        expect(codec_unpack(work, choice->codec, in + STORE_PAGE - bytes, bytes, out) == 0);
        expect(memcmp(out, page, STORE_PAGE) == 0);
        memset(in, 0x5a, STORE_PAGE);
        expect(codec_pack(work, choice, page, in + STORE_PAGE - bytes + 1, bytes - 1) == 0);
        expect(in[STORE_PAGE - bytes + 1] == 0x5a && in[STORE_PAGE - 1] == 0x5a);
        expect(codec_pack(work, choice, page, in + STORE_PAGE, 0) == 0);
}

static int next_level(int level)
{
        return level < -3 ? level / 7 : level + 1;
}

START_TEST(test_round_trip)
{
        for (unsigned c = 0; c < PACKING; c++) {
                struct codec_choice choice = { packing[c], 0 };
                int levels = 0;

                if (!codec_built_in(packing[c]))
                        continue;
                for (int level = -131072; level <= 30; level = next_level(level)) {
                        char text[CODEC_TEXT];

                        choice.level = level;
                        codec_format(&choice, text, sizeof(text));
                        if (codec_parse(text, &choice, NULL) < 0)
                                continue;
                        levels++;
                        for (unsigned k = 0; k < PAGE_KINDS; k++)
                                for (int i = 0; i < (level > 9 ? 3 : 20); i++) {
                                        page_kinds[k].make(page);
                                        round_trip(&choice);
                                }
                }
                ck_assert_int_ge(levels, 15);
        }
}
END_TEST

START_TEST(test_none)
{
        struct codec_choice none = { CODEC_NONE, 0 };

        page_make_random(page);
        ck_assert_uint_eq(codec_pack(work, &none, page, in, STORE_PAGE), STORE_PAGE);
        ck_assert_uint_eq(codec_pack(work, &none, page, in, STORE_PAGE - 1), 0);
        ck_assert_int_eq(codec_unpack(work, CODEC_NONE, in, STORE_PAGE, out), 0);
        ck_assert_mem_eq(out, page, STORE_PAGE);
        ck_assert_int_eq(codec_unpack(work, CODEC_NONE, in, STORE_PAGE - 1, out), -EBADMSG);
        ck_assert_int_eq(codec_unpack(work, CODEC_NONE, in, STORE_PAGE + 1, out), -EBADMSG);
        ck_assert_int_eq(codec_unpack(work, CODEC_NONE, in, 0, out), -EBADMSG);
        ck_assert_int_eq(codec_unpack(work, (enum codec)CODECS, in, STORE_PAGE, out), -EBADMSG);
}
END_TEST

/* Text, programs and sparse pages become smaller; random ones do not fit into less than a page. */
START_TEST(test_sizes)
{
        for (unsigned c = 0; c < PACKING; c++) {
                struct codec_choice choice;
                size_t bytes;

                if (codec_parse(codec_name(packing[c]), &choice, NULL) < 0)
                        continue;
                page_make_text(page);
                bytes = codec_pack(work, &choice, page, in, STORE_PAGE);
                ck_assert(bytes > 100 && bytes < 3000);
                page_make_sparse(page);
                bytes = codec_pack(work, &choice, page, in, STORE_PAGE);
                ck_assert(bytes > 40 && bytes < 400);
                page_make_filled(page);
                bytes = codec_pack(work, &choice, page, in, STORE_PAGE);
                ck_assert(bytes > 0 && bytes < 40);
                page_make_random(page);
                ck_assert_uint_eq(codec_pack(work, &choice, page, in, STORE_PAGE - 64), 0);
        }
}
END_TEST

/* A page that was damaged after it was packed: something comes out or it is refused, within bounds. */
static void damaged(enum codec codec, const unsigned char *packed, size_t bytes)
{
        unsigned char bad[STORE_PAGE];
        unsigned refused = 0;

        for (size_t cut = 0; cut < bytes; cut++) { /* every end but the right one */
                int r = unpack_guarded(codec, packed, cut);

                expect(r == -EBADMSG);
        }
        for (int i = 0; i < 1500; i++) {
                memcpy(bad, packed, bytes);
                for (uint64_t flips = 1 + unit_random(3); flips; flips--)
                        bad[unit_random(bytes)] ^= (unsigned char)(1u << unit_random(8));
                refused += unpack_guarded(codec, bad, bytes) == -EBADMSG;
        }
        expect(refused > 0);
        for (int i = 0; i < 200; i++) { /* something behind it */
                size_t more = unit_random(STORE_PAGE - bytes) + 1;

                memcpy(bad, packed, bytes);
                for (size_t k = bytes; k < bytes + more; k++)
                        bad[k] = (unsigned char)unit_random(256);
                expect(codec != CODEC_ZSTD || unpack_guarded(codec, bad, bytes + more) == -EBADMSG);
                unpack_guarded(codec, bad, bytes + more);
        }
}

START_TEST(test_damaged)
{
        for (unsigned c = 0; c < PACKING; c++) {
                struct codec_choice choice;
                unsigned char packed[STORE_PAGE];

                if (codec_parse(codec_name(packing[c]), &choice, NULL) < 0)
                        continue;
                for (unsigned k = 0; k < PAGE_KINDS; k++) {
                        size_t bytes;

                        page_kinds[k].make(page);
                        bytes = codec_pack(work, &choice, page, packed, STORE_PAGE - 1);
                        if (bytes)
                                damaged(choice.codec, packed, bytes);
                }
                /* and it works as before */
                page_make_text(page);
                round_trip(&choice);
        }
}
END_TEST

START_TEST(test_made_up)
{
        for (unsigned c = 0; c < PACKING; c++)
                for (int i = 0; i < 20000; i++) {
                        unsigned char bad[STORE_PAGE];
                        size_t bytes = 1 + unit_random(unit_random(4) ? 64 : STORE_PAGE);

                        for (size_t k = 0; k < bytes; k++)
                                bad[k] = (unsigned char)unit_random(256);
                        unpack_guarded(packing[c], bad, bytes);
                }
}
END_TEST

/* zstd: a second frame behind the first is not a page, even if it is a good one. */
START_TEST(test_one_frame)
{
        static const unsigned char empty[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00 };
        static const unsigned char skipped[] = { 0x50, 0x2a, 0x4d, 0x18, 0x01, 0x00, 0x00, 0x00, 0x77 };
        struct codec_choice choice = { CODEC_ZSTD, 3 };
        unsigned char packed[STORE_PAGE];
        size_t bytes;

        if (!codec_built_in(CODEC_ZSTD))
                return;
        page_make_text(page);
        bytes = codec_pack(work, &choice, page, packed, STORE_PAGE - 64);
        ck_assert_uint_gt(bytes, 0);
        memcpy(packed + bytes, empty, sizeof(empty));
        ck_assert_int_eq(unpack_guarded(CODEC_ZSTD, packed, bytes + sizeof(empty)), -EBADMSG);
        memcpy(packed + bytes, skipped, sizeof(skipped));
        ck_assert_int_eq(unpack_guarded(CODEC_ZSTD, packed, bytes + sizeof(skipped)), -EBADMSG);
        ck_assert_int_eq(unpack_guarded(CODEC_ZSTD, packed, bytes), 0);
}
END_TEST

START_TEST(test_filled)
{
        uint64_t word = 77;

        for (int i = 0; i < 100; i++) {
                uint64_t want = unit_random(UINT64_MAX) >> unit_random(64);
                unsigned at = (unsigned)unit_random(STORE_PAGE);

                codec_fill(page, want);
                word = ~want;
                ck_assert(codec_filled(page, &word));
                ck_assert_uint_eq(word, want);

                page[at] ^= (unsigned char)(1u << unit_random(8));
                word = 77;
                ck_assert(!codec_filled(page, &word));
                ck_assert_uint_eq(word, 77);
        }
        codec_fill(page, 0);
        ck_assert(codec_filled(page, &word));
        ck_assert_uint_eq(word, 0);
}
END_TEST

static void accepted(const char *text, enum codec codec, int level, const char *again)
{
        struct codec_choice choice = { CODEC_NONE, 77 };
        struct error e = { 0 };
        char buf[CODEC_TEXT];

        if (!codec_built_in(codec)) {
                ck_assert_int_eq(codec_parse(text, &choice, &e), -ENOTSUP);
                ck_assert_ptr_nonnull(strstr(e.text, codec_name(codec)));
                ck_assert_int_eq(choice.level, 77);
                return;
        }
        ck_assert_msg(codec_parse(text, &choice, &e) == 0, "%s: %s", text, e.text);
        ck_assert_int_eq(choice.codec, codec);
        ck_assert_int_eq(choice.level, level);
        ck_assert_str_eq(codec_format(&choice, buf, sizeof(buf)), again);
}

static void refused(const char *text, enum codec needs)
{
        struct codec_choice choice = { CODEC_NONE, 77 };
        struct error e = { 0 };

        ck_assert_int_eq(codec_parse(text, &choice, &e), codec_built_in(needs) ? -EINVAL : -ENOTSUP);
        ck_assert_uint_gt(strlen(e.text), 10);
        ck_assert_int_eq(choice.level, 77);
}

START_TEST(test_parse)
{
        accepted("none", CODEC_NONE, 0, "none");
        accepted("lz4", CODEC_LZ4, 1, "lz4:1");
        accepted("lz4:1", CODEC_LZ4, 1, "lz4:1");
        accepted("lz4:12", CODEC_LZ4, 12, "lz4:12");
        accepted("lz4:-1", CODEC_LZ4, -1, "lz4:-1");
        accepted("lz4:-65536", CODEC_LZ4, -65536, "lz4:-65536");
        accepted("zstd", CODEC_ZSTD, 3, "zstd:3");
        accepted("zstd:1", CODEC_ZSTD, 1, "zstd:1");
        accepted("zstd:22", CODEC_ZSTD, 22, "zstd:22");
        accepted("zstd:-5", CODEC_ZSTD, -5, "zstd:-5");

        static const char *const bad_lz4[] = { "lz4:",   "lz4:0",  "lz4:13", "lz4:-65537",
                                               "lz4:1x", "lz4: 1", "lz4:+1", "lz4:99999999999999999999",
                                               "lz4:1:1" };
        static const char *const bad_zstd[] = { "zstd:",        "zstd:0",    "zstd:23",
                                                "zstd:-131073", "zstd:fast", "zstd:4294967297" };
        static const char *const bad[] = { "", ":", "lz", "lz44", "LZ4", "none:1", "none:", "zst", "gzip", " lz4" };

        for (unsigned i = 0; i < sizeof(bad_lz4) / sizeof(*bad_lz4); i++)
                refused(bad_lz4[i], CODEC_LZ4);
        for (unsigned i = 0; i < sizeof(bad_zstd) / sizeof(*bad_zstd); i++)
                refused(bad_zstd[i], CODEC_ZSTD);
        for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                refused(bad[i], CODEC_NONE);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("codec");

        tcase_set_timeout(tc, 120);
        tcase_add_checked_fixture(tc, start, stop);
        tcase_add_test(tc, test_round_trip);
        tcase_add_test(tc, test_none);
        tcase_add_test(tc, test_sizes);
        tcase_add_test(tc, test_damaged);
        tcase_add_test(tc, test_made_up);
        tcase_add_test(tc, test_one_frame);
        tcase_add_test(tc, test_filled);
        tcase_add_test(tc, test_parse);
        return unit_run("codec", tc);
}
