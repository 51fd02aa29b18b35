// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records without holes between them. Each class of sizes (32 bytes to the next) is an array over slabs; records go
 * over the ends of slabs, so nothing is lost there:
 *
 *     class 1216   | r0 | r1 | r2 | r3 | r4 | r5 | ...
 *     slabs        |  16 KiB      |  16 KiB      |        wherever they are
 *
 * Who removes a record moves the last one into the hole. That is one more copy of a record, and for that there is no
 * fragmentation, whatever the order of puts and removals: what is lost is the rounding (16 bytes a record on
 * average), the tag by which the owner of a moved record is found (8), and the last slab of each class. malloc(3)
 * loses about as much while it is full (5 % of a mix of pages after churn, 2026); but when nine tenths of that had
 * gone, at random, it had ten times the memory of what was left, and three times after malloc_trim(3), where this had
 * 1.4 times. Nobody has the address of a record, which is what makes moving possible.
 */
#include "store/ram-pack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned class_of(uint32_t bytes)
{
        assert(bytes && bytes <= STORE_PAGE);
        return (bytes + PACK_HEADER - 1) / PACK_STEP;
}

static uint32_t size_of(unsigned class)
{
        return (class + 1) * PACK_STEP;
}

uint32_t pack_cost(uint32_t bytes)
{
        return size_of(class_of(bytes));
}

/* The place of byte `at` of a class, and in *left how many follow it in its slab. */
static char *place(const struct pack_class *c, uint64_t at, size_t *left)
{
        *left = SLAB_BYTES - at % SLAB_BYTES;
        return c->slabs[at / SLAB_BYTES] + at % SLAB_BYTES;
}

static void copy_in(const struct pack_class *c, uint64_t at, const void *from, size_t bytes)
{
        size_t left;
        char *to = place(c, at, &left);
        size_t n = bytes < left ? bytes : left;

        memcpy(to, from, n);
        if (n < bytes)
                memcpy(place(c, at + n, &left), (const char *)from + n, bytes - n);
}

static void copy_out(const struct pack_class *c, uint64_t at, void *to, size_t bytes)
{
        size_t left;
        const char *from = place(c, at, &left);
        size_t n = bytes < left ? bytes : left;

        memcpy(to, from, n);
        if (n < bytes)
                memcpy((char *)to + n, place(c, at + n, &left), bytes - n);
}

/* How many slabs so many records of a class have bytes in. */
static uint32_t slabs_for(unsigned class, uint32_t count)
{
        return (uint32_t)(((uint64_t)count * size_of(class) + SLAB_BYTES - 1) / SLAB_BYTES);
}

static int grow(struct pack *p, struct pack_class *c, uint32_t n_slabs)
{
        while (c->n_slabs < n_slabs) {
                if (c->n_slabs == c->room) {
                        uint32_t room = c->room ? 2 * c->room : 4;
                        char **slabs = realloc(c->slabs, room * sizeof(*slabs));

                        if (!slabs)
                                return -ENOMEM;
                        c->slabs = slabs;
                        c->room = room;
                }
                c->slabs[c->n_slabs] = slabs_get(&p->slabs);
                if (!c->slabs[c->n_slabs])
                        return -ENOMEM;
                c->n_slabs++;
        }
        return 0;
}

static void shrink(struct pack *p, struct pack_class *c, uint32_t n_slabs)
{
        while (c->n_slabs > n_slabs)
                slabs_put(&p->slabs, c->slabs[--c->n_slabs]);
}

int pack_put(struct pack *p, uint32_t bytes, const void *data, void *tag, uint32_t *index)
{
        unsigned class = class_of(bytes);
        struct pack_class *c = &p->classes[class];
        uint64_t at = (uint64_t)c->count * size_of(class);

        if (c->count == UINT32_MAX || grow(p, c, slabs_for(class, c->count + 1)) < 0) {
                shrink(p, c, slabs_for(class, c->count));
                return -ENOMEM;
        }
        copy_in(c, at, &tag, PACK_HEADER);
        copy_in(c, at + PACK_HEADER, data, bytes);
        *index = c->count++;
        return 0;
}

void pack_get(const struct pack *p, uint32_t bytes, uint32_t index, void *out)
{
        unsigned class = class_of(bytes);
        const struct pack_class *c = &p->classes[class];

        assert(index < c->count);
        copy_out(c, (uint64_t)index * size_of(class) + PACK_HEADER, out, bytes);
}

void *pack_remove(struct pack *p, uint32_t bytes, uint32_t index)
{
        unsigned class = class_of(bytes);
        struct pack_class *c = &p->classes[class];
        uint32_t size = size_of(class);
        uint64_t hole = (uint64_t)index * size, last;
        void *tag = NULL;

        assert(index < c->count);
        c->count--;
        if (index < c->count) {
                last = (uint64_t)c->count * size;
                copy_out(c, last, &tag, PACK_HEADER);
                for (uint32_t done = 0; done < size;) {
                        size_t left;
                        const char *from = place(c, last + done, &left);
                        size_t n = size - done < left ? size - done : left;

                        copy_in(c, hole + done, from, n);
                        done += (uint32_t)n;
                }
        }
        shrink(p, c, slabs_for(class, c->count));
        return tag;
}

size_t pack_resident(const struct pack *p)
{
        return slabs_resident(&p->slabs);
}

void pack_clear(struct pack *p)
{
        for (unsigned i = 0; i < PACK_CLASSES; i++)
                free(p->classes[i].slabs);
        slabs_clear(&p->slabs);
        *p = (struct pack){ 0 };
}
