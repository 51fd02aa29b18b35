// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file or block device as a medium: bytes are moved by the worker's ring, with the file registered, and the memory
 * where it is. What is in the file means nothing after the medium is closed.
 */
#include "store/medium-file.h"

#include <errno.h>
#include <stdlib.h>

#include "store/file-discard.h"
#include "store/file-open.h"
#include "store/medium.h"
#include "util/error.h"

struct medium_file {
        struct medium base;
        struct open_file file;
        bool unlink_on_close;
};

struct file_port {
        struct medium_port base;
        int file; /* in the loop's table */
};

static struct medium_file *file_of(struct medium *m)
{
        return (struct medium_file *)m;
}

static void on_transferred(struct op *op, int res, unsigned flags)
{
        (void)flags;
        medium_transferred(medium_io_of(op), res);
}

static void on_discarded(struct op *op, int res, unsigned flags)
{
        struct medium_io *io = medium_io_of(op);

        (void)flags;
        medium_transferred(io, res < 0 ? res : (int)io->asked);
}

static void file_transfer(struct medium_port *base, struct medium_io *io)
{
        struct file_port *port = (struct file_port *)base;
        struct loop *loop = base->loop;
        uint64_t offset = io->at * base->medium->unit + io->moved;
        void *memory = (char *)io->memory + io->moved;
        int fd = file_of(base->medium)->file.fd;

        io->op.done = io->discard ? on_discarded : on_transferred;
        if (io->discard && file_of(base->medium)->file.device)
                loop_discard(loop, &io->op, port->file, offset, io->asked);
        else if (io->discard)
                loop_punch(loop, &io->op, port->file, offset, io->asked);
        else if (io->buffer >= 0 && io->write)
                loop_write_fixed(loop, &io->op, port->file, (unsigned)io->buffer, memory, io->asked, offset);
        else if (io->buffer >= 0)
                loop_read_fixed(loop, &io->op, port->file, (unsigned)io->buffer, memory, io->asked, offset);
        else if (io->write)
                loop_write(loop, &io->op, fd, memory, io->asked, offset);
        else
                loop_read(loop, &io->op, fd, memory, io->asked, offset);
}

static int file_port_open(struct medium *m, struct loop *loop, struct medium_port **out)
{
        struct file_port *port = calloc(1, sizeof(*port));

        if (!port)
                return -ENOMEM;
        port->file = loop_register_file(loop, file_of(m)->file.fd);
        if (port->file < 0) {
                int r = port->file;

                free(port);
                return r;
        }
        *out = &port->base;
        return 0;
}

static void file_port_close(struct medium_port *base)
{
        struct file_port *port = (struct file_port *)base;

        loop_unregister_file(base->loop, port->file);
        free(port);
}

static void file_destroy(struct medium *m)
{
        struct medium_file *f = file_of(m);

        file_close(&f->file, f->unlink_on_close);
        free(f);
}

static const struct medium_ops file_ops = {
        .name = "file",
        .destroy = file_destroy,
        .port_open = file_port_open,
        .port_close = file_port_close,
        .transfer = file_transfer,
};

int medium_file_open(const struct medium_file_config *config, struct medium **out, struct error *e)
{
        struct medium_file *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return error_set(e, -ENOMEM, "store %s: out of memory", config->name);
        r = file_open(config, &f->file, e);
        if (r < 0) {
                free(f);
                return r;
        }
        f->base.ops = &file_ops;
        f->base.name = config->name;
        f->base.unit = f->file.unit;
        f->base.units = f->file.bytes / f->base.unit;
        f->unlink_on_close = config->unlink_on_close;
        file_discard_find(config, &f->file, &f->base);
        *out = &f->base;
        return 0;
}
