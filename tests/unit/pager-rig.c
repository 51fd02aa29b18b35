// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts around the space; see pager-rig.h. */
#include "pager-rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define TABLE_BYTES RIG_MIB

static struct rig *of(struct port *p)
{
        return (struct rig *)p;
}

static unsigned number(uint64_t addr)
{
        ck_assert_msg(addr >= RIG_BASE && addr < rig_addr(RIG_PAGES) && addr % PAGE_SIZE_ == 0, "address 0x%llx",
                      (unsigned long long)addr);
        return (unsigned)((addr - RIG_BASE) / PAGE_SIZE_);
}

static unsigned char *bytes_of(const struct rig *r, unsigned page)
{
        return r->memory + page * PAGE_SIZE_;
}

static void pattern(unsigned char *out, unsigned page, unsigned seed)
{
        uint32_t word = page * 2654435761u ^ seed * 40503u;

        for (unsigned i = 0; i < PAGE_SIZE_; i += 4) {
                word = seed ? word * 1664525u + 1013904223u : 0;
                memcpy(out + i, &word, 4);
        }
}

static void fault(struct rig *r, unsigned page)
{
        struct uffd_msg *m = &r->msg[r->n_msgs++];

        ck_assert_uint_le(r->n_msgs, RIG_MSGS);
        *m = (struct uffd_msg){ .event = UFFD_EVENT_PAGEFAULT };
        m->arg.pagefault.address = rig_addr(page) + 8;
        m->arg.pagefault.flags = r->page[page].write ? UFFD_PAGEFAULT_FLAG_WRITE : 0;
        m->arg.pagefault.feat.ptid = r->page[page].tid;
}

/* Those who wait for the page look again. */
static void woken(struct rig *r, unsigned page)
{
        struct rig_page *p = &r->page[page];
        uint32_t waiting = p->waiting;

        p->waiting = 0;
        if (!p->mapped) {
                p->segv += waiting;
        } else if (!p->present && !p->poisoned) {
                p->waiting = waiting;
                while (waiting--)
                        fault(r, page);
        }
}

static bool event_unread(const struct rig *r)
{
        for (unsigned i = 0; i < r->n_msgs; i++)
                if (r->msg[i].event != UFFD_EVENT_PAGEFAULT)
                        return true;
        return false;
}

/* The faults come first, as from the kernel. */
static int port_read(struct port *port, struct uffd_msg *msgs, unsigned n)
{
        struct rig *r = of(port);
        unsigned got = 0, kept;

        ck_assert_msg(atomic_load(&r->ring->moving) == 0, "read while the agent moves pages");
        r->reads++;
        for (unsigned events = 0; events < 2; events++) {
                kept = 0;
                for (unsigned i = 0; i < r->n_msgs; i++)
                        if ((r->msg[i].event != UFFD_EVENT_PAGEFAULT) == events && got < n)
                                msgs[got++] = r->msg[i];
                        else
                                r->msg[kept++] = r->msg[i];
                r->n_msgs = kept;
        }
        return (int)got;
}

static int64_t port_copy(struct port *port, uint64_t dst, const void *src, uint64_t len)
{
        struct rig *r = of(port);
        unsigned first = number(dst), n = (unsigned)(len / PAGE_SIZE_), done;

        if (r->gone)
                return -ESRCH;
        if (r->copy_errors) {
                r->copy_errors--;
                return r->copy_error;
        }
        if (event_unread(r))
                return -EAGAIN;
        for (unsigned i = 0; i < n; i++)
                if (!r->page[first + i].mapped)
                        return -ENOENT;
        for (done = 0; done < n && !r->page[first + done].present; done++) {
                memcpy(bytes_of(r, first + done), (const char *)src + done * PAGE_SIZE_, PAGE_SIZE_);
                r->page[first + done].present = true;
                woken(r, first + done);
        }
        return done ? (int64_t)(done * PAGE_SIZE_) : -EEXIST;
}

static int64_t port_zeropage(struct port *port, uint64_t dst, uint64_t len)
{
        static const unsigned char zeros[4096];
        int64_t n = port_copy(port, dst, zeros, len);

        of(port)->zeropages += n > 0;
        return n;
}

