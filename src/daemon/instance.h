/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include "control/server.h"
#include "daemon/config.h"

/* All that a running daemon holds. */
struct instance {
        const struct config *config;
        struct server server;
        struct worker_config worker_config;
        struct worker worker[CONFIG_MAX_WORKERS];
        struct store *store;
        int device, signals;
        struct op signal_op;
        char signal_info[128];
};

/*
 * Starts everything in order: what the kernel has, the store, the loop, the workers, the sockets. On failure what
 * had been started is stopped again, and e says what was wrong.
 */
int instance_start(struct instance *d, const struct config *config, uint64_t memory, struct error *e);

/* Serves until SIGTERM or SIGINT. */
int instance_run(struct instance *d);

/* Stops everything in the opposite order. Takes what was started half. */
void instance_stop(struct instance *d);

#endif
