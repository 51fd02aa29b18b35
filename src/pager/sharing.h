/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_SHARING_H
#define PAGER_SHARING_H

#include "pager/space.h"

/* A fork has left that many bytes shared, or so; counting begins anew. */
void sharing_begin(struct space *s, uint64_t shared);

/* Goes on counting. */
void sharing_look(struct space *s);

#endif
