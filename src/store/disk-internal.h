/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What disk.c and disk-port.c share; nobody else includes it. */
#ifndef STORE_DISK_INTERNAL_H
#define STORE_DISK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/disk-open.h"
#include "store/store.h"

struct checksums;
struct slot_map;

/* What the ports of all workers count: relaxed, each a sum of its own. */
struct disk_counters {
        _Atomic uint64_t ios;
        _Atomic uint64_t pages; /* of the I/Os that succeeded */
        _Atomic uint64_t errors;
};

struct disk {
        struct store base;
        struct disk_file file;
        bool unlink_on_close;
        uint64_t slots;
        pthread_mutex_t lock; /* of map; nothing else is locked while it is held */
        struct slot_map *map;
        struct checksums *sums; /* of the slots */
        struct disk_counters reads, writes;
        _Atomic uint64_t mismatches; /* pages read that were not what was written */
        _Atomic unsigned ports; /* open ones */
};

/* The port half of struct store_ops. */
int disk_port_open(struct store *store, struct loop *loop, struct store_port **out);
void disk_port_close(struct store_port *port);
void disk_port_submit(struct store_port *port, struct store_io *io);

#endif
