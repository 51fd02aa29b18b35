// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages on their way to a medium.
 *
 *     plain:   [run of pages -> units for it -> written -> places]...
 *     packed:  [up to BOUNCE_PAGES pages, each packed and sealed -> units for as many as go in one piece -> written ->
 *              places]...
 *
 * A page that is one word over and over needs no bytes. One that packs well stays in memory, where its owner has room
 * for it. One that does not get smaller by a unit goes as it is. Packing
 * takes microseconds a page, for which the faults of other clients of this worker wait: so it is done a few pages a
 * turn.
 *
 * A write that fails gives its units back, and the medium is passed by for some time; the caller, who has the pages
 * still, allocates anew and gets others.
 */
#include "store/page-port.h"

#include <errno.h>
#include <string.h>

#include "store/checksum.h"

/* Pages that are packed in one turn of the loop: some 20 to 200 us of lz4 or zstd. */
#define SLICE 8u

/* Pages whose checksums take so long that the medium should be busy meanwhile: 10 us. */
#define PUSH 16u

/* A page that packs worse than that does not stay in memory. */
#define RAM_BYTES 3072u

static bool is_packed(const struct store_io *io)
{
        return io->owner && (io->owner->codec.codec != CODEC_NONE || io->owner->sealed);
}

/* Whether the page needs no bytes; then its place is settled. */
static bool settle_filled(struct store_io *io, uint32_t page)
{
        struct page_store *s = page_store_of_port(page_io_of(io)->port);
        struct place place = { .kind = PLACE_FILLED };

        if (!codec_filled(page_io_memory(io, page), &place.at))
                return false;
        checksums_set(s->sums, io->loc + page, page_io_memory(io, page), 1);
        page_store_settle(s, io->loc + page, &place, NULL);
        return true;
}

/* ---- pages as they are, from the caller's memory ---- */

static void on_plain_written(struct medium_io *m, int result)
{
        struct page_io *p = op_owner(m, struct page_io, medium);
        struct page_store *s = page_store_of_port(p->port);
        struct store_io *io = store_io_of(p);
        struct place place = { .bytes = STORE_PAGE, .kind = PLACE_MEDIUM, .medium = (uint8_t)p->part };

        page_turn_end(p->port, io, false, p->part);
        if (result < 0) {
                page_store_give_back(s, p->run, loop_now(p->port->base.loop), p->part, m->at, m->units);
                page_io_end(io, result);
                return;
        }
        for (uint32_t i = 0; i < p->run; i++) {
                place.at = m->at + (uint64_t)i * s->per_page;
                page_store_settle(s, io->loc + p->next + i, &place, NULL);
        }
        p->next += p->run;
        if (p->next < io->pages)
                page_write_on(io);
        else
                page_io_end(io, 0);
}

static void write_plain(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        struct spread_view view;
        uint32_t end;
        uint64_t at, word, now = loop_now(p->port->base.loop);

        while (p->next < io->pages && settle_filled(io, p->next))
                p->next++;
        if (p->next == io->pages) {
                page_io_end_later(io, 0);
                return;
        }
        for (end = p->next + 1; end < io->pages && !codec_filled(page_io_memory(io, end), &word);)
                end++;
        view = page_turn_view(p->port, io, false);
        p->run = page_store_take(s, NULL, end - p->next, true, now, &view, &p->part, &at);
        if (!p->run) {
                if (p->part == SPREAD_MOST)
                        page_io_no_room(io);
                else
                        page_turn_wait(p, p->part);
                return;
        }
        page_turn_begin(p->port, io, false, p->part);
        page_io_move(p, at, p->run * s->per_page, page_io_memory(io, p->next), io->buffer, on_plain_written);
        if (p->run >= PUSH)
                loop_push(p->port->base.loop);
        checksums_set(s->sums, io->loc + p->next, page_io_memory(io, p->next), p->run);
}

/* ---- packed pages, from a bounce ---- */

int page_port_add(struct page_port *port, struct bounce *b, const struct store_owner *owner, store_loc loc,
                  size_t bytes, enum codec codec)
{
        struct page_store *s = page_store_of_port(port);
        struct bounce_page *v = &b->v[b->n];
        char *out = b->memory + (size_t)b->units * s->unit;

        v->place = (struct place){
                .bytes = (uint16_t)bytes, .kind = PLACE_MEDIUM, .codec = (uint8_t)codec, .sealed = owner->sealed
        };
        if (owner->sealed) {
                int r = seal_close(port->seal, owner->key, loc, out, bytes, out, &v->seal);

                if (r < 0)
                        return r;
        }
        v->units = (uint8_t)((bytes + s->unit - 1) / s->unit);
        memset(out + bytes, 0, (size_t)v->units * s->unit - bytes);
        b->n++;
        b->units += v->units;
        return 0;
}

