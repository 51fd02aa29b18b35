// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One key a client, which lives as long as a page that was sealed with it: the client has a reference, and so has
 * each of its stored pages, since fork shares those with others. The last reference overwrites the key. From then on
 * those bytes on the disk, wherever they were copied to, are nobody's any more.
 *
 * So keys are nowhere but in this table (and, expanded, in contexts of seal.c, which follow): memory of its own that
 * is locked (never in a swap), left out of core dumps, and zeros in a child of fork(2). It is reserved for all keys
 * and locked a page at a time as keys come; numbers of ended keys are used again first.
 *
 * References and counters are atomic. The mutex is for beginnings and ends of keys.
 */
#include "store/seal-keys.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "store/seal-internal.h"

#define LOCK_BYTES 4096u /* locked at once */
#define LOCK_SLOTS (LOCK_BYTES / sizeof(struct seal_slot))

struct seal_keys {
        pthread_mutex_t mutex;
        struct seal_slot *slots; /* that of key k is slots[k - 1] */
        size_t bytes;            /* of them, whole pages */
        uint32_t most;
        _Atomic uint32_t made; /* numbers given out at least once: 1 to made */
        uint32_t free;         /* the first free one of those; 0: none */
        uint32_t count;
        uint64_t serial; /* the last one given */
        _Atomic uint64_t ended;
};

int seal_keys_new(uint32_t most, struct seal_keys **out)
{
        struct seal_keys *keys;
        void *slots;
        int r = 0;

        if (!most || most > SEAL_KEYS_MOST)
                return -EINVAL;
        keys = calloc(1, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        keys->most = most;
        keys->bytes = (most + LOCK_SLOTS - 1) / LOCK_SLOTS * LOCK_BYTES;
        slots = mmap(NULL, keys->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (slots == MAP_FAILED) {
                free(keys);
                return -ENOMEM;
        }
        if (madvise(slots, keys->bytes, MADV_DONTDUMP) < 0 || madvise(slots, keys->bytes, MADV_WIPEONFORK) < 0)
                r = -errno;
        if (r < 0) {
                munmap(slots, keys->bytes);
                free(keys);
                return r;
        }
        keys->slots = slots;
        pthread_mutex_init(&keys->mutex, NULL);
        *out = keys;
        return 0;
}

void seal_keys_free(struct seal_keys *keys)
{
        if (!keys)
                return;
        explicit_bzero(keys->slots, atomic_load(&keys->made) * sizeof(keys->slots[0]));
        munmap(keys->slots, keys->bytes);
        pthread_mutex_destroy(&keys->mutex);
        free(keys);
}

struct seal_slot *seal_keys_slot(const struct seal_keys *keys, uint32_t key)
{
        return key && key <= atomic_load_explicit(&keys->made, memory_order_acquire) ? &keys->slots[key - 1] : NULL;
}

uint64_t seal_keys_ended(const struct seal_keys *keys)
{
        return atomic_load_explicit(&keys->ended, memory_order_acquire);
}

static int random_bytes(void *to, size_t bytes)
{
        ssize_t got;

        do
                got = getrandom(to, bytes, 0);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return -errno;
        return (size_t)got == bytes ? 0 : -EIO; /* up to 256 bytes are never cut (getrandom(2)) */
}

/* A number that was not given out before, in memory that is locked; the mutex is held. */
static int number_new(struct seal_keys *keys, uint32_t *key)
{
        uint32_t made = atomic_load_explicit(&keys->made, memory_order_relaxed);

        if (made == keys->most)
                return -ENOSPC;
        if (made % LOCK_SLOTS == 0 && mlock(&keys->slots[made], LOCK_BYTES) < 0)
                return -errno;
        *key = made + 1;
        return 0;
}

int seal_key_new(struct seal_keys *keys, uint32_t *key)
{
        struct seal_slot *slot;
        uint32_t number;
        int r = 0;

        pthread_mutex_lock(&keys->mutex);
        number = keys->free;
        if (!number)
                r = number_new(keys, &number);
        if (r == 0) {
                slot = &keys->slots[number - 1];
                r = random_bytes(slot->secret, sizeof(slot->secret));
        }
        if (r == 0) {
                if (number == keys->free)
                        keys->free = slot->next;
                slot->next = 0;
                atomic_store_explicit(&slot->counter, 0, memory_order_relaxed);
                atomic_store_explicit(&slot->serial, ++keys->serial, memory_order_relaxed);
                atomic_store_explicit(&slot->refs, 1, memory_order_release);
                if (number > atomic_load_explicit(&keys->made, memory_order_relaxed))
                        atomic_store_explicit(&keys->made, number, memory_order_release);
                keys->count++;
        }
        pthread_mutex_unlock(&keys->mutex);
        if (r == 0)
                *key = number;
        return r;
}

void seal_key_ref(struct seal_keys *keys, uint32_t key, uint64_t n)
{
        struct seal_slot *slot = seal_keys_slot(keys, key);
        uint64_t before;

        assert(slot);
        before = atomic_fetch_add_explicit(&slot->refs, n, memory_order_relaxed);
        assert(before && before + n >= before);
        (void)before;
}

void seal_key_unref(struct seal_keys *keys, uint32_t key, uint64_t n)
{
        struct seal_slot *slot = seal_keys_slot(keys, key);
        uint64_t before;

        assert(slot);
        /* What others did with the key has been done before it is overwritten here. */
        before = atomic_fetch_sub_explicit(&slot->refs, n, memory_order_acq_rel);
        assert(before >= n);
        if (!n || before != n)
                return;

        pthread_mutex_lock(&keys->mutex);
        explicit_bzero(slot->secret, sizeof(slot->secret));
        atomic_store_explicit(&slot->serial, 0, memory_order_relaxed);
        slot->next = keys->free;
        keys->free = key;
        keys->count--;
        atomic_fetch_add_explicit(&keys->ended, 1, memory_order_release);
        pthread_mutex_unlock(&keys->mutex);
}

bool seal_key_lives(const struct seal_keys *keys, uint32_t key)
{
        const struct seal_slot *slot = seal_keys_slot(keys, key);

        return slot && atomic_load_explicit(&slot->refs, memory_order_acquire) > 0;
}

uint32_t seal_keys_count(struct seal_keys *keys)
{
        uint32_t count;

        pthread_mutex_lock(&keys->mutex);
        count = keys->count;
        pthread_mutex_unlock(&keys->mutex);
        return count;
}
