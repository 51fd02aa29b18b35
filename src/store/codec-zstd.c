// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Zstandard frames (RFC 8878) without their first 7 bytes, which are the same for every page: the magic number, and a
 * header that says "4096 bytes in one segment, no checksum, no dictionary". Nothing of the library but what it calls
 * stable is needed for that, it is 1 byte less than the shortest frame that the library can make by itself
 * (magicless, without the content's size: 2 bytes of header), and the size in the header makes it demand a whole
 * page.
 *
 * What is unpacked has to be one frame to its end. The library would go on with further frames, among them those of
 * its forerunners, for which it has decoders that allocate.
 */
#include "store/codec-internal.h"

#ifdef HAVE_ZSTD

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "store/store.h"

/* 28 B5 2F FD; single segment, content size of 2 bytes (0x60); the content's size less 256, little endian. */
static const unsigned char header[7] = {
        0x28, 0xb5, 0x2f, 0xfd, 0x60, (STORE_PAGE - 256) & 0xff, (STORE_PAGE - 256) >> 8
};

struct zstd_work {
        ZSTD_CCtx *pack;
        ZSTD_DCtx *unpack;
        int level; /* that pack is set to; 0: none yet */
        unsigned char frame[ZSTD_COMPRESSBOUND(STORE_PAGE)];
        _Static_assert(ZSTD_COMPRESSBOUND(STORE_PAGE) >= sizeof(header) + STORE_PAGE, "unpack's frame fits as well");
};

static bool zstd_takes_level(int level)
{
        return level && level >= ZSTD_minCLevel() && level <= ZSTD_maxCLevel();
}

static void zstd_levels(char *buf, size_t len)
{
        snprintf(buf, len, "1 (quick) to %d (small) and -1 to %d (quicker and larger)", ZSTD_maxCLevel(),
                 ZSTD_minCLevel());
}

static void zstd_work_free(void *work)
{
        struct zstd_work *w = work;

        if (!w)
                return;
        ZSTD_freeCCtx(w->pack);
        ZSTD_freeDCtx(w->unpack);
        free(w);
}

static void *zstd_work_new(void)
{
        struct zstd_work *w = calloc(1, sizeof(*w));

        if (!w)
                return NULL;
        w->pack = ZSTD_createCCtx();
        w->unpack = ZSTD_createDCtx();
        if (!w->pack || !w->unpack) {
                zstd_work_free(w);
                return NULL;
        }
        return w;
}

static size_t zstd_pack(void *work, int level, const void *page, void *out, size_t most)
{
        struct zstd_work *w = work;
        size_t n;

        if (w->level != level) {
                if (ZSTD_isError(ZSTD_CCtx_setParameter(w->pack, ZSTD_c_compressionLevel, level)))
                        return 0;
                w->level = level;
        }
        n = ZSTD_compress2(w->pack, w->frame, sizeof(w->frame), page, STORE_PAGE);
        if (ZSTD_isError(n) || n <= sizeof(header) || memcmp(w->frame, header, sizeof(header)) != 0)
                return 0;
        n -= sizeof(header);
        if (n > most)
                return 0;
        memcpy(out, w->frame + sizeof(header), n);
        return n;
}

static int zstd_unpack(void *work, const void *in, size_t bytes, void *page)
{
        struct zstd_work *w = work;
        size_t length = sizeof(header) + bytes;

        memcpy(w->frame, header, sizeof(header));
        memcpy(w->frame + sizeof(header), in, bytes);
        if (ZSTD_findFrameCompressedSize(w->frame, length) != length ||
            ZSTD_decompressDCtx(w->unpack, page, STORE_PAGE, w->frame, length) != STORE_PAGE)
                return -EBADMSG;
        return 0;
}

const struct codec_ops codec_zstd = {
        .name = "zstd",
        .default_level = ZSTD_defaultCLevel,
        .takes_level = zstd_takes_level,
        .levels = zstd_levels,
        .work_new = zstd_work_new,
        .work_free = zstd_work_free,
        .pack = zstd_pack,
        .unpack = zstd_unpack,
};

#else

const struct codec_ops codec_zstd = { .name = "zstd" };

#endif
