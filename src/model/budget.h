/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client may hold in memory, and what follows from how much it holds. The limit covers the client's resident
 * anonymous pages, but for those that another process has too, and what is held in memory on its behalf (`overhead`:
 * its ring; `packed`: pages that the store has in memory). Between two samples of the resident size the pager counts
 * what it installs and detaches itself.
 *
 *     0                                                          limit
 *     |--------------------------------|-----------|------|--------|
 *                                    gate        low    high
 *
 *     above gate   growth passes through the pager (all mappings are registered)
 *     above high   eviction begins, and goes on until the size is below low
 *     at limit     whoever wants a page waits for an eviction
 */
#ifndef MODEL_BUDGET_H
#define MODEL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* The least limit that a client can have, in bytes. */
#define BUDGET_MIN_LIMIT (16ull << 20)

struct budget {
        uint64_t limit;    /* bytes; 0: none */
        uint64_t overhead; /* bytes */
        uint64_t packed;   /* bytes of pages that are out, and kept in memory for it */
        uint64_t resident; /* bytes: last sample, and what was counted since */
        uint64_t shared;   /* bytes of it that another process has too, as last counted */
        uint64_t peak;     /* largest sample so far, overhead included */
        uint64_t reserved; /* bytes promised to fetches that are under way */
        bool gated;
        bool evicting;
};

/* A sample of the resident anonymous size in bytes. */
void budget_sample(struct budget *b, uint64_t resident);

/* So many bytes of the resident size are shared with other processes. */
void budget_share(struct budget *b, uint64_t bytes);

/* What the pager installed or detached since, in bytes. */
void budget_installed(struct budget *b, uint64_t bytes);
void budget_detached(struct budget *b, uint64_t bytes);

/* Bytes that may still be installed; UINT64_MAX without a limit. */
uint64_t budget_room(const struct budget *b);

/*
 * Bytes that may be used for what nobody asked for yet: those that would leave half of the distance from high to the
 * limit, so that a burst of faults finds room, too. Eviction keeps the room between high and low.
 */
uint64_t budget_spare(const struct budget *b);

/* Sets aside room for a page that is being fetched; false when there is none. */
bool budget_reserve(struct budget *b, uint64_t bytes);
void budget_unreserve(struct budget *b, uint64_t bytes);

/* Whether growth has to pass through the pager now. Remembers the answer: it goes off at twice the distance. */
bool budget_gate(struct budget *b);

/* Bytes that are to be detached now, 0 for none. `in_flight` bytes are already on their way out. */
uint64_t budget_excess(struct budget *b, uint64_t in_flight);

/* Whether the resident size has grown since it was `resident` bytes by as much as eviction is to be ahead of. */
bool budget_has_grown(const struct budget *b, uint64_t resident);

/*
 * Nanoseconds until the next sample, so that a client cannot grow past the gate in between: it is taken to touch at
 * most 4 GB a second.
 */
uint64_t budget_next_sample(const struct budget *b);

#endif
