// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages on their way from a medium: runs of places that lie one behind another, and are all plain or all not. What
 * comes is compared with what is known of it outside of the medium, the seal or the checksum; a run that is not right
 * is read once more. The fault point "store-check" is visited when it is compared.
 */
#include "store/page-port.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "store/checksum.h"
#include "util/faultpoint.h"

static bool are_plain_right(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);

        return checksums_check(s->sums, io->loc + p->next, page_io_memory(io, p->next), p->run) == p->run;
}

/* Opens and unpacks a page of the bounce that begins `skip` units into it. */
static bool unpack(struct store_io *io, const struct bounce_page *v, uint32_t skip)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        char *in = p->bounce->memory + (size_t)skip * s->unit, *page = page_io_memory(io, v->page);
        store_loc loc = io->loc + v->page;

        if (v->place.sealed && seal_open(p->port->seal, loc, in, v->place.bytes, &s->seals[loc], in) < 0)
                return false;
        if (v->place.codec == CODEC_NONE)
                memcpy(page, in, STORE_PAGE);
        else if (codec_unpack(p->port->codec, v->place.codec, in, v->place.bytes, page) < 0)
                return false;
        return v->place.sealed || checksums_check(s->sums, loc, page, 1) == 1;
}

static bool are_packed_right(struct store_io *io)
{
        const struct bounce *b = page_io_of(io)->bounce;
        uint32_t skip = 0;

        for (uint32_t i = 0; i < b->n; skip += b->v[i++].units)
                if (!unpack(io, &b->v[i], skip))
                        return false;
        return true;
}

/* Whether all that was read is what was written. */
static bool are_right(struct store_io *io)
{
        struct page_io *p = page_io_of(io);

        return (p->bounce ? are_packed_right(io) : are_plain_right(io)) &&
               faultpoint_visit("store-check").action != FAULTPOINT_ERRNO;
}

/*
 * Whether what was read is no longer where it was read from (page-drain.h): then the bytes are another's by now, and
 * there was nothing wrong.
 */
static bool have_moved(const struct store_io *io)
{
        const struct page_io *p = (const struct page_io *)io->private_;
        struct page_store *s = page_store_of_port(p->port);
        uint64_t at = p->medium.at;

        for (uint32_t i = 0; i < p->run; i++) {
                struct place place;

                page_store_look(s, io->loc + p->next + i, 1, &place);
                if (place.kind != PLACE_MEDIUM || place.medium != p->part || place.at != at)
                        return true;
                at += place_units(s, &place);
        }
        return false;
}

/* What was read is wrong. Whether it was before, too. */
static bool is_wrong_again(const struct page_io *p)
{
        atomic_fetch_add_explicit(&page_store_of_port(p->port)->mismatches, 1, memory_order_relaxed);
        return p->reread;
}

static void on_read(struct medium_io *m, int result)
{
        struct page_io *p = op_owner(m, struct page_io, medium);
        struct store_io *io = store_io_of(p);

        if (result < 0) {
                page_io_end(io, result);
        } else if (are_right(io)) {
                p->reread = false;
                p->next += p->run;
                page_io_put_bounce(p);
                if (p->next < io->pages)
                        page_read_on(io);
                else
                        page_io_end(io, 0);
        } else if (have_moved(io)) {
                p->reread = false;
                page_io_put_bounce(p);
                page_read_on(io);
        } else if (is_wrong_again(p)) {
                page_io_end(io, -EBADMSG);
        } else {
                /* A device, or the way to it, may do better the second time. */
                p->reread = true;
                page_io_move(p, m->at, m->units, m->memory, m->buffer, on_read);
        }
}

/* How many of n places lie one behind another, and are of one kind; in *units what they take. */
static uint32_t adjacent(const struct page_store *s, const struct place *place, uint32_t n, uint32_t *units)
{
        uint32_t i = 0;

        for (*units = 0; i < n; i++) {
                const struct place *p = &place[i];

                if (p->kind != PLACE_MEDIUM || p->medium != place->medium || p->at != place->at + *units ||
                    place_is_plain(p) != place_is_plain(place))
                        break;
                *units += place_units(s, p);
        }
        return i;
}

static void read_packed(struct store_io *io, const struct place *place, uint32_t units)
{
        struct page_io *p = page_io_of(io);
        struct bounce *b;

        if (!p->bounce && !page_io_take_bounce(p))
                return;
        b = p->bounce;
        assert(b->part == p->part); /* pages move, but not to another medium */
        for (b->n = 0; b->n < p->run; b->n++)
                b->v[b->n] =
                        (struct bounce_page){ .page = p->next + b->n,
                                              .units = (uint8_t)place_units(page_store_of_port(p->port), &place[b->n]),
                                              .place = place[b->n] };
        page_io_move(p, place->at, units, b->memory, p->port->buffer, on_read);
}

/* Gets page `next` from memory. 0, -EBADMSG, or -ENOENT: it is not there any more. */
static int get(struct store_io *io, const struct place *place)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        char *page = page_io_memory(io, p->next), packed[STORE_PAGE];
        store_loc loc = io->loc + p->next;
        int bytes;

        assert(place->kind == PLACE_FILLED || place->kind == PLACE_RAM);
        if (place->kind == PLACE_FILLED) {
                codec_fill(page, place->at);
                return 0;
        }
        bytes = ram_get(s->ram, (const struct ram_object *)(uintptr_t)place->at, loc, packed);
        if (bytes < 0)
                return bytes;
        if (codec_unpack(p->port->codec, place->codec, packed, (size_t)bytes, page) == 0 &&
            checksums_check(s->sums, loc, page, 1) == 1)
                return 0;
        atomic_fetch_add_explicit(&s->mismatches, 1, memory_order_relaxed);
        return -EBADMSG;
}

void page_read_on(struct store_io *io)
{
        struct page_io *p = page_io_of(io);
        struct page_store *s = page_store_of_port(p->port);
        struct place place[BOUNCE_PAGES];
        uint32_t n = io->pages - p->next, i = 0, units;

        if (n > BOUNCE_PAGES)
                n = BOUNCE_PAGES;
        page_store_look(s, io->loc + p->next, n, place);
        for (; i < n && place[i].kind != PLACE_MEDIUM; i++, p->next++) {
                int r = get(io, &place[i]);

                if (r == -ENOENT) /* written back, since it was looked at */
                        break;
                if (r < 0) {
                        page_io_end_later(io, r);
                        return;
                }
        }
        if (p->next == io->pages) {
                page_io_end_later(io, 0);
                return;
        }
        if (i == n || place[i].kind != PLACE_MEDIUM) {
                page_io_go_on_later(io);
                return;
        }
        io->tier = STORE_DISK;
        p->part = place[i].medium;
        p->run = adjacent(s, &place[i], n - i, &units);
        if (place_is_plain(&place[i]))
                page_io_move(p, place[i].at, units, page_io_memory(io, p->next), io->buffer, on_read);
        else
                read_packed(io, &place[i], units);
}
