// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page, packed: one page alone, so that each can be read, moved and freed without others, and with nothing beside
 * its bytes: how many they are and which codec made them is in the caller's table, outside of the store, as its
 * checksum is. The libraries are in codec-lz4.c and codec-zstd.c; here is what is the same for all.
 *
 * Before a page is packed one looks whether it is a single word repeated: those need no bytes at all.
 */
#include "store/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec-internal.h"
#include "store/store.h"
#include "util/error.h"

struct codec_work {
        void *of[CODECS];
};

static const struct codec_ops codec_none = { .name = "none" };
static const struct codec_ops *const all[CODECS] = {
        [CODEC_NONE] = &codec_none,
        [CODEC_LZ4] = &codec_lz4,
        [CODEC_ZSTD] = &codec_zstd,
};

const char *codec_name(enum codec codec)
{
        assert(codec < CODECS);
        return all[codec]->name;
}

bool codec_built_in(enum codec codec)
{
        return codec == CODEC_NONE || (codec < CODECS && all[codec]->pack);
}

static int parse_level(const struct codec_ops *ops, const char *text, int *level, struct error *e)
{
        char levels[120];
        char *end;
        long value;

        errno = 0;
        value = strtol(text, &end, 10);
        if ((*text == '-' || (*text >= '0' && *text <= '9')) && !*end && !errno && value == (int)value &&
            ops->takes_level((int)value)) {
                *level = (int)value;
                return 0;
        }
        ops->levels(levels, sizeof(levels));
        return error_set(e, -EINVAL, "\"%s\" is no level of %s: there are %s", text, ops->name, levels);
}

int codec_parse(const char *text, struct codec_choice *out, struct error *e)
{
        size_t length = strcspn(text, ":");
        const char *level_text = text[length] ? text + length + 1 : NULL;
        struct codec_choice choice = { CODEC_NONE, 0 };
        const struct codec_ops *ops;

        while (choice.codec < CODECS &&
               (strlen(all[choice.codec]->name) != length || strncmp(all[choice.codec]->name, text, length) != 0))
                choice.codec++;
        if (choice.codec == CODECS)
                return error_set(e, -EINVAL,
                                 "there is no codec \"%.*s\": say none, lz4 or zstd, the latter two with a "
                                 "level if you like (zstd:3)",
                                 (int)length, text);
        ops = all[choice.codec];
        if (!codec_built_in(choice.codec))
                return error_set(e, -ENOTSUP,
                                 "this vmpager was built without %s: use another codec, or build it "
                                 "with lib%s",
                                 ops->name, ops->name);
        if (choice.codec == CODEC_NONE) {
                if (level_text)
                        return error_set(e, -EINVAL, "the codec none has no levels: say none alone");
        } else if (!level_text) {
                choice.level = ops->default_level();
        } else {
                int r = parse_level(ops, level_text, &choice.level, e);

                if (r < 0)
                        return r;
        }
        *out = choice;
        return 0;
}

char *codec_format(const struct codec_choice *choice, char *buf, size_t len)
{
        if (choice->codec == CODEC_NONE)
                snprintf(buf, len, "%s", codec_none.name);
        else
                snprintf(buf, len, "%s:%d", codec_name(choice->codec), choice->level);
        return buf;
}

int codec_work_new(struct codec_work **out)
{
        struct codec_work *work = calloc(1, sizeof(*work));

        if (!work)
                return -ENOMEM;
        for (unsigned i = 0; i < CODECS; i++) {
                if (!all[i]->work_new)
                        continue;
                work->of[i] = all[i]->work_new();
                if (!work->of[i]) {
                        codec_work_free(work);
                        return -ENOMEM;
                }
        }
        *out = work;
        return 0;
}

void codec_work_free(struct codec_work *work)
{
        if (!work)
                return;
        for (unsigned i = 0; i < CODECS; i++)
                if (all[i]->work_free)
                        all[i]->work_free(work->of[i]);
        free(work);
}

size_t codec_pack(struct codec_work *work, const struct codec_choice *choice, const void *page, void *out, size_t most)
{
        const struct codec_ops *ops = all[choice->codec];

        assert(codec_built_in(choice->codec) && most <= STORE_PAGE);
        if (choice->codec == CODEC_NONE) {
                if (most < STORE_PAGE)
                        return 0;
                memcpy(out, page, STORE_PAGE);
                return STORE_PAGE;
        }
        return most ? ops->pack(work->of[choice->codec], choice->level, page, out, most) : 0;
}

int codec_unpack(struct codec_work *work, enum codec codec, const void *in, size_t bytes, void *page)
{
        if (!codec_built_in(codec) || !bytes || bytes > STORE_PAGE)
                return -EBADMSG;
        if (codec == CODEC_NONE) {
                if (bytes != STORE_PAGE)
                        return -EBADMSG;
                memcpy(page, in, STORE_PAGE);
                return 0;
        }
        return all[codec]->unpack(work->of[codec], in, bytes, page);
}

bool codec_filled(const void *page, uint64_t *word)
{
        /* The same as itself, shifted by a word; memcmp(3) ends at the first difference, mostly in the first bytes. */
        if (memcmp(page, (const char *)page + sizeof(*word), STORE_PAGE - sizeof(*word)) != 0)
                return false;
        memcpy(word, page, sizeof(*word));
        return true;
}

void codec_fill(void *page, uint64_t word)
{
        for (size_t at = 0; at < STORE_PAGE; at += sizeof(word))
                memcpy((char *)page + at, &word, sizeof(word));
}
