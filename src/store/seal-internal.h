/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What seal.c sees of a key, and what the tests look at. */
#ifndef STORE_SEAL_INTERNAL_H
#define STORE_SEAL_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_BYTES   32u
#define SEAL_NONCE_BYTES 12u

struct seal_keys;

/* A key in the table. */
struct seal_slot {
        uint8_t secret[SEAL_KEY_BYTES];
        _Atomic uint64_t counter; /* of the next seal */
        _Atomic uint64_t refs;    /* 0: there is no key here */
        _Atomic uint64_t serial;  /* no two keys of a table ever have the same; 0: there is no key here */
        uint32_t next;            /* the next free number; the table's */
        uint32_t unused;
};
_Static_assert(sizeof(struct seal_slot) == 64, "a cache line each");

/* The place of key `key`, which is one of those that were given out once; NULL for any other number. */
struct seal_slot *seal_keys_slot(const struct seal_keys *keys, uint32_t key);

/* How many keys have ended so far; those are overwritten, and have no serial, when one reads this. */
uint64_t seal_keys_ended(const struct seal_keys *keys);

struct evp_cipher_ctx_st;

/*
 * The cipher itself, with a context that has its key: encrypts, or decrypts with the tag to compare with. 0, -EBADMSG
 * (decrypting: another tag) or -EIO.
 */
int seal_cipher(struct evp_cipher_ctx_st *ctx, bool encrypt, const uint8_t nonce[SEAL_NONCE_BYTES], const void *aad,
                size_t aad_bytes, const void *in, size_t bytes, void *out, uint8_t *tag);

/* Gives a context, new or used, a key. 0 or -EIO. */
int seal_cipher_key(struct evp_cipher_ctx_st *ctx, const uint8_t secret[SEAL_KEY_BYTES]);

#endif