/* The most that a packed page may have to be worth it, by where it can go. */
static size_t most_of(const struct page_store *s, const struct store_owner *owner)
{
        if (owner->codec.codec == CODEC_NONE)
                return 0;
        if (s->unit < STORE_PAGE)
                return STORE_PAGE - s->unit;
        return owner->ram ? RAM_BYTES : 0;
}

/* Packs a page, to memory or to the end of what is in the bounce. 0 or a negative errno. */
static int pack(struct store_io *io, uint32_t page)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        const struct store_owner *owner = io->owner;
        struct bounce *b = p->bounce;
        const char *memory = page_io_memory(io, page);
        char *out = b->memory + (size_t)b->units * s->unit;
        size_t most = most_of(s, owner), bytes = 0;

        checksums_set(s->sums, io->loc + page, memory, 1);
        if (most)
                bytes = codec_pack(p->port->codec, &owner->codec, memory, out, most);
        if (bytes && bytes <= RAM_BYTES && owner->ram) {
                struct place place = { .bytes = (uint16_t)bytes, .kind = PLACE_RAM, .codec = owner->codec.codec };

                place.at = (uintptr_t)ram_put(owner->ram, io->loc + page, (uint32_t)bytes, out);
                if (place.at) {
                        page_store_settle(s, io->loc + page, &place, NULL);
                        return 0;
                }
        }
        if (!bytes)
                memcpy(out, memory, STORE_PAGE);
        b->v[b->n].page = page;
        return page_port_add(p->port, b, owner, io->loc + page, bytes ? bytes : STORE_PAGE,
                             bytes ? owner->codec.codec : CODEC_NONE);
}

static void write_bounce(struct store_io *io);

static void on_packed_written(struct medium_io *m, int result)
{
        struct page_io *p = op_owner(m, struct page_io, medium);
        struct page_store *s = page_store_of_port(p->port);
        struct store_io *io = store_io_of(p);
        struct bounce *b = p->bounce;

        page_turn_end(p->port, io, true, p->part);
        if (result < 0) {
                page_store_give_back(s, p->run, loop_now(p->port->base.loop), p->part, m->at, m->units);
                page_io_end(io, result);
                return;
        }
        for (uint32_t i = b->sent; i < b->sent + p->run; i++)
                page_store_settle(s, io->loc + b->v[i].page, &b->v[i].place, &b->v[i].seal);
        b->sent += p->run;
        if (b->sent < b->n)
                write_bounce(io);
        else if (p->next < io->pages)
                page_write_on(io);
        else
                page_io_end(io, 0);
}

bool page_port_find(struct page_port *port, const struct store_io *io, struct bounce *b, struct bounce_part *part)
{
        struct page_store *s = page_store_of_port(port);
        struct spread_view view = page_turn_view(port, io, true);
        uint64_t now = loop_now(port->base.loop);
        uint8_t units[BOUNCE_PAGES];
        uint32_t skip = 0, n = b->n - b->sent;

        for (uint32_t i = 0; i < b->sent; i++)
                skip += b->v[i].units;
        for (uint32_t i = 0; i < n; i++)
                units[i] = b->v[b->sent + i].units;
        *part = (struct bounce_part){ .memory = b->memory + (size_t)skip * s->unit };
        part->pages = page_store_take(s, units, n, io != NULL, now, &view, &part->medium, &part->at);
        for (uint32_t i = b->sent; i < b->sent + part->pages; i++) {
                b->v[i].place.at = part->at + part->units;
                b->v[i].place.medium = (uint8_t)part->medium;
                part->units += b->v[i].units;
        }
        return part->pages > 0;
}

static void write_bounce(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct bounce_part part;

        if (!page_port_find(p->port, io, p->bounce, &part)) {
                if (part.medium == SPREAD_MOST)
                        page_io_no_room(io);
                else
                        page_turn_wait(p, part.medium);
                return;
        }
        p->run = part.pages;
        p->part = part.medium;
        page_turn_begin(p->port, io, true, p->part);
        page_io_move(p, part.at, part.units, part.memory, p->port->buffer, on_packed_written);
}

static void write_packed(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        int r = 0;

        if (!p->bounce && !page_io_take_bounce(p))
                return;
        if (p->bounce->sent == p->bounce->n)
                p->bounce->n = p->bounce->sent = p->bounce->units = 0;
        for (unsigned i = 0; i < SLICE && p->next < io->pages && p->bounce->n < BOUNCE_PAGES && r == 0; i++) {
                if (!settle_filled(io, p->next))
                        r = pack(io, p->next);
                p->next++;
        }
        if (r < 0)
                page_io_end_later(io, r);
        else if (p->next < io->pages && p->bounce->n < BOUNCE_PAGES)
                page_io_go_on_later(io);
        else if (p->bounce->n)
                write_bounce(io);
        else
                page_io_end_later(io, 0);
        page_back_look(p->port, io->owner);
}

void page_write_on(struct store_io *io)
{
        if (is_packed(io))
                write_packed(io);
        else
                write_plain(io);
}
