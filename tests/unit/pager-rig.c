// SPDX-License-Identifier: GPL-2.0-or-later
/* The client of the rig, and its beginning and end; see pager-rig.h. */
#include "pager-rig.h"

#include <string.h>
#include <sys/mman.h>

#define TABLE_BYTES RIG_MIB

static void pattern(unsigned char *out, unsigned page, unsigned seed)
{
        uint32_t word = page * 2654435761u ^ seed * 40503u;

        for (unsigned i = 0; i < PAGE_SIZE_; i += 4) {
                word = seed ? word * 1664525u + 1013904223u : 0;
                memcpy(out + i, &word, 4);
        }
}

/* The client. */
void rig_put(struct rig *r, unsigned page, unsigned seed)
{
        ck_assert(r->page[page].mapped);
        r->page[page].present = true;
        pattern(rig_bytes(r, page), page, seed);
}

void rig_put_many(struct rig *r, unsigned first, unsigned n, unsigned seed)
{
        for (unsigned i = first; i < first + n; i++)
                rig_put(r, i, seed);
}

bool rig_holds(const struct rig *r, unsigned page, unsigned seed)
{
        unsigned char want[PAGE_SIZE_];

        pattern(want, page, seed);
        return r->page[page].present && memcmp(rig_bytes(r, page), want, PAGE_SIZE_) == 0;
}

bool rig_holds_many(const struct rig *r, unsigned first, unsigned n, unsigned seed)
{
        for (unsigned i = first; i < first + n; i++)
                if (!rig_holds(r, i, seed))
                        return false;
        return true;
}

void rig_touch_as(struct rig *r, uint32_t tid, unsigned page, bool write)
{
        struct rig_page *p = &r->page[page];

        if (p->present || p->poisoned)
                return;
        p->waiting++;
        p->tid = tid;
        p->write = write;
        rig_fault(r, page);
}

void rig_touch(struct rig *r, unsigned page)
{
        rig_touch_as(r, RIG_MAIN, page, true);
}

void rig_receive(struct rig *r)
{
        unsigned turns = 0;

        do {
                r->again = false;
                fault_receive(&r->space);
                ck_assert_uint_lt(++turns, 1000);
        } while (r->again || (r->n_msgs && !r->space.read_pending));
}

static struct uffd_msg *event(struct rig *r, uint8_t kind)
{
        struct uffd_msg *m = &r->msg[r->n_msgs++];

        ck_assert_uint_le(r->n_msgs, RIG_MSGS);
        *m = (struct uffd_msg){ .event = kind };
        return m;
}

void rig_remove(struct rig *r, unsigned first, unsigned n)
{
        struct uffd_msg *m = event(r, UFFD_EVENT_REMOVE);

        m->arg.remove.start = rig_addr(first);
        m->arg.remove.end = rig_addr(first + n);
}

void rig_zap(struct rig *r, unsigned first, unsigned n)
{
        for (unsigned i = first; i < first + n; i++)
                r->page[i].present = r->page[i].poisoned = r->page[i].marked = false;
}

void rig_unmap_echo(struct rig *r, unsigned first, unsigned n)
{
        struct uffd_msg *m = event(r, UFFD_EVENT_UNMAP);

        m->arg.remove.start = rig_addr(first);
        m->arg.remove.end = rig_addr(first + n);
}

void rig_unmap(struct rig *r, unsigned first, unsigned n)
{
        rig_unmap_echo(r, first, n);
        rig_zap(r, first, n);
        for (unsigned i = first; i < first + n; i++)
                r->page[i].mapped = r->page[i].enlisted = false;
}

void rig_remap(struct rig *r, unsigned from, unsigned to, unsigned n)
{
        struct uffd_msg *m = event(r, UFFD_EVENT_REMAP);

        m->arg.remap.from = rig_addr(from);
        m->arg.remap.to = rig_addr(to);
        m->arg.remap.len = n * PAGE_SIZE_;
        for (unsigned i = 0; i < n; i++) {
                struct rig_page *p = &r->page[from + i], *q = &r->page[to + i];

                q->mapped = true;
                q->present = p->present;
                q->poisoned = p->poisoned;
                q->marked = p->marked;
                q->enlisted = p->enlisted;
                memcpy(rig_bytes(r, to + i), rig_bytes(r, from + i), PAGE_SIZE_);
                p->mapped = p->present = p->poisoned = p->marked = p->enlisted = false;
        }
}

void rig_tick(struct rig *r, uint64_t ns)
{
        r->now += ns;
        r->timer_at = 0;
        space_tick(&r->space);
}

static uint64_t present_bytes(struct rig *r)
{
        struct procfs_memory m;

        r->port.ops->memory(&r->port, &m);
        return m.anonymous - r->ballast;
}

void rig_press(struct rig *r)
{
        r->ballast = RIG_LIMIT - present_bytes(r);
        rig_tick(r, UINT64_C(1000000000));
}

