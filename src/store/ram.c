// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An object is a head and a record. The head says whose it is, for which location, and where its record is in the
 * pack (ram-pack.c), which moves records; heads do not move, and a pointer to one is what the caller keeps. An
 * owner's heads are a list in the order in which they were put: nothing makes an object young again, since a page
 * that is read comes back to its client.
 *
 *     owner --> head <-> head <-> head        oldest first
 *                 |        |        |
 *               record   record   record      somewhere in the pack; each has the address of its head
 *
 * Memory of heads is never used for anything else, also when it goes back to the system (then it reads as zeros). So
 * ram_get() can be asked about an object that has been dropped: it finds no object there, or another one's location.
 *
 * An owner that has ended stays until its last object is dropped, in a list of such: so its end costs nothing,
 * however many objects it has.
 *
 * One mutex for all, held for the copy of one record, or of two where another one moves into a hole.
 */
#include "store/ram.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <utlist.h>

#include "store/ram-pack.h"

struct ram_object {
        struct ram_object *prev, *next; /* in the owner's list; next alone: in the free list of heads */
        struct ram_owner *owner;
        uint64_t where;
        uint32_t index;
        uint16_t bytes; /* 0: there is no object here */
        bool held;      /* by ram_oldest(): in no list */
        bool dropped;   /* while it was held */
};

/* A slab of heads. */
struct heads {
        struct heads *prev, *next; /* in the list of those with room */
        struct ram_object *free;
        uint32_t live;
        uint32_t begun; /* heads from here on were not used since the slab was taken */
        struct ram_object v[];
};
#define HEADS ((SLAB_BYTES - sizeof(struct heads)) / sizeof(struct ram_object))

struct ram_owner {
        struct ram *ram;
        struct ram_object *objects;
        uint64_t count; /* of objects, those held too */
        uint64_t bytes;
        uint64_t limit;
        bool ended;
        struct ram_owner *prev, *next; /* in the list of those that have ended */
};

struct ram {
        pthread_mutex_t mutex;
        uint64_t most;
        struct ram_stats stats;
        struct ram_owner *ended;
        struct pack pack;
        struct slabs slabs;  /* of heads */
        struct heads *roomy; /* those with a free head */
};

int ram_new(uint64_t most, struct ram **out)
{
        struct ram *ram = calloc(1, sizeof(*ram));

        if (!ram)
                return -ENOMEM;
        ram->most = most;
        pthread_mutex_init(&ram->mutex, NULL);
        *out = ram;
        return 0;
}

void ram_free(struct ram *ram)
{
        struct ram_owner *owner, *next;

        if (!ram)
                return;
        DL_FOREACH_SAFE(ram->ended, owner, next)
                free(owner);
        pack_clear(&ram->pack);
        slabs_clear(&ram->slabs);
        pthread_mutex_destroy(&ram->mutex);
        free(ram);
}

void ram_stats(struct ram *ram, struct ram_stats *out)
{
        pthread_mutex_lock(&ram->mutex);
        *out = ram->stats;
        out->resident_bytes = pack_resident(&ram->pack) + slabs_resident(&ram->slabs);
        pthread_mutex_unlock(&ram->mutex);
}

uint64_t ram_cost(uint32_t bytes)
{
        return pack_cost(bytes) + sizeof(struct ram_object);
}

static struct ram_object *head_new(struct ram *ram)
{
        struct heads *heads = ram->roomy;
        struct ram_object *head;

        if (!heads) {
                heads = slabs_get(&ram->slabs);
                if (!heads)
                        return NULL;
                heads->free = NULL;
                heads->live = heads->begun = 0;
                DL_APPEND(ram->roomy, heads);
        }
        head = heads->free;
        if (head)
                heads->free = head->next;
        else
                head = &heads->v[heads->begun++];
        if (++heads->live == HEADS)
                DL_DELETE(ram->roomy, heads);
        return head;
}

static void head_free(struct ram *ram, struct ram_object *head)
{
        struct heads *heads = (struct heads *)((uintptr_t)head / SLAB_BYTES * SLAB_BYTES);

        head->bytes = 0;
        head->next = heads->free;
        heads->free = head;
        if (heads->live-- == HEADS)
                DL_APPEND(ram->roomy, heads);
        if (!heads->live) {
                DL_DELETE(ram->roomy, heads);
                slabs_put(&ram->slabs, heads);
        }
}

int ram_owner_new(struct ram *ram, uint64_t limit, struct ram_owner **out)
{
        struct ram_owner *owner = calloc(1, sizeof(*owner));

        if (!owner)
                return -ENOMEM;
        owner->ram = ram;
        owner->limit = limit;
        *out = owner;
        return 0;
}

void ram_owner_limit(struct ram_owner *owner, uint64_t limit)
{
        pthread_mutex_lock(&owner->ram->mutex);
        owner->limit = limit;
        pthread_mutex_unlock(&owner->ram->mutex);
}

