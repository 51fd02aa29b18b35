/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODEL_PIECES_H
#define MODEL_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that was at [origin, origin + len) and is at [at, at + len) now. Bytes, page-aligned. */
struct piece {
        uint64_t origin, at, len;
        bool discarded; /* its content is void (madvise), the memory is there */
};

/* Where ranges of a client's memory have gone. No two pieces overlap, neither where they were nor where they are. */
struct pieces {
        struct piece *v;
        size_t n, room;
};

/* Adds a piece. Returns 0 or -ENOMEM, then nothing has changed; so do the others. */
int pieces_add(struct pieces *p, uint64_t origin, uint64_t at, uint64_t len);

/* What is at [start, end) is gone. */
int pieces_drop(struct pieces *p, uint64_t start, uint64_t end);

/* What is at [start, end) stays, and its content is void. */
int pieces_discard(struct pieces *p, uint64_t start, uint64_t end);

/* What is at [from, from + len) is at `to` now; what was there is gone. */
int pieces_move(struct pieces *p, uint64_t from, uint64_t to, uint64_t len);

/* Makes *to an independent copy of *from. */
int pieces_copy(struct pieces *to, const struct pieces *from);

/* Frees: empty afterwards. */
void pieces_clear(struct pieces *p);

#endif
