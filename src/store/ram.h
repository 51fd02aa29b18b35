/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed pages in memory. An object is one, 1 to STORE_PAGE bytes, that an owner (a client) has put there; all calls
 * but ram_new() and ram_free() may come from any thread.
 */
#ifndef STORE_RAM_H
#define STORE_RAM_H

#include <stddef.h>
#include <stdint.h>

struct ram;
struct ram_object;
struct ram_owner;

struct ram_stats {
        uint64_t objects;
        uint64_t data_bytes;     /* the bytes that were put */
        uint64_t bytes;          /* what they take: the sum of what all owners are charged with */
        uint64_t ended_bytes;    /* of these, of owners that have ended */
        uint64_t resident_bytes; /* the system's memory that they have at most */
};

/* For up to `most` bytes in all (UINT64_MAX: what there is). 0 or -ENOMEM; *out is untouched on failure. */
int ram_new(uint64_t most, struct ram **out);

/* Ends all objects. Owners have ended before. */
void ram_free(struct ram *ram);
void ram_stats(struct ram *ram, struct ram_stats *out);

/* What an object of so many bytes is charged with. */
uint64_t ram_cost(uint32_t bytes);

/* An owner that may have `limit` bytes. 0 or -ENOMEM; *out is untouched on failure. */
int ram_owner_new(struct ram *ram, uint64_t limit, struct ram_owner **out);

/* A new limit. What is beyond a smaller one stays: the caller sees to its writing back. */
void ram_owner_limit(struct ram_owner *owner, uint64_t limit);
uint64_t ram_owner_bytes(struct ram_owner *owner); /* what it is charged with */

/*
 * The owner ends, and the caller does not use it any more. Objects that it still has (forked children share them)
 * stay: they are the store's, under no owner's limit, and the first to be written back (ram_oldest() for no owner).
 */
void ram_owner_end(struct ram_owner *owner);

/*
 * Keeps a copy of `bytes` bytes at data, which are those of the location `where`. The caller has one reference to the
 * object, until ram_drop(). NULL where it does not fit into the owner's limit, or there is no memory.
 */
struct ram_object *ram_put(struct ram_owner *owner, uint64_t where, uint32_t bytes, const void *data);

/*
 * Copies an object out, into STORE_PAGE bytes of room. Returns how many bytes it has, or -ENOENT: this is not, or no
 * longer, an object for `where`. So who has found an object in a table, and has no lock on that, asks, and looks
 * again at the table when it was dropped meanwhile. (A new object for the same location may be in its place; one
 * location has the same bytes as long as there is a reference to it.)
 */
int ram_get(struct ram *ram, const struct ram_object *object, uint64_t where, void *out);

/* The end of the caller's reference. Once for each object. */
void ram_drop(struct ram *ram, struct ram_object *object);

/* An object that is to be written back. */
struct ram_old {
        struct ram_object *object;
        uint64_t where;
        uint32_t bytes;
};

/*
 * Up to n of the oldest objects of an owner, of up to `most` bytes together, the oldest first; NULL: of all owners
 * that have ended. Returns how many. Each is held until ram_release(): it is in no second answer, can be read until
 * it is dropped, and its place is not used again, though somebody drops it. It is charged until both have come.
 */
unsigned ram_oldest(struct ram *ram, struct ram_owner *owner, struct ram_old *out, unsigned n, uint64_t most);

/*
 * The end of a hold, before or after the ram_drop() of who has the reference. One that was not dropped (it could not
 * be written) is the oldest of its owner again.
 */
void ram_release(struct ram *ram, struct ram_object *object);

#endif