uint64_t ram_owner_bytes(struct ram_owner *owner)
{
        uint64_t bytes;

        pthread_mutex_lock(&owner->ram->mutex);
        bytes = owner->bytes;
        pthread_mutex_unlock(&owner->ram->mutex);
        return bytes;
}

void ram_owner_end(struct ram_owner *owner)
{
        struct ram *ram;
        bool empty;

        if (!owner)
                return;
        ram = owner->ram;
        pthread_mutex_lock(&ram->mutex);
        empty = !owner->count;
        if (!empty) {
                owner->ended = true;
                ram->stats.ended_bytes += owner->bytes;
                DL_APPEND(ram->ended, owner);
        }
        pthread_mutex_unlock(&ram->mutex);
        if (empty)
                free(owner);
}

/* Whether `cost` more fit into both limits. */
static bool fits(const struct ram_owner *owner, uint64_t cost)
{
        const struct ram *ram = owner->ram;

        return owner->bytes <= owner->limit && cost <= owner->limit - owner->bytes && ram->stats.bytes <= ram->most &&
               cost <= ram->most - ram->stats.bytes;
}

struct ram_object *ram_put(struct ram_owner *owner, uint64_t where, uint32_t bytes, const void *data)
{
        uint64_t cost = ram_cost(bytes);
        struct ram *ram = owner->ram;
        struct ram_object *object = NULL;
        uint32_t index;

        pthread_mutex_lock(&ram->mutex);
        assert(!owner->ended);
        if (fits(owner, cost))
                object = head_new(ram);
        if (object && pack_put(&ram->pack, bytes, data, object, &index) < 0) {
                head_free(ram, object);
                object = NULL;
        }
        if (object) {
                object->owner = owner;
                object->where = where;
                object->index = index;
                object->bytes = (uint16_t)bytes;
                object->held = object->dropped = false;
                DL_APPEND(owner->objects, object);
                owner->count++;
                owner->bytes += cost;
                ram->stats.objects++;
                ram->stats.data_bytes += bytes;
                ram->stats.bytes += cost;
        }
        pthread_mutex_unlock(&ram->mutex);
        return object;
}

int ram_get(struct ram *ram, const struct ram_object *object, uint64_t where, void *out)
{
        int r = -ENOENT;

        pthread_mutex_lock(&ram->mutex);
        if (object->bytes && !object->dropped && object->where == where) {
                r = object->bytes;
                pack_get(&ram->pack, object->bytes, object->index, out);
        }
        pthread_mutex_unlock(&ram->mutex);
        return r;
}

/* The object, which is in no list, ends, and with it its owner, where that has ended and this was its last. */
static void object_free(struct ram *ram, struct ram_object *object)
{
        struct ram_owner *owner = object->owner;
        struct ram_object *moved = pack_remove(&ram->pack, object->bytes, object->index);
        uint64_t cost = ram_cost(object->bytes);

        if (moved)
                moved->index = object->index;
        owner->count--;
        owner->bytes -= cost;
        ram->stats.objects--;
        ram->stats.data_bytes -= object->bytes;
        ram->stats.bytes -= cost;
        if (owner->ended) {
                ram->stats.ended_bytes -= cost;
                if (!owner->count) {
                        DL_DELETE(ram->ended, owner);
                        free(owner);
                }
        }
        head_free(ram, object);
}

void ram_drop(struct ram *ram, struct ram_object *object)
{
        pthread_mutex_lock(&ram->mutex);
        assert(object->bytes && !object->dropped);
        if (object->held) {
                object->dropped = true;
        } else {
                DL_DELETE(object->owner->objects, object);
                object_free(ram, object);
        }
        pthread_mutex_unlock(&ram->mutex);
}

/* Of one owner, behind the `have` that are in out already; *most is what may still come. The mutex is held. */
static unsigned hold_oldest(struct ram_owner *owner, struct ram_old *out, unsigned have, unsigned n, uint64_t *most)
{
        while (have < n && owner->objects && owner->objects->bytes <= *most) {
                struct ram_object *object = owner->objects;

                DL_DELETE(owner->objects, object);
                object->held = true;
                *most -= object->bytes;
                out[have++] = (struct ram_old){ object, object->where, object->bytes };
        }
        return have;
}

unsigned ram_oldest(struct ram *ram, struct ram_owner *owner, struct ram_old *out, unsigned n, uint64_t most)
{
        unsigned have = 0;

        pthread_mutex_lock(&ram->mutex);
        if (owner) {
                have = hold_oldest(owner, out, 0, n, &most);
        } else {
                DL_FOREACH(ram->ended, owner) {
                        have = hold_oldest(owner, out, have, n, &most);
                        if (have == n || owner->objects)
                                break;
                }
        }
        pthread_mutex_unlock(&ram->mutex);
        return have;
}

void ram_release(struct ram *ram, struct ram_object *object)
{
        pthread_mutex_lock(&ram->mutex);
        assert(object->bytes && object->held);
        object->held = false;
        if (object->dropped)
                object_free(ram, object);
        else
                DL_PREPEND(object->owner->objects, object);
        pthread_mutex_unlock(&ram->mutex);
}
