// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealed pages: that it is AES-256-GCM, that each changed bit is found out, that no nonce comes twice, and that of a
 * key nothing is left in memory when its last reference is gone.
 */
#include "store/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "content.h"
#include "store/seal-internal.h"

#ifdef HAVE_LIBCRYPTO

#include <openssl/evp.h>

#define expect(condition)                               \
        do {                                            \
                if (!(condition))                       \
                        ck_abort_msg("%s", #condition); \
        } while (0)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct seal_keys *keys;
static struct seal_work *work;
static uint32_t key;
static unsigned char *page, *out, *sealed;

static void start(void)
{
        unit_random_start();
        ck_assert_int_eq(seal_keys_new(200, &keys), 0);
        ck_assert_int_eq(seal_work_new(keys, &work), 0);
        ck_assert_int_eq(seal_key_new(keys, &key), 0);
        page = page_guarded();
        out = page_guarded();
        sealed = page_guarded();
}

static void stop(void)
{
        seal_work_free(work);
        seal_keys_free(keys);
        page_guarded_free(page);
        page_guarded_free(out);
        page_guarded_free(sealed);
}

static unsigned from_hex(const char *hex, uint8_t *to)
{
        unsigned n = 0, byte;

        for (; hex[2 * n] && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
                to[n] = (uint8_t)byte;
        return n;
}

/* Test cases 14 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", which NIST points to. */
static const struct vector {
        const char *key, *nonce, *aad, *plain, *cipher, *tag;
} vectors[] = {
        { "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
          "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
        { "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
          "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
          "76fc6ece0f4e1768cddf8853bb2d551b" },
};

START_TEST(test_vectors)
{
        for (unsigned i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
                const struct vector *v = &vectors[i];
                uint8_t secret[32], nonce[12], aad[32], plain[64], cipher[64], tag[16], got[64], got_tag[16];
                unsigned aad_bytes = from_hex(v->aad, aad), bytes = from_hex(v->plain, plain);
                EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

                ck_assert_uint_eq(from_hex(v->key, secret), 32);
                ck_assert_uint_eq(from_hex(v->nonce, nonce), 12);
                ck_assert_uint_eq(from_hex(v->tag, tag), 16);
                ck_assert_uint_eq(from_hex(v->cipher, cipher), bytes);
                ck_assert_int_eq(seal_cipher_key(ctx, secret), 0);
                ck_assert_int_eq(seal_cipher(ctx, true, nonce, aad, aad_bytes, plain, bytes, got, got_tag), 0);
                ck_assert_mem_eq(got, cipher, bytes);
                ck_assert_mem_eq(got_tag, tag, 16);
                ck_assert_int_eq(seal_cipher(ctx, false, nonce, aad, aad_bytes, cipher, bytes, got, tag), 0);
                ck_assert_mem_eq(got, plain, bytes);
                EVP_CIPHER_CTX_free(ctx);
        }
}
END_TEST

/* What a seal is made of, by hand: the nonce and the additional data are as seal.c says. */
START_TEST(test_layout)
{
        uint8_t nonce[12] = { 'p', 'a', 'g', 'e', 2 },
                aad[12] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 100 };
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        struct seal seal;
        uint8_t tag[16];

        page_make_text(page);
        for (unsigned i = 0; i < 3; i++) {
                ck_assert_int_eq(seal_close(work, key, 0x1122334455667788, page, 100, sealed, &seal), 0);
                ck_assert_uint_eq(seal.counter, i);
                ck_assert_uint_eq(seal.key, key);
        }
        ck_assert_int_eq(seal_cipher_key(ctx, seal_keys_slot(keys, key)->secret), 0);
        ck_assert_int_eq(seal_cipher(ctx, true, nonce, aad, 12, page, 100, out, tag), 0);
        ck_assert_mem_eq(out, sealed, 100);
        ck_assert_mem_eq(tag, seal.tag, 16);
        EVP_CIPHER_CTX_free(ctx);
}
END_TEST

START_TEST(test_round_trip)
{
        for (int i = 0; i < 3000; i++) {
                size_t bytes = i % 10 ? 1 + unit_random(STORE_PAGE) : i % 20 ? 1 : STORE_PAGE;
                uint64_t where = unit_random(UINT64_MAX);
                unsigned char *from = page + STORE_PAGE - bytes, *to = sealed + STORE_PAGE - bytes,
                              *back = out + STORE_PAGE - bytes;
                struct seal seal;

                page_kinds[i % PAGE_KINDS].make(page);
                expect(seal_close(work, key, where, from, bytes, to, &seal) == 0);
                expect(bytes < 32 || memcmp(from, to, bytes) != 0);
                expect(seal_open(work, where, to, bytes, &seal, back) == 0);
                expect(memcmp(back, from, bytes) == 0);
                /* in place, both ways */
                memcpy(to, from, bytes);
                expect(seal_close(work, key, where, to, bytes, to, &seal) == 0);
                expect(bytes < 32 || memcmp(from, to, bytes) != 0);
                expect(seal_open(work, where, to, bytes, &seal, to) == 0);
                expect(memcmp(to, from, bytes) == 0);
        }
}
END_TEST

static void not_opened(uint64_t where, size_t bytes, const struct seal *seal)
{
        memset(out, 0x5a, STORE_PAGE);
        expect(seal_open(work, where, sealed, bytes, seal, out) == -EBADMSG);
        for (size_t i = 0; i < STORE_PAGE; i++)
                expect(out[i] == (i < bytes ? 0 : 0x5a));
}

START_TEST(test_changed)
{
        static const size_t sizes[] = { 1, 15, 16, 17, 333, STORE_PAGE };

        for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
                size_t bytes = sizes[s];
                uint64_t where = unit_random(UINT64_MAX);
                struct seal seal, bad;

                page_make_text(page);
                ck_assert_int_eq(seal_close(work, key, where, page, bytes, sealed, &seal), 0);
                for (size_t bit = 0; bit<bytes * 8; bit += bytes> 1000 ? 37 : 1) {
                        sealed[bit / 8] ^= (unsigned char)(1u << bit % 8);
                        not_opened(where, bytes, &seal);
                        sealed[bit / 8] ^= (unsigned char)(1u << bit % 8);
                }
                for (unsigned bit = 0; bit < 8 * SEAL_TAG; bit++) {
                        bad = seal;
                        bad.tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
                        not_opened(where, bytes, &bad);
                }
                for (unsigned bit = 0; bit < 64; bit++) {
                        not_opened(where ^ UINT64_C(1) << bit, bytes, &seal);
                        bad = seal;
                        bad.counter ^= UINT64_C(1) << bit;
                        not_opened(where, bytes, &bad);
                }
                for (size_t other = 0; other <= STORE_PAGE; other += other < 40 ? 1 : 97)
                        if (other != bytes)
                                not_opened(where, other, &seal);
                ck_assert_int_eq(seal_open(work, where, sealed, bytes, &seal, out), 0);
                ck_assert_mem_eq(out, page, bytes);
        }
}
END_TEST

/* More keys than there are contexts: each opens what it has closed, and nothing else. */
START_TEST(test_keys)
{
        enum { KEYS = 9 };
        uint32_t k[KEYS];
        struct seal seals[KEYS];
        static unsigned char pages[KEYS][STORE_PAGE];

        page_make_text(page);
        for (unsigned i = 0; i < KEYS; i++) {
                ck_assert_int_eq(seal_key_new(keys, &k[i]), 0);
                ck_assert_int_eq(seal_close(work, k[i], 5, page, STORE_PAGE, pages[i], &seals[i]), 0);
        }
        for (int n = 0; n < 500; n++) {
                unsigned i = (unsigned)unit_random(KEYS), other = (unsigned)unit_random(KEYS);
                struct seal wrong = seals[i];

                expect(seal_open(work, 5, pages[i], STORE_PAGE, &seals[i], out) == 0);
                expect(memcmp(out, page, STORE_PAGE) == 0);
                wrong.key = k[other];
                expect(seal_open(work, 5, pages[i], STORE_PAGE, &wrong, out) == (other == i ? 0 : -EBADMSG));
        }
        struct seal wrong = seals[0];
        static const uint32_t none[] = { 0, 150, 200, 201, UINT32_MAX };

        for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++) {
                wrong.key = none[i];
                ck_assert_int_eq(seal_open(work, 5, pages[0], STORE_PAGE, &wrong, out), -EBADMSG);
        }
}
END_TEST