static int64_t port_poison(struct port *port, uint64_t dst, uint64_t len)
{
        struct rig *r = of(port);

        if (event_unread(r))
                return -EAGAIN;
        r->page[number(dst)].poisoned = true;
        woken(r, number(dst));
        return (int64_t)len;
}

static int port_wake(struct port *port, uint64_t start, uint64_t len)
{
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_)
                woken(of(port), number(at));
        return 0;
}

static int port_enlist(struct port *port, uint64_t start, uint64_t len)
{
        of(port)->enlisted += (unsigned)(len / PAGE_SIZE_);
        (void)start;
        return 0;
}

static int port_discharge(struct port *port, uint64_t start, uint64_t len)
{
        of(port)->discharged += (unsigned)(len / PAGE_SIZE_);
        (void)start;
        return 0;
}

static void port_kick(struct port *port)
{
        of(port)->kicks++;
}

static void port_ungate(struct port *port)
{
        ck_assert_uint_eq(atomic_load(&of(port)->ring->reading), 0);
        of(port)->ungates++;
}

static int port_memory(struct port *port, struct procfs_memory *out)
{
        struct rig *r = of(port);

        *out = (struct procfs_memory){ .anonymous = r->ballast };
        for (unsigned i = 0; i < RIG_PAGES; i++) {
                out->mapped += r->page[i].mapped * PAGE_SIZE_;
                out->anonymous += r->page[i].present * PAGE_SIZE_;
        }
        out->resident = out->anonymous;
        return 0;
}

static int port_mappings(struct port *port, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        struct rig *r = of(port);

        for (unsigned i = 0, first; i < RIG_PAGES; i++) {
                struct procfs_mapping m = { .readable = true, .writable = true, .anonymous = true, .name = "" };

                if (!r->page[i].mapped)
                        continue;
                for (first = i; i < RIG_PAGES && r->page[i].mapped; i++)
                        ;
                m.start = rig_addr(first);
                m.end = rig_addr(i);
                if (fn(&m, arg))
                        break;
        }
        return 0;
}

static int port_present(struct port *port, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                        uint64_t max_pages, uint64_t *next)
{
        struct rig *r = of(port);
        unsigned n = 0;
        uint64_t at;

        for (at = start; at < end; at += PAGE_SIZE_) {
                if (!r->page[number(at)].present)
                        continue;
                if (max_pages-- == 0)
                        break;
                if (n && runs[n - 1].end == at) {
                        runs[n - 1].end += PAGE_SIZE_;
                } else {
                        if (n == max_runs)
                                break;
                        runs[n++] = (struct procfs_run){ at, at + PAGE_SIZE_ };
                }
        }
        *next = at;
        return (int)n;
}

static uint64_t port_now(struct port *port)
{
        return of(port)->now;
}

static void port_timer(struct port *port, uint64_t at)
{
        struct rig *r = of(port);

        if (r->timer_at == 0 || at < r->timer_at)
                r->timer_at = at;
}

static void port_again(struct port *port)
{
        of(port)->again = true;
}

static void port_forked(struct port *port, int fd)
{
        of(port)->forked++;
        of(port)->forked_fd = fd;
}

static void port_kill(struct port *port, const char *why)
{
        ck_assert_str_ne(why, "");
        of(port)->killed++;
}

static const struct port_ops port_ops = {
        .read = port_read,
        .copy = port_copy,
        .zeropage = port_zeropage,
        .poison = port_poison,
        .wake = port_wake,
        .enlist = port_enlist,
        .discharge = port_discharge,
        .kick = port_kick,
        .ungate = port_ungate,
        .memory = port_memory,
        .mappings = port_mappings,
        .present = port_present,
        .now = port_now,
        .timer = port_timer,
        .again = port_again,
        .forked = port_forked,
        .kill = port_kill,
};

/* The store: locations from 0 to capacity - 1, the lowest free run first. */
static struct rig *of_store(struct store *s)
{
        return (struct rig *)((char *)s - offsetof(struct rig, store));
}

