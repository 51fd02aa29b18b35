/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nothing tells that the memory behind a userfaultfd is gone: poll never signals it. But an UFFDIO_COPY to an
 * address where there cannot be a mapping answers ESRCH then, and ENOENT or EAGAIN while the child lives.
 */
#include "client/orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/uffd.h"

#define SWEEP_NS 2000000000ull

static void sweep(struct op *op, int res, unsigned flags)
{
        struct orphans *o = op_owner(op, struct orphans, timer_op);
        size_t kept = 0;

        (void)flags;
        if (res == -ECANCELED)
                return;
        for (size_t i = 0; i < o->n; i++) {
                if (uffd_copy(o->fd[i], UFFD_NOWHERE, o->zeros, 4096) == -ESRCH)
                        close(o->fd[i]);
                else
                        o->fd[kept++] = o->fd[i];
        }
        o->n = kept;
        if (o->n)
                loop_timer(o->loop, op, loop_now(o->loop) + SWEEP_NS);
}

void orphans_init(struct orphans *o, struct loop *loop, const void *zeros)
{
        *o = (struct orphans){ .loop = loop, .timer_op = { .done = sweep }, .zeros = zeros };
}

int orphans_add(struct orphans *o, int fd)
{
        if (o->n == ORPHANS_MAX)
                return -EMFILE;
        if (o->n == o->room) {
                size_t room = o->room ? o->room * 2 : 16;
                int *v = realloc(o->fd, room * sizeof(*v));

                if (!v)
                        return -ENOMEM;
                o->fd = v;
                o->room = room;
        }
        o->fd[o->n++] = fd;
        if (!o->timer_op.armed)
                loop_timer(o->loop, &o->timer_op, loop_now(o->loop) + SWEEP_NS);
        return 0;
}

void orphans_clear(struct orphans *o)
{
        for (size_t i = 0; i < o->n; i++)
                close(o->fd[i]);
        free(o->fd);
        o->fd = NULL;
        o->n = o->room = 0;
}
