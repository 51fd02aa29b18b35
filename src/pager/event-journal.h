/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that keep and carry out the journal of a space have in common. */
#ifndef PAGER_EVENT_JOURNAL_H
#define PAGER_EVENT_JOURNAL_H

#include "pager/space.h"

/* Does what an event says. */
void journal_carry_out(struct space *s, const struct order_event *e);

/* All of it is carried out, or the client is ended. */
void journal_clear(struct space *s);

/* The client forked, fd is the child's userfaultfd: carries that out, or keeps it for children_carry_out_forks(). */
void children_note_fork(struct space *s, int fd);

/* Carries out the forks that were kept. half_done: as for event_fork(). */
void children_carry_out_forks(struct space *s, bool half_done);

/* An event was read, which may be of before the fork of children that are unsettled. */
void children_doubt(struct space *s, const struct order_event *e);

/* An event was carried out: children that are unsettled may have what it brought. */
void children_tell(struct space *s, const struct order_event *e);

/* Every event of before their fork was read, and carried out; or, `ended`, none will be, as the parent has ended. */
void children_settle(struct space *s, bool ended);

#endif
