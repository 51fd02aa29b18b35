// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codec_unpack() with any input. The first byte is the codec, and whether the rest is what is unpacked, or a page
 * that is packed first: then the next four bytes say where that is damaged, which leads deeper into the decoders than
 * made-up bytes do. Input and page are of exactly their sizes, so that AddressSanitizer sees a byte too far. What can
 * be unpacked is packed again, and must come back.
 */
#include "store/codec.h"

#include <stdlib.h>
#include <string.h>

#include "store/store.h"

#define DAMAGE 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct codec_work *work;

static void *memory(size_t bytes)
{
        void *p = malloc(bytes ? bytes : 1);

        if (!p)
                abort();
        return p;
}

static void unpack(const struct codec_choice *choice, const unsigned char *from, size_t bytes)
{
        unsigned char *in = memory(bytes), *page = memory(STORE_PAGE), *again = memory(STORE_PAGE);
        unsigned char packed[STORE_PAGE];

        memcpy(in, from, bytes);
        if (codec_unpack(work, choice->codec, in, bytes, page) == 0) {
                size_t n = codec_pack(work, choice, page, packed, STORE_PAGE);

                if (n &&
                    (codec_unpack(work, choice->codec, packed, n, again) < 0 || memcmp(page, again, STORE_PAGE) != 0))
                        abort();
        }
        free(in);
        free(page);
        free(again);
}

/* Packs a page that begins with data, damages it in two places, and unpacks it. */
static void pack_and_damage(const struct codec_choice *choice, const uint8_t *data, size_t size)
{
        unsigned char page[STORE_PAGE], packed[STORE_PAGE];
        size_t n;

        if (size < DAMAGE)
                return;
        for (size_t i = 0; i < STORE_PAGE; i++)
                page[i] = size > DAMAGE ? data[DAMAGE + i % (size - DAMAGE)] : 0;
        n = codec_pack(work, choice, page, packed, STORE_PAGE);
        if (!n)
                return;
        packed[data[0] % n] ^= data[1];
        packed[(data[2] * 16u) % n] ^= data[3];
        unpack(choice, packed, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct codec_choice choice;

        if (!size || (!work && codec_work_new(&work) < 0))
                return 0;
        choice.codec = data[0] % CODECS;
        choice.level = choice.codec != CODEC_NONE;
        if (!codec_built_in(choice.codec))
                return 0;
        if (data[0] & 0x80)
                pack_and_damage(&choice, data + 1, size - 1);
        else
                unpack(&choice, data + 1, size - 1);
        return 0;
}
