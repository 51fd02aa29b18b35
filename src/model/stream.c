/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread's stream is found by its number; a new thread takes the place of whichever is next in turn. */
#include "model/stream.h"

#include "model/page.h"

static struct stream *find(struct streams *s, uint32_t tid)
{
        for (unsigned i = 0; i < STREAMS; i++)
                if (s->v[i].tid == tid)
                        return &s->v[i];
        return NULL;
}

uint32_t stream_run(struct streams *s, uint32_t tid, uint64_t addr)
{
        const struct stream *t = find(s, tid);

        if (!t || t->next != addr)
                return 1;
        return t->run * 2 < STREAM_MAX_RUN ? t->run * 2 : STREAM_MAX_RUN;
}

void stream_given(struct streams *s, uint32_t tid, uint64_t addr, uint32_t pages)
{
        struct stream *t = find(s, tid);

        if (!t)
                t = &s->v[s->clock++ % STREAMS];
        *t = (struct stream){ .tid = tid, .run = pages ? pages : 1, .next = addr + pages * PAGE_SIZE_ };
}
