/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a library for compression is to codec.c. */
#ifndef STORE_CODEC_INTERNAL_H
#define STORE_CODEC_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* All are NULL, but the name, where the library is not in this build. */
struct codec_ops {
        const char *name;
        int (*default_level)(void);
        bool (*takes_level)(int level);
        void (*levels)(char *buf, size_t len); /* says in a line's part which levels there are */
        void *(*work_new)(void);               /* NULL: no memory */
        void (*work_free)(void *work);         /* takes NULL */
        /* As codec_pack() and codec_unpack(); most and bytes are 1 to STORE_PAGE. */
        size_t (*pack)(void *work, int level, const void *page, void *out, size_t most);
        int (*unpack)(void *work, const void *in, size_t bytes, void *page);
};

extern const struct codec_ops codec_lz4;
extern const struct codec_ops codec_zstd;

#endif
