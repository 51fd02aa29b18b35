/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORE_CODEC_H
#define STORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* How the bytes of a page are kept. The numbers may be kept beside the bytes: they do not change. */
enum codec { CODEC_NONE = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2 };
#define CODECS 3u

/* What pages are packed with. To unpack the codec alone is enough. */
struct codec_choice {
        enum codec codec;
        int level; /* 0 with CODEC_NONE */
};

/* The contexts of one thread, allocated once. */
struct codec_work;

#define CODEC_TEXT 32 /* bytes that hold each text that codec_format() makes */

/*
 * Reads "none", "lz4", "lz4:LEVEL", "zstd" or "zstd:LEVEL". Without a level it is the library's default (zstd), or 1
 * (lz4). Levels of lz4: 1; negative ones are quicker and pack less (-N is an acceleration of N + 1); from
 * LZ4HC_CLEVEL_MIN (3) to LZ4HC_CLEVEL_MAX (12) slower, and pack more (LZ4 HC). That is how liblz4's own frames
 * count. Levels of zstd: what its library says, but 0. Returns 0, or with e filled in -EINVAL (no such codec, no such
 * level) or -ENOTSUP (not in this build). *out is untouched on failure.
 */
int codec_parse(const char *text, struct codec_choice *out, struct error *e);

/* Writes a choice as codec_parse() reads it, with its level, into buf, and returns buf. */
char *codec_format(const struct codec_choice *choice, char *buf, size_t len);

/* "none", "lz4", "zstd" */
const char *codec_name(enum codec codec);

/* Whether this build can pack with it and unpack it. */
bool codec_built_in(enum codec codec);

/*
 * Contexts for all codecs of this build: 0 or -ENOMEM; *out is untouched on failure. zstd takes what a level needs of
 * it at the first page packed with that level, lz4 touches the memory of its slow levels when they are used first.
 */
int codec_work_new(struct codec_work **out);
void codec_work_free(struct codec_work *work);

/*
 * Packs the STORE_PAGE bytes at page into out. Returns how many bytes they became, 1 to `most` (which is STORE_PAGE
 * at most), or 0, and nothing was written, where they do not get that small or memory is short. CODEC_NONE copies,
 * and needs STORE_PAGE bytes.
 */
size_t codec_pack(struct codec_work *work, const struct codec_choice *choice, const void *page, void *out, size_t most);

/*
 * Unpacks what codec_pack() made into the STORE_PAGE bytes at page, which do not overlap with in. Takes any input
 * whatever: 0, or -EBADMSG where that is not exactly one packed page or the codec is not in this build; what is at
 * page then is not said. That a page comes out does not mean that it is the one that was packed: there is a checksum
 * for that.
 */
int codec_unpack(struct codec_work *work, enum codec codec, const void *in, size_t bytes, void *page);

/* Whether a page is one word, of 8 bytes, repeated: then *word is it. */
bool codec_filled(const void *page, uint64_t *word);

/* Makes a page of a word. */
void codec_fill(void *page, uint64_t word);

#endif
