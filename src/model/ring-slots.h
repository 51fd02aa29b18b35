/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_RING_SLOTS_H
#define MODEL_RING_SLOTS_H

#include <stdint.h>

/*
 * The slots of a client's ring, as the daemon sees them: which are free, and whose bytes the others hold. A slot is
 * given to a batch, then filled by the agent (it has an owner: the page whose bytes it holds), and freed
 * when its bytes are in the store or back in the program. A slot that is being written to the store stays until
 * the write has ended, even when its page was fetched back or went away (it then has no owner).
 */
#define RING_SLOT_NO_OWNER UINT64_MAX

struct ring_slot {
        uint64_t owner; /* page address, or RING_SLOT_NO_OWNER */
        uint8_t used;
        uint8_t writing;
        uint8_t reserved[6];
};

struct ring_slots {
        struct ring_slot *v;
        uint32_t n, n_free;
        uint32_t cursor; /* where the next search begins */
};

/* Room for n slots, all free. Returns 0 or -ENOMEM. */
int ring_slots_init(struct ring_slots *s, uint32_t n);
void ring_slots_clear(struct ring_slots *s);

/*
 * Takes up to n adjacent free slots: the whole n where such a run exists, else the longest run there is. Returns
 * how many (0: none is free), *first is the first.
 */
uint32_t ring_slots_take(struct ring_slots *s, uint32_t n, uint32_t *first);

/* Gives one back. */
void ring_slots_free(struct ring_slots *s, uint32_t slot);

#endif