static uint32_t fake_alloc(struct store *s, uint32_t pages, store_loc *first)
{
        struct rig *r = of_store(s);

        for (uint32_t at = 0; at < r->capacity; at++) {
                uint32_t n = 0;

                while (n < pages && at + n < r->capacity && r->refs[at + n] == 0)
                        r->refs[at + n++] = 1;
                if (n) {
                        *first = at;
                        r->allocated += n;
                        return n;
                }
        }
        return 0;
}

static int fake_ref(struct store *s, store_loc loc)
{
        ck_assert_uint_gt(of_store(s)->refs[loc]++, 0);
        return 0;
}

static void fake_unref(struct store *s, store_loc first, uint32_t pages)
{
        while (pages--) {
                ck_assert_msg(first < RIG_LOCS && of_store(s)->refs[first] > 0, "location %llu is not in use",
                              (unsigned long long)first);
                of_store(s)->refs[first++]--;
        }
}

static void fake_submit(struct store_port *port, struct store_io *io)
{
        struct rig *r = of_store(port->store);

        ck_assert_uint_lt(r->n_ios, RIG_IOS);
        for (uint32_t i = 0; i < io->pages; i++)
                ck_assert_msg(r->refs[io->loc + i], "I/O on a location that is not in use");
        r->io[r->n_ios++] = io;
}

static const struct store_ops store_ops = {
        .name = "fake",
        .alloc = fake_alloc,
        .ref = fake_ref,
        .unref = fake_unref,
        .submit = fake_submit,
};

void rig_store_one(struct rig *r, int result)
{
        struct store_io *io = r->io[0];
        unsigned char *at;

        ck_assert_uint_gt(r->n_ios, 0);
        memmove(&r->io[0], &r->io[1], --r->n_ios * sizeof(r->io[0]));
        at = r->stored + io->loc * PAGE_SIZE_;
        for (uint32_t i = 0; i < io->pages; i++)
                ck_assert_msg(r->refs[io->loc + i], "a location was freed while its I/O was under way");
        if (result == 0)
                memcpy(io->write ? at : io->memory, io->write ? io->memory : at, io->pages * PAGE_SIZE_);
        else if (!io->write)
                memset(io->memory, 0xee, io->pages * PAGE_SIZE_);
        io->done(io, result);
}

void rig_store(struct rig *r, int result)
{
        while (r->n_ios)
                rig_store_one(r, result);
}

uint32_t rig_refs(const struct rig *r)
{
        uint32_t n = 0;

        for (unsigned i = 0; i < RIG_LOCS; i++)
                n += r->refs[i];
        return n;
}

/* The agent. */
static uint8_t move_page(struct rig *r, unsigned page, uint32_t slot)
{
        struct rig_page *p = &r->page[page];
        static const unsigned char zeros[4096];

        if (p->result)
                return p->result;
        if (!p->present)
                return VMPAGER_RES_ABSENT;
        p->present = false;
        if (memcmp(bytes_of(r, page), zeros, PAGE_SIZE_) == 0)
                return VMPAGER_RES_ZERO;
        ck_assert_uint_lt(slot, RIG_SLOTS);
        memcpy(r->space.slots + (uint64_t)slot * VMPAGER_PAGE, bytes_of(r, page), PAGE_SIZE_);
        return VMPAGER_RES_MOVED;
}

void rig_move(struct rig *r)
{
        for (; r->moved != atomic_load(&r->ring->posted); r->moved++) {
                struct vmpager_batch *b = &r->ring->batch[r->moved % VMPAGER_RING_BATCHES];
                bool cancelled = b->epoch != atomic_load(&r->ring->epoch);
                uint32_t n = 0, slot = b->first_slot;

                for (uint32_t i = 0; i < b->n_runs; i++) {
                        ck_assert_uint_ge(b->run[i].pages, 1);
                        for (uint32_t k = 0; k < b->run[i].pages; k++, n++) {
                                unsigned page = number(b->run[i].addr) + k;

                                b->result[n] = cancelled ? VMPAGER_RES_CANCELLED : move_page(r, page, slot);
                                slot += b->result[n] == VMPAGER_RES_MOVED;
                        }
                }
                ck_assert_uint_eq(n, b->n_pages);
                ck_assert_uint_le(n, VMPAGER_BATCH_PAGES);
        }
}

