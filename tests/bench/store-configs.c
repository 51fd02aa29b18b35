// SPDX-License-Identifier: GPL-2.0-or-later
/* The one place where the benchmark opens a store. */
#include "store-configs.h"

#include <string.h>

#include "store-ways.h"
#include "store/medium-file.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "util/error.h"

const struct store_config store_configs[] = {
        { .name = "none", .codec = "none", .tier = "disk" },
        { .name = "lz4", .codec = "lz4", .tier = "disk" },
        { .name = "zstd:1", .codec = "zstd:1", .tier = "disk" },
        { .name = "zstd:3", .codec = "zstd:3", .tier = "disk" },
        { .name = "none", .codec = "none", .tier = "disk", .encrypted = true },
        { .name = "lz4", .codec = "lz4", .tier = "disk", .encrypted = true },
        { .name = "lz4", .codec = "lz4", .tier = "ram" },
        { 0 },
};

struct store_owner_config store_config_owner(const struct store_config *config)
{
        struct store_owner_config owner = { .sealed = config->encrypted, .ram = strcmp(config->tier, "ram") == 0 };
        struct error e = { 0 };

        if (codec_parse(config->codec, &owner.codec, &e) < 0)
                bench_fail(e.text, 0);
        return owner;
}

struct store *store_config_open(const struct store_config *config, const char *path, uint64_t bytes)
{
        bool packs = store_config_owner(config).codec.codec != CODEC_NONE;
        struct medium_file_config file = {
                .name = config->name,
                .path = path,
                .size = bytes,
                .unit = packs ? STORE_SECTOR : STORE_PAGE,
                .unlink_on_close = true,
        };
        struct page_store_config store_config = { .packs = packs,
                                                  .seals = config->encrypted,
                                                  .ram = store_config_owner(config).ram };
        struct page_store_medium medium = { .weight = 1 };
        struct store *store = NULL;
        struct error e = { 0 };

        if (medium_file_open(&file, &medium.medium, &e) < 0 ||
            page_store_new(&store_config, &medium, 1, &store, &e) < 0)
                bench_fail(e.text, 0);
        return store;
}
