// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LZ4 blocks, bare: the format has nothing but the data. LZ4_decompress_safe() neither reads beyond its input nor
 * writes beyond its output, whatever the input is (lz4.h).
 *
 * The quick levels use LZ4_compress_fast_extState(). The stream functions, which spare clearing 16 KiB, hash in
 * another way: with pages of text and of programs they take a fifth to two fifths longer and pack 1 to 2.5 % less.
 * With HC it is the other way round: there 256 KiB need not be cleared for each page. Both pack into a buffer in
 * which there is room for all, since near the end of a smaller one liblz4 gives up before it must.
 */
#include "store/codec-internal.h"

#ifdef HAVE_LZ4

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lz4hc.h>

#include "store/store.h"

#define FAST_LEVEL       1
#define ACCELERATION_MAX 65537 /* more is the same to liblz4 (LZ4_ACCELERATION_MAX in lz4.c) */

struct lz4_work {
        LZ4_stream_t *fast;
        LZ4_streamHC_t *slow; /* memory that is touched and made ready when it is needed first */
        LZ4_streamHC_t *ready;
        char block[LZ4_COMPRESSBOUND(STORE_PAGE)];
};

static int lz4_default_level(void)
{
        return FAST_LEVEL;
}

static bool lz4_takes_level(int level)
{
        return level == FAST_LEVEL || (level >= LZ4HC_CLEVEL_MIN && level <= LZ4HC_CLEVEL_MAX) ||
               (level < 0 && level >= 1 - ACCELERATION_MAX);
}

static void lz4_levels(char *buf, size_t len)
{
        snprintf(buf, len, "%d (quick), %d to %d (slower and smaller) and -1 to %d (quicker and larger)", FAST_LEVEL,
                 LZ4HC_CLEVEL_MIN, LZ4HC_CLEVEL_MAX, 1 - ACCELERATION_MAX);
}

static void lz4_work_free(void *work)
{
        struct lz4_work *w = work;

        if (!w)
                return;
        free(w->fast);
        free(w->slow);
        free(w);
}

static void *lz4_work_new(void)
{
        struct lz4_work *w = calloc(1, sizeof(*w));

        if (!w)
                return NULL;
        w->fast = malloc(sizeof(*w->fast));
        w->slow = malloc(sizeof(*w->slow));
        if (!w->fast || !w->slow) {
                lz4_work_free(w);
                return NULL;
        }
        return w;
}

static size_t lz4_pack(void *work, int level, const void *page, void *out, size_t most)
{
        struct lz4_work *w = work;
        int n;

        if (level < LZ4HC_CLEVEL_MIN) {
                n = LZ4_compress_fast_extState(w->fast, page, w->block, STORE_PAGE, sizeof(w->block),
                                               level < 0 ? 1 - level : 1);
        } else {
                if (!w->ready)
                        w->ready = LZ4_initStreamHC(w->slow, sizeof(*w->slow));
                LZ4_resetStreamHC_fast(w->ready, level);
                n = LZ4_compress_HC_continue(w->ready, page, w->block, STORE_PAGE, sizeof(w->block));
        }
        if (n <= 0 || (size_t)n > most)
                return 0;
        memcpy(out, w->block, (size_t)n);
        return (size_t)n;
}

static int lz4_unpack(void *work, const void *in, size_t bytes, void *page)
{
        (void)work;
        return LZ4_decompress_safe(in, page, (int)bytes, STORE_PAGE) == (int)STORE_PAGE ? 0 : -EBADMSG;
}

const struct codec_ops codec_lz4 = {
        .name = "lz4",
        .default_level = lz4_default_level,
        .takes_level = lz4_takes_level,
        .levels = lz4_levels,
        .work_new = lz4_work_new,
        .work_free = lz4_work_free,
        .pack = lz4_pack,
        .unpack = lz4_unpack,
};

#else

const struct codec_ops codec_lz4 = { .name = "lz4" };

#endif
