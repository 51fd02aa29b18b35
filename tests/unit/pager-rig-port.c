// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's side of the rig: what the pager may do to the client and ask about it; see pager-rig.h. */
#include <errno.h>
#include <string.h>

#include "pager-rig.h"

static struct rig *of(struct port *p)
{
        return (struct rig *)p;
}

unsigned rig_number(uint64_t addr)
{
        ck_assert_msg(addr >= RIG_BASE && addr < rig_addr(RIG_PAGES) && addr % PAGE_SIZE_ == 0, "address 0x%llx",
                      (unsigned long long)addr);
        return (unsigned)((addr - RIG_BASE) / PAGE_SIZE_);
}

unsigned char *rig_bytes(const struct rig *r, unsigned page)
{
        return r->memory + page * PAGE_SIZE_;
}

void rig_fault(struct rig *r, unsigned page)
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
                        rig_fault(r, page);
        }
}

static bool event_unread(const struct rig *r)
{
        if (r->changing)
                return true;
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
        r->alone = r->alone && !r->ends;
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
        unsigned first = rig_number(dst), n = (unsigned)(len / PAGE_SIZE_), done;

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
                memcpy(rig_bytes(r, first + done), (const char *)src + done * PAGE_SIZE_, PAGE_SIZE_);
                ck_assert(!r->page[first + done].guard);
                r->page[first + done].present = true;
                r->page[first + done].marked = false;
                woken(r, first + done);
        }
        return done ? (int64_t)(done * PAGE_SIZE_) : -EEXIST;
}

static bool port_changing(struct port *port)
{
        return event_unread(of(port));
}

/* Unlike COPY it does not overlook marks. */
static int64_t port_zeropage(struct port *port, uint64_t dst, uint64_t len)
{
        static const unsigned char zeros[4096];
        int64_t n = of(port)->page[rig_number(dst)].marked ? -EEXIST : port_copy(port, dst, zeros, len);

        of(port)->zeropages += n > 0;
        return n;
}

static int64_t port_poison(struct port *port, uint64_t dst, uint64_t len)
{
        struct rig *r = of(port);

        if (event_unread(r))
                return -EAGAIN;
        r->page[rig_number(dst)].poisoned = true;
        woken(r, rig_number(dst));
        return (int64_t)len;
}

static int port_wake(struct port *port, uint64_t start, uint64_t len)
{
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_)
                woken(of(port), rig_number(at));
        return 0;
}

static int port_enlist(struct port *port, uint64_t start, uint64_t len)
{
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_) {
                struct rig_page *p = &of(port)->page[rig_number(at)];

                of(port)->enlisted += !p->enlisted;
                p->enlisted = true;
        }
        return 0;
}

static int port_discharge(struct port *port, uint64_t start, uint64_t len)
{
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_) {
                struct rig_page *p = &of(port)->page[rig_number(at)];

                of(port)->discharged += p->enlisted;
                p->enlisted = false;
        }
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

static int port_mapping_at(struct port *port, uint64_t addr, struct procfs_mapping *m)
{
        unsigned first = rig_number(addr), end = first;
        const struct rig *r = of(port);

        if (r->no_query)
                return -ENOTTY;
        if (!r->page[first].mapped)
                return -ENOENT;
        while (first > 0 && r->page[first - 1].mapped && first != r->protected_from)
                first--;
        do
                end++;
        while (end < RIG_PAGES && r->page[end].mapped && end != r->protected_from);
        *m = (struct procfs_mapping){ .anonymous = true, .name = "" };
        m->start = rig_addr(first);
        m->end = rig_addr(end);
        m->readable = m->writable = !r->protected_from || first < r->protected_from;
        return 0;
}

static int port_mappings(struct port *port, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        struct rig *r = of(port);

        for (unsigned i = 0, first; i < RIG_PAGES; i++) {
                struct procfs_mapping m = { .readable = true, .writable = true, .anonymous = true, .name = "" };

                if (!r->page[i].mapped)
                        continue;
                for (first = i++; i < RIG_PAGES && r->page[i].mapped && r->page[i].enlisted == r->page[first].enlisted;)
                        i++;
                m.start = rig_addr(first);
                m.end = rig_addr(i--);
                if (fn(&m, arg))
                        break;
        }
        return 0;
}

