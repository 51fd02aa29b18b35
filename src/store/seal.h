/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/seal-keys.h"

#define SEAL_TAG        16u
#define SEAL_COUNT_MOST (UINT64_C(1) << 48) /* seals by one key: see seal.c */

/* What is needed to open it again, and to know that it is the same. Kept outside of the store. No secret. */
struct seal {
        uint64_t counter;
        uint32_t key;
        uint8_t tag[SEAL_TAG];
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct seal) == 28, "there is one for each stored page");

/* The contexts of one thread. */
struct seal_work;

/* Whether this build can seal. */
bool seal_built_in(void);

/* For the keys of one table. 0, -ENOMEM, or -ENOTSUP (not in this build); *out is untouched on failure. */
int seal_work_new(struct seal_keys *keys, struct seal_work **out);
void seal_work_free(struct seal_work *work);

/*
 * Contexts hold what was derived from the keys that were used last. Each use of the work overwrites what is of keys
 * that have ended meanwhile, and so does this: a thread calls it when it has been told of a client's end, or now and
 * then.
 */
void seal_work_tidy(struct seal_work *work);

/*
 * Encrypts `bytes` (1 to STORE_PAGE) bytes at `in` to as many at `out`, which may be `in` itself but not overlap with
 * it otherwise, for the location `where`, and fills in *seal. The caller has a reference to the key. 0, -EOVERFLOW
 * (the key has sealed SEAL_COUNT_MOST times) or -EIO (libcrypto: no memory); then *seal is untouched, and what is at
 * out is not said.
 */
int seal_close(struct seal_work *work, uint32_t key, uint64_t where, const void *in, size_t bytes, void *out,
               struct seal *seal);

/*
 * Decrypts what seal_close() made, under the same rules for in and out. 0, or -EBADMSG: these bytes, this many, were
 * not sealed like that for this location, or the key has ended; then what is at out is zeros. -EIO as above.
 */
int seal_open(struct seal_work *work, uint64_t where, const void *in, size_t bytes, const struct seal *seal, void *out);

#endif
