/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAGER_SHARING_H
#define PAGER_SHARING_H

#include "pager/space.h"

/* Goes on counting what is shared. */
void sharing_look(struct space *s);

#endif