static int port_thread_ends(struct port *port, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg)
{
        const struct rig *r = of(port);

        return r->thread_end ? fn(r->thread_end, r->thread_end + 24, arg) : 0;
}

static int port_present(struct port *port, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                        uint64_t max_pages, uint64_t *next)
{
        struct rig *r = of(port);
        unsigned n = 0;
        uint64_t at;

        r->looks++;
        for (at = start; at < end; at += PAGE_SIZE_) {
                if (at < RIG_BASE)
                        at = end < RIG_BASE ? end : RIG_BASE; /* a reservation that nobody uses */
                if (at == end)
                        break;
                if (!r->page[rig_number(at)].present)
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

static int port_mark(struct port *port, uint64_t start, uint64_t len)
{
        if (event_unread(of(port)))
                return -EAGAIN;
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_)
                of(port)->page[rig_number(at)].marked = true;
        return 0;
}

static int port_unmark(struct port *port, uint64_t start, uint64_t len)
{
        if (event_unread(of(port)))
                return -EAGAIN;
        for (uint64_t at = start; at < start + len; at += PAGE_SIZE_)
                of(port)->page[rig_number(at)].marked = false;
        return 0;
}

static int port_marked(struct port *port, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                       uint64_t *next)
{
        struct rig *r = of(port);
        unsigned n = 0;
        uint64_t at;

        for (at = start; at < end; at += PAGE_SIZE_) {
                if (!r->page[rig_number(at)].marked)
                        continue;
                if (n && runs[n - 1].end == at)
                        runs[n - 1].end += PAGE_SIZE_;
                else if (n == max_runs)
                        break;
                else
                        runs[n++] = (struct procfs_run){ at, at + PAGE_SIZE_ };
        }
        *next = at;
        return (int)n;
}

static int port_taken(struct port *port, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                      uint64_t *next)
{
        struct rig *r = of(port);
        unsigned n = 0;
        uint64_t at;

        for (at = start; at < end && n < max_runs; at += PAGE_SIZE_) {
                const struct rig_page *p = &r->page[rig_number(at)];

                if (p->marked || p->present || p->guard)
                        runs[n++] = (struct procfs_run){ at, at + PAGE_SIZE_ };
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

static int port_inherited(struct port *port, uint64_t addr)
{
        const struct rig_page *p = &of(port)->page[rig_number(addr)];

        return !p->mapped ? -ENOENT : !p->not_for_children;
}

static struct space *port_forked(struct port *port, int fd)
{
        struct rig *r = of(port);

        r->forked++;
        r->forked_fd = fd;
        return r->child ? &r->child->space : NULL;
}

static bool port_alone(struct port *port)
{
        return of(port)->alone;
}

static bool port_ending(struct port *port)
{
        return of(port)->ending;
}

static int port_sharing(struct port *port, uint64_t start, uint64_t end, struct procfs_sharing *out)
{
        *out = (struct procfs_sharing){ 0 };
        of(port)->counts++;
        of(port)->now += of(port)->count_ns;
        for (uint64_t a = start; a < end; a += PAGE_SIZE_) {
                uint64_t i = (a - start) / PAGE_SIZE_, bit = UINT64_C(1) << i % 64;

                if (!of(port)->page[rig_number(a)].present)
                        continue;
                (of(port)->shared[rig_number(a)] ? out->shared : out->mine)[i / 64] |= bit;
        }
        return 0;
}

static void port_kill(struct port *port, const char *why)
{
        ck_assert_str_ne(why, "");
        of(port)->killed++;
}

const struct port_ops rig_port_ops = {
        .read = port_read,
        .copy = port_copy,
        .changing = port_changing,
        .zeropage = port_zeropage,
        .poison = port_poison,
        .wake = port_wake,
        .enlist = port_enlist,
        .discharge = port_discharge,
        .kick = port_kick,
        .alone = port_alone,
        .ending = port_ending,
        .ungate = port_ungate,
        .memory = port_memory,
        .mappings = port_mappings,
        .mapping_at = port_mapping_at,
        .thread_ends = port_thread_ends,
        .present = port_present,
        .mark = port_mark,
        .unmark = port_unmark,
        .marked = port_marked,
        .taken = port_taken,
        .now = port_now,
        .timer = port_timer,
        .again = port_again,
        .forked = port_forked,
        .inherited = port_inherited,
        .sharing = port_sharing,
        .kill = port_kill,
};
