// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What can be discarded of a file or block device.
 *
 *   regular file   holes are made, and only in one that has had holes from the start: one whose room was set aside
 *                  would lose what that was for
 *   block device   what its queue says (Documentation/ABI/stable/sysfs-block, discard_max_bytes and
 *                  discard_granularity). What lies on it is stale from the start: nobody knows what it was.
 *
 * A filesystem lets nobody read or write a file while a hole is made in it, and waits with that for what is under way:
 * so holes are made in small pieces.
 */
#include "store/file-discard.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "store/file-open.h"
#include "store/medium-file.h"
#include "store/medium.h"
#include "store/store.h"
#include "util/log.h"

#define HOLE_MOST    (16u << 20)
#define DISCARD_MOST (64u << 20)

/* A number that the kernel tells of the queue of a device, or of the one that it is a part of. False: it does not. */
static bool queue_limit(const struct stat *st, const char *name, uint64_t *out)
{
        static const char *const where[] = { "", "../" };
        bool found = false;

        for (unsigned i = 0; i < sizeof(where) / sizeof(*where) && !found; i++) {
                char path[128];
                FILE *f;

                snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(st->st_rdev), minor(st->st_rdev),
                         where[i], name);
                f = fopen(path, "re");
                if (!f)
                        continue;
                found = fscanf(f, "%" SCNu64, out) == 1;
                fclose(f);
        }
        return found;
}

static void find_of_device(const struct open_file *file, struct medium *m)
{
        uint64_t most = DISCARD_MOST, grain = 0;
        struct stat st;

        if (fstat(file->fd, &st) < 0)
                return;
        queue_limit(&st, "discard_max_bytes", &most);
        queue_limit(&st, "discard_granularity", &grain);
        most = most < DISCARD_MOST ? most : DISCARD_MOST;
        if (grain && grain < most)
                most -= most % grain;
        m->discard.most = (uint32_t)(most - most % STORE_PAGE);
        m->discard.grain = grain;
        m->discard.stale = true;
}

void file_discard_find(const struct medium_file_config *config, const struct open_file *file, struct medium *m)
{
        m->discard.wanted = config->discard;
        if (config->discard == MEDIUM_DISCARD_NO)
                return;
        if (file->sparse)
                m->discard.most = HOLE_MOST;
        if (!file->device)
                return;
        find_of_device(file, m);
        if (!m->discard.most && config->discard == MEDIUM_DISCARD_YES)
                log_warning("store %s: the device %s discards nothing: discard = yes has no effect", config->name,
                            config->path);
}
