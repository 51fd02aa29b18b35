/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_SEAL_KEYS_H
#define STORE_SEAL_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct seal_keys;

#define SEAL_KEYS_MOST (UINT32_C(1) << 20)

/*
 * A table for up to `most` (1 to SEAL_KEYS_MOST) keys at a time; it takes memory for those that there are. 0, -EINVAL,
 * -ENOMEM, or what the kernel says where it cannot keep memory out of core dumps and of children (madvise(2): Linux
 * 4.14 can). *out is untouched on failure.
 */
int seal_keys_new(uint32_t most, struct seal_keys **out);

/* Ends all keys that are left. No other thread uses the table any longer. */
void seal_keys_free(struct seal_keys *keys);

/*
 * A new random key, with one reference. *key is its number: 1 to `most`, never 0, and given out again only when all
 * references are gone. 0, -ENOSPC (there are `most`), or what getrandom(2) or mlock(2) say: a key is in locked
 * memory, or there is none.
 */
int seal_key_new(struct seal_keys *keys, uint32_t *key);

/*
 * n references more, or less, to a key to which the caller has one. With the last it is overwritten, and what it has
 * sealed cannot be opened any more; no thread may be about to use it then. Any thread.
 */
void seal_key_ref(struct seal_keys *keys, uint32_t key, uint64_t n);
void seal_key_unref(struct seal_keys *keys, uint32_t key, uint64_t n);

/* Whether it has references; any number may be asked for. */
bool seal_key_lives(const struct seal_keys *keys, uint32_t key);

/* How many keys there are. */
uint32_t seal_keys_count(struct seal_keys *keys);

#endif
