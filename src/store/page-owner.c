// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose pages are written, and how: each owner has a codec, a key if his pages are sealed, and a part of the memory for
 * packed pages. In a store that packs nothing there are no owners.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/page-store-internal.h"
#include "store/ram.h"
#include "store/seal.h"

int page_owner_new(struct store *store, const struct store_owner_config *config, struct store_owner **out)
{
        struct page_store *s = page_store_of(store);
        struct store_owner *o;
        int r;

        if (!s->packs)
                return 0;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->codec = config->codec;
        o->sealed = config->sealed && s->keys;
        r = o->sealed ? seal_key_new(s->keys, &o->key) : 0;
        if (r == 0 && config->ram && s->ram) {
                r = ram_owner_new(s->ram, 0, &o->ram);
                if (r < 0 && o->sealed)
                        seal_key_unref(s->keys, o->key, 1);
        }
        if (r < 0) {
                free(o);
                return r;
        }
        *out = o;
        return 0;
}

void page_owner_free(struct store *store, struct store_owner *o)
{
        assert(!o->back);
        if (o->ram)
                ram_owner_end(o->ram);
        if (o->sealed)
                seal_key_unref(page_store_of(store)->keys, o->key, 1);
        free(o);
}

void page_owner_limit(struct store *store, struct store_owner *o, uint64_t bytes)
{
        (void)store;
        o->ram_limit = bytes;
        if (o->ram)
                ram_owner_limit(o->ram, bytes);
}

uint64_t page_owner_ram(struct store *store, struct store_owner *o)
{
        (void)store;
        return o->ram ? ram_owner_bytes(o->ram) : 0;
}

bool page_owner_busy(struct store *store, struct store_owner *o)
{
        (void)store;
        return o->back > 0;
}