/* A number is used again by another key: neither opens what the other has sealed, whatever contexts remember. */
START_TEST(test_number_again)
{
        struct seal seal;
        uint32_t again;

        page_make_text(page);
        ck_assert_int_eq(seal_close(work, key, 1, page, 500, sealed, &seal), 0);
        seal_key_ref(keys, key, 2);
        seal_key_unref(keys, key, 2);
        ck_assert(seal_key_lives(keys, key));
        ck_assert_uint_eq(seal_keys_count(keys), 1);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), 0);

        seal_key_unref(keys, key, 1);
        ck_assert(!seal_key_lives(keys, key));
        ck_assert_uint_eq(seal_keys_count(keys), 0);
        for (unsigned i = 0; i < SEAL_KEY_BYTES; i++)
                ck_assert_uint_eq(seal_keys_slot(keys, key)->secret[i], 0);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), -EBADMSG);

        ck_assert_int_eq(seal_key_new(keys, &again), 0);
        ck_assert_uint_eq(again, key);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), -EBADMSG);
        ck_assert_int_eq(seal_close(work, again, 1, page, 500, sealed, &seal), 0);
        ck_assert_uint_eq(seal.counter, 0);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), 0);
        ck_assert_mem_eq(out, page, 500);
}
END_TEST

/* How often a secret, of which one has each byte inverted, is in memory that can be written. */
static unsigned times_in_memory(const uint8_t inverted[SEAL_KEY_BYTES])
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512], flags[5];
        unsigned found = 0;
        uintptr_t from, to;

        ck_assert_ptr_nonnull(maps);
        while (fgets(line, sizeof(line), maps)) {
                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, flags) != 3 ||
                    strncmp(flags, "rw", 2) != 0 || strstr(line, "[vvar"))
                        continue;
                for (const uint8_t *at = (const uint8_t *)from; at + SEAL_KEY_BYTES <= (const uint8_t *)to; at += 4) {
                        unsigned i = 0;

                        while (i < SEAL_KEY_BYTES && (at[i] ^ inverted[i]) == 0xff)
                                i++;
                        found += i == SEAL_KEY_BYTES;
                }
        }
        fclose(maps);
        return found;
}