void rig_complete(struct rig *r)
{
        atomic_store(&r->ring->completed, r->moved);
        evict_completed(&r->space);
}

void rig_agent(struct rig *r)
{
        rig_move(r);
        rig_complete(r);
}

/* The client. */
void rig_put(struct rig *r, unsigned page, unsigned seed)
{
        ck_assert(r->page[page].mapped);
        r->page[page].present = true;
        pattern(bytes_of(r, page), page, seed);
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
        return r->page[page].present && memcmp(bytes_of(r, page), want, PAGE_SIZE_) == 0;
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
        fault(r, page);
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
                r->page[i].present = r->page[i].poisoned = false;
}

void rig_unmap(struct rig *r, unsigned first, unsigned n)
{
        struct uffd_msg *m = event(r, UFFD_EVENT_UNMAP);

        m->arg.remove.start = rig_addr(first);
        m->arg.remove.end = rig_addr(first + n);
        rig_zap(r, first, n);
        for (unsigned i = first; i < first + n; i++)
                r->page[i].mapped = false;
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
                memcpy(bytes_of(r, to + i), bytes_of(r, from + i), PAGE_SIZE_);
                p->mapped = p->present = p->poisoned = false;
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

        port_memory(&r->port, &m);
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

struct rig *rig_new(void)
{
        struct rig *r = calloc(1, sizeof(*r));
        void *table, *zeros = calloc(1, PAGER_ZERO_BYTES);
        char *buffers = malloc(PAGER_FETCHES * PAGE_SIZE_);

        ck_assert(r && zeros && buffers);
        r->ring = mmap(NULL, VMPAGER_RING_BYTES(RIG_SLOTS), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(r->ring != MAP_FAILED && table != MAP_FAILED);
        r->memory = malloc(RIG_PAGES * PAGE_SIZE_);
        r->stored = malloc(RIG_LOCS * PAGE_SIZE_);
        ck_assert(r->memory && r->stored);
        memset(r->stored, 0xdd, RIG_LOCS * PAGE_SIZE_);
        r->capacity = RIG_LOCS;
        r->now = UINT64_C(1000000000);
        r->port.ops = &port_ops;
        r->store.ops = &store_ops;
        r->store_port.store = &r->store;
        for (unsigned i = 0; i < RIG_MAPPED; i++)
                r->page[i].mapped = true;
        pager_init(&r->pager, &r->store, &r->store_port, &idle_standby, buffers, -1, zeros);
        ck_assert_int_eq(space_init(&r->space, &r->pager, &r->port, r->ring, RIG_SLOTS, table, TABLE_BYTES), 0);
        space_set_limit(&r->space, RIG_LIMIT);
        ck_assert_uint_eq(r->timer_at, r->now);
        rig_relax(r);
        ck_assert_uint_eq(r->enlisted, RIG_MAPPED);
        ck_assert(r->space.drained);
        return r;
}

void rig_free(struct rig *r)
{
        space_end(&r->space);
        ck_assert(space_busy(&r->space) == (r->n_ios != 0));
        rig_store(r, 0);
        ck_assert(!space_busy(&r->space));
        ck_assert_msg(rig_refs(r) == 0, "%u locations are still in use", rig_refs(r));
        for (unsigned state = PAGE_CLEARED; state < PAGE_N_STATES; state++)
                ck_assert_uint_eq(r->space.table.count[state], 0);
        ck_assert_ptr_null(r->pager.spaces);
        space_clear(&r->space);
        munmap(r->ring, VMPAGER_RING_BYTES(RIG_SLOTS));
        munmap(r->space.table.arena.base, TABLE_BYTES);
        free(r->pager.buffers);
        free((void *)(uintptr_t)r->pager.zeros);
        free(r->memory);
        free(r->stored);
        free(r);
}
