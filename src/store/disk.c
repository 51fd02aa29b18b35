// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk store: a file or block device as an array of page-sized slots. A location is a slot's number, its bytes lie
 * at number * STORE_PAGE. What the slots hold means nothing after the store is closed.
 *
 *   disk-open   finds, checks, locks and sizes the file
 *   slot-map    says which slots are free
 *   checksum    says what was written to each
 *   disk-port   moves the bytes, one port a worker
 *
 * Locking: one mutex around the slot map, held for a search of bounded length and never during I/O.
 */
#include "store/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/checksum.h"
#include "store/disk-internal.h"
#include "store/slot-map.h"
#include "util/error.h"

static struct disk *disk_of(struct store *store)
{
        return (struct disk *)store;
}

static uint32_t disk_alloc(struct store *store, uint32_t pages, store_loc *first)
{
        struct disk *d = disk_of(store);
        uint32_t got;

        pthread_mutex_lock(&d->lock);
        got = slot_map_alloc(d->map, pages, first);
        pthread_mutex_unlock(&d->lock);
        return got;
}

static int disk_ref(struct store *store, store_loc loc)
{
        struct disk *d = disk_of(store);
        int r;

        pthread_mutex_lock(&d->lock);
        r = slot_map_ref(d->map, loc);
        pthread_mutex_unlock(&d->lock);
        return r;
}

static void disk_unref(struct store *store, store_loc first, uint32_t pages)
{
        struct disk *d = disk_of(store);

        pthread_mutex_lock(&d->lock);
        slot_map_unref(d->map, first, pages);
        pthread_mutex_unlock(&d->lock);
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void disk_stats(struct store *store, struct store_stats *out)
{
        struct disk *d = disk_of(store);
        uint64_t available;

        pthread_mutex_lock(&d->lock);
        available = slot_map_available(d->map);
        pthread_mutex_unlock(&d->lock);
        *out = (struct store_stats){
                .disk_capacity_bytes = d->slots * STORE_PAGE,
                .disk_bytes = (d->slots - available) * STORE_PAGE,
                .reads = count_of(&d->reads.ios),
                .writes = count_of(&d->writes.ios),
                .read_pages = count_of(&d->reads.pages),
                .written_pages = count_of(&d->writes.pages),
                .read_errors = count_of(&d->reads.errors),
                .write_errors = count_of(&d->writes.errors),
                .checksum_errors = count_of(&d->mismatches),
        };
}

static void disk_destroy(struct store *store)
{
        struct disk *d = disk_of(store);

        assert(!d->ports);
        disk_file_close(&d->file, d->unlink_on_close);
        slot_map_free(d->map);
        checksums_free(d->sums);
        pthread_mutex_destroy(&d->lock);
        free(d);
}

static const struct store_ops disk_ops = {
        .name = "disk",
        .destroy = disk_destroy,
        .alloc = disk_alloc,
        .ref = disk_ref,
        .unref = disk_unref,
        .port_open = disk_port_open,
        .port_close = disk_port_close,
        .submit = disk_port_submit,
        .stats = disk_stats,
};

int disk_open(const struct disk_config *config, struct store **out, struct error *e)
{
        struct disk *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return error_set(e, -ENOMEM, "store %s: out of memory", config->name);
        r = disk_file_open(config, &d->file, e);
        if (r < 0) {
                free(d);
                return r;
        }

        d->base.ops = &disk_ops;
        d->unlink_on_close = config->unlink_on_close;
        d->slots = d->file.bytes / STORE_PAGE;
        r = slot_map_new(d->slots, &d->map);
        if (r == 0)
                r = checksums_new(d->slots, &d->sums);
        if (r < 0) {
                slot_map_free(d->map);
                disk_file_close(&d->file, true);
                free(d);
                return error_sys(e, r, "store %s: no memory for a map of its slots", config->name);
        }
        pthread_mutex_init(&d->lock, NULL);
        *out = &d->base;
        return 0;
}