START_TEST(test_key_is_gone)
{
        uint8_t inverted[SEAL_KEY_BYTES];
        uint32_t others[2];
        struct seal seal;
        unsigned live;

        if (SANITIZED) {
                puts("not with a sanitizer: its own memory is too large to be looked through");
                return;
        }
        page_make_text(page);
        for (unsigned i = 0; i < SEAL_KEY_BYTES; i++)
                inverted[i] = (uint8_t)~seal_keys_slot(keys, key)->secret[i];
        ck_assert_int_eq(seal_close(work, key, 1, page, 500, sealed, &seal), 0);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), 0);
        for (unsigned i = 0; i < 2; i++) {
                ck_assert_int_eq(seal_key_new(keys, &others[i]), 0);
                ck_assert_int_eq(seal_close(work, others[i], 1, page, 500, sealed, &seal), 0);
        }
        live = times_in_memory(inverted);
        printf("a live key is in memory %u times\n", live);
        ck_assert_uint_ge(live, 2); /* the table, a context */

        seal_key_unref(keys, key, 1);
        ck_assert_uint_lt(times_in_memory(inverted), live);
        seal_work_tidy(work);
        ck_assert_uint_eq(times_in_memory(inverted), 0);
        ck_assert_int_eq(seal_open(work, 1, sealed, 500, &seal, out), 0); /* the others work on */
}
END_TEST

