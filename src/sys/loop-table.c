// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ring's tables of registered buffers and files. They are registered once, sparse (Linux 5.19), and their
 * entries are updated one by one: that does not wait for the ring to be idle. An entry that is taken out while I/O
 * uses it lives on in the kernel until that has ended.
 */
#include "sys/loop-internal.h"

#define BUFFER_MOST (1u << 30) /* io_uring_register_buffers(2) */

static void table_init(struct loop_table *t, unsigned n)
{
        t->n = n;
        for (unsigned i = 0; i < n; i++)
                t->free[i] = (uint16_t)(n - 1 - i);
}

static int table_take(struct loop_table *t)
{
        return t->n ? t->free[--t->n] : -ENOSPC;
}

static void table_put(struct loop_table *t, int index)
{
        t->free[t->n++] = (uint16_t)index;
}

int loop_tables_init(struct loop *loop)
{
        int r = io_uring_register_buffers_sparse(&loop->ring, LOOP_BUFFERS);

        if (r == 0)
                r = io_uring_register_files_sparse(&loop->ring, LOOP_FILES);
        table_init(&loop->buffers, LOOP_BUFFERS);
        table_init(&loop->files, LOOP_FILES);
        return r;
}

int loop_register_buffer(struct loop *loop, void *base, size_t len)
{
        struct iovec iov = { base, len };
        const __u64 no_tag = 0;
        int r, index;

        if (!base || !len || len > BUFFER_MOST)
                return -EINVAL;
        index = table_take(&loop->buffers);
        if (index < 0)
                return index;
        r = io_uring_register_buffers_update_tag(&loop->ring, (unsigned)index, &iov, &no_tag, 1);
        if (r == 1)
                return index;
        table_put(&loop->buffers, index);
        return r < 0 ? r : -EIO;
}

void loop_unregister_buffer(struct loop *loop, int index)
{
        struct iovec none = { NULL, 0 };
        const __u64 no_tag = 0;

        if (index < 0)
                return;
        io_uring_register_buffers_update_tag(&loop->ring, (unsigned)index, &none, &no_tag, 1);
        table_put(&loop->buffers, index);
}

int loop_register_file(struct loop *loop, int fd)
{
        int r, index;

        if (fd < 0)
                return -EBADF;
        index = table_take(&loop->files);
        if (index < 0)
                return index;
        r = io_uring_register_files_update(&loop->ring, (unsigned)index, &fd, 1);
        if (r == 1)
                return index;
        table_put(&loop->files, index);
        return r < 0 ? r : -EIO;
}

void loop_unregister_file(struct loop *loop, int index)
{
        const int none = -1;

        if (index < 0)
                return;
        io_uring_register_files_update(&loop->ring, (unsigned)index, &none, 1);
        table_put(&loop->files, index);
}