void rig_relax(struct rig *r)
{
        r->ballast = RIG_LIMIT - 3 * RIG_MIB - present_bytes(r);
        rig_tick(r, 1000000);
}

enum page_state rig_state(const struct rig *r, unsigned page)
{
        return page_state(ptable_get(&r->space.table, rig_addr(page)));
}

void rig_expect(const struct rig *r, unsigned first, unsigned n, enum page_state state)
{
        for (unsigned i = first; i < first + n; i++)
                ck_assert_msg(rig_state(r, i) == state, "page %u is %s, not %s", i, page_state_name(rig_state(r, i)),
                              page_state_name(state));
}

void rig_evict_to(struct rig *r, unsigned first, unsigned n, enum page_state state)
{
        rig_press(r);
        rig_expect(r, first, n, PAGE_EVICTING);
        if (state != PAGE_EVICTING) {
                rig_agent(r);
                rig_expect(r, first, n, PAGE_STANDBY);
        }
        if (state == PAGE_STORED) {
                rig_store(r, 0);
                rig_expect(r, first, n, PAGE_STORED);
        }
        rig_relax(r);
}

/* A rig with a client, and a space that nothing is known of yet. */
static struct rig *new_client(struct pager *pager)
{
        struct rig *r = calloc(1, sizeof(*r));
        void *table;

        ck_assert(r);
        r->ring = mmap(NULL, VMPAGER_RING_BYTES(RIG_SLOTS), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(r->ring != MAP_FAILED && table != MAP_FAILED);
        r->memory = malloc(RIG_PAGES * PAGE_SIZE_);
        ck_assert(r->memory);
        r->now = UINT64_C(1000000000);
        r->port.ops = &rig_port_ops;
        r->store.ops = &rig_store_ops;
        r->pager.store = &r->store;
        for (unsigned i = 0; i < RIG_MAPPED; i++)
                r->page[i].mapped = true;
        ck_assert_int_eq(
                space_init(&r->space, pager ? pager : &r->pager, &r->port, r->ring, RIG_SLOTS, table, TABLE_BYTES), 0);
        return r;
}

struct rig *rig_new(void)
{
        struct rig *r = new_client(NULL);
        void *zeros = calloc(1, PAGER_ZERO_BYTES);
        char *buffers = malloc(PAGER_FETCHES * PAGE_SIZE_);
        struct space *first = r->pager.spaces;

        ck_assert(zeros && buffers);
        r->stored = malloc(RIG_LOCS * PAGE_SIZE_);
        ck_assert(r->stored);
        memset(r->stored, 0xdd, RIG_LOCS * PAGE_SIZE_);
        r->capacity = RIG_LOCS;
        r->store_port.store = &r->store;
        pager_init(&r->pager, &r->store, &r->store_port, &idle_standby, buffers, -1, zeros);
        r->pager.spaces = first;
        space_set_limit(&r->space, RIG_LIMIT);
        ck_assert_uint_eq(r->timer_at, r->now);
        rig_relax(r);
        ck_assert_uint_eq(r->enlisted, RIG_MAPPED);
        ck_assert(!r->space.doubtful);
        return r;
}

struct rig *rig_child(struct rig *r)
{
        r->child = new_client(r->space.pager);
        return r->child;
}

void rig_fork(struct rig *r)
{
        event(r, UFFD_EVENT_FORK)->arg.fork.ufd = 123;
        if (!r->child)
                return;
        memcpy(r->child->page, r->page, sizeof(r->page));
        memcpy(r->child->memory, r->memory, RIG_PAGES * PAGE_SIZE_);
        for (unsigned i = 0; i < RIG_PAGES; i++) {
                r->child->page[i].waiting = 0;
                r->shared[i] = r->child->shared[i] = r->page[i].present;
        }
}

void rig_end(struct rig *r)
{
        space_end(&r->space);
}

static void free_client(struct rig *r)
{
        for (unsigned state = PAGE_CLEARED; state < PAGE_N_STATES; state++)
                ck_assert_uint_eq(r->space.table.count[state], 0);
        space_clear(&r->space);
        munmap(r->ring, VMPAGER_RING_BYTES(RIG_SLOTS));
        munmap(r->space.table.arena.base, TABLE_BYTES);
        free(r->memory);
}

void rig_free(struct rig *r)
{
        if (r->child)
                rig_end(r->child);
        rig_end(r);
        rig_store(r, 0);
        ck_assert(!space_busy(&r->space));
        ck_assert_msg(rig_refs(r) == 0, "%u locations are still in use", rig_refs(r));
        ck_assert_ptr_null(r->pager.spaces);
        if (r->child)
                free_client(r->child);
        free(r->child);
        free_client(r);
        free(r->pager.buffers);
        free((void *)(uintptr_t)r->pager.zeros);
        free(r->stored);
        free(r);
}