/* The table's memory is locked, not in core dumps, and not in children. */
START_TEST(test_memory_flags)
{
        FILE *smaps = fopen("/proc/self/smaps", "re");
        uintptr_t at = (uintptr_t)seal_keys_slot(keys, key), from, to;
        bool here = false, seen = false;
        char line[512];

        ck_assert_ptr_nonnull(smaps);
        while (fgets(line, sizeof(line), smaps)) {
                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
                        here = from <= at && at < to;
                if (here && strncmp(line, "VmFlags:", 8) == 0) {
                        seen = true;
                        if (!SANITIZED)                                     /* which make mlock(2) do nothing */
                                ck_assert_ptr_nonnull(strstr(line, " lo")); /* locked */
                        ck_assert_ptr_nonnull(strstr(line, " dd"));         /* do not dump */
                        ck_assert_ptr_nonnull(strstr(line, " wf"));         /* wipe on fork */
                }
        }
        fclose(smaps);
        ck_assert(seen);
}
END_TEST

START_TEST(test_table)
{
        struct seal_keys *few = NULL;
        uint32_t k[3], more = 77;

        ck_assert_int_eq(seal_keys_new(0, &few), -EINVAL);
        ck_assert_int_eq(seal_keys_new(SEAL_KEYS_MOST + 1, &few), -EINVAL);
        ck_assert_ptr_null(few);
        ck_assert_int_eq(seal_keys_new(3, &few), 0);
        for (unsigned i = 0; i < 3; i++) {
                ck_assert_int_eq(seal_key_new(few, &k[i]), 0);
                ck_assert_uint_eq(k[i], i + 1);
        }
        ck_assert_int_eq(seal_key_new(few, &more), -ENOSPC);
        ck_assert_uint_eq(more, 77);
        ck_assert_mem_ne(seal_keys_slot(few, 1)->secret, seal_keys_slot(few, 2)->secret, SEAL_KEY_BYTES);
        seal_key_unref(few, 1, 1);
        seal_key_unref(few, 3, 1);
        ck_assert_int_eq(seal_key_new(few, &more), 0);
        ck_assert_uint_eq(more, 3);
        ck_assert_int_eq(seal_key_new(few, &more), 0);
        ck_assert_uint_eq(more, 1);
        ck_assert_int_eq(seal_key_new(few, &more), -ENOSPC);
        seal_keys_free(few);
        seal_keys_free(NULL);
        seal_work_free(NULL);
}
END_TEST

START_TEST(test_overflow)
{
        struct seal seal = { .counter = 77 };

        page_make_text(page);
        atomic_store(&seal_keys_slot(keys, key)->counter, SEAL_COUNT_MOST - 1);
        ck_assert_int_eq(seal_close(work, key, 1, page, 10, sealed, &seal), 0);
        ck_assert_uint_eq(seal.counter, SEAL_COUNT_MOST - 1);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(seal_close(work, key, 1, page, 10, out, &seal), -EOVERFLOW);
        ck_assert_uint_eq(seal.counter, SEAL_COUNT_MOST - 1);
        ck_assert_int_eq(seal_open(work, 1, sealed, 10, &seal, out), 0);
}
END_TEST

#define THREADS 4
#define SEALS   10000

static uint64_t counters[THREADS][SEALS];

static void *many_seals(void *arg)
{
        uint64_t *mine = arg;
        struct seal_work *own = NULL;
        unsigned char bytes[64] = { 1 }, closed[64];
        struct seal seal;

        expect(seal_work_new(keys, &own) == 0);
        for (unsigned i = 0; i < SEALS; i++) {
                expect(seal_close(own, key, i, bytes, sizeof(bytes), closed, &seal) == 0);
                mine[i] = seal.counter;
                expect(seal_open(own, i, closed, sizeof(closed), &seal, closed) == 0);
        }
        seal_work_free(own);
        return NULL;
}

