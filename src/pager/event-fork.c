/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fork() waits until the event is read, and the child does not run before. Reading the event has made the child's
 * userfaultfd; while somebody holds it open, the child's missing pages wait for an answer and are never zeros.
 */
#include "pager/event.h"

void event_fork(struct space *s, int fd)
{
        s->port->ops->forked(s->port, fd);
}
