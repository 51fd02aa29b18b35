/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_STORE_CONFIGS_H
#define TESTS_STORE_CONFIGS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/* A way to set up a store. */
struct store_config {
        const char *name;
        const char *codec; /* as in the configuration */
        const char *tier;
        bool encrypted;
};

/* All that are measured; the first is what the bare ring is compared with. Ends with a name of NULL. */
extern const struct store_config store_configs[];

/* Opens one on a file of `bytes` at path, which goes when it is closed. Ends the program if it cannot. */
struct store *store_config_open(const struct store_config *config, const char *path, uint64_t bytes);

/* What its owner is to ask for. Ends the program where that is not in this build. */
struct store_owner_config store_config_owner(const struct store_config *config);

#endif