/* Each thread makes keys, seals, hands references around, and ends them. */
static void *many_keys(void *arg)
{
        struct seal_work *own = NULL;
        unsigned char bytes[64] = { 1 }, closed[64];
        struct seal seal;

        (void)arg;
        expect(seal_work_new(keys, &own) == 0);
        for (unsigned i = 0; i < 3000; i++) {
                uint32_t k[3];

                for (unsigned j = 0; j < 3; j++) {
                        expect(seal_key_new(keys, &k[j]) == 0);
                        seal_key_ref(keys, k[j], 5);
                        seal_key_ref(keys, key, 3);
                        expect(seal_close(own, k[j], i, bytes, sizeof(bytes), closed, &seal) == 0);
                        expect(seal.counter == 0);
                }
                for (unsigned j = 0; j < 3; j++) {
                        seal_key_unref(keys, k[j], 4);
                        expect(seal_key_lives(keys, k[j]));
                        if (j == 2)
                                expect(seal_open(own, i, closed, sizeof(closed), &seal, closed) == 0);
                        seal_key_unref(keys, k[j], 2);
                        seal_key_unref(keys, key, 3);
                }
        }
        seal_work_free(own);
        return NULL;
}

static void in_threads(void *(*body)(void *))
{
        pthread_t threads[THREADS];

        for (unsigned i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, body, counters[i]), 0);
        for (unsigned i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(test_no_nonce_twice)
{
        static bool seen[THREADS * SEALS];

        in_threads(many_seals);
        for (unsigned t = 0; t < THREADS; t++)
                for (unsigned i = 0; i < SEALS; i++) {
                        expect(counters[t][i] < THREADS * SEALS);
                        expect(!seen[counters[t][i]]);
                        seen[counters[t][i]] = true;
                }
}
END_TEST

START_TEST(test_references_in_threads)
{
        in_threads(many_keys);
        ck_assert_uint_eq(seal_keys_count(keys), 1);
        ck_assert_uint_eq(atomic_load(&seal_keys_slot(keys, key)->refs), 1);
        for (uint32_t k = 1; k <= 200; k++) {
                const struct seal_slot *slot = seal_keys_slot(keys, k);

                for (unsigned i = 0; slot && k != key && i < SEAL_KEY_BYTES; i++)
                        expect(slot->secret[i] == 0);
        }
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("seal");

        tcase_set_timeout(tc, 120);
        tcase_add_checked_fixture(tc, start, stop);
        tcase_add_test(tc, test_vectors);
        tcase_add_test(tc, test_layout);
        tcase_add_test(tc, test_round_trip);
        tcase_add_test(tc, test_changed);
        tcase_add_test(tc, test_keys);
        tcase_add_test(tc, test_number_again);
        tcase_add_test(tc, test_key_is_gone);
        tcase_add_test(tc, test_memory_flags);
        tcase_add_test(tc, test_table);
        tcase_add_test(tc, test_overflow);
        tcase_add_test(tc, test_no_nonce_twice);
        tcase_add_test(tc, test_references_in_threads);
        return unit_run("seal", tc);
}

#else

START_TEST(test_not_built_in)
{
        struct seal_keys *keys = NULL;
        struct seal_work *work = NULL;

        ck_assert(!seal_built_in());
        ck_assert_int_eq(seal_keys_new(3, &keys), 0);
        ck_assert_int_eq(seal_work_new(keys, &work), -ENOTSUP);
        ck_assert_ptr_null(work);
        seal_keys_free(keys);
}
END_TEST

int main(void)
{
        TCase *tc = tcase_create("seal");

        tcase_add_test(tc, test_not_built_in);
        return unit_run("seal", tc);
}

#endif
