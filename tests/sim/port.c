// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pager's way to the simulated client: as client/port.c, with the simulated kernel's functions for system calls. In
 * front of each, and behind some, others may come in between.
 */
#include <errno.h>
#include <string.h>

#include "world.h"

/* Others may come in between; from then on it is about this client. */
static struct sim_client *enter(struct port *p)
{
        current = (struct sim_client *)p;
        world_between();
        return current;
}

static unsigned page_of(uint64_t addr)
{
        if (addr < SIM_BASE || addr > sim_address(SIM_PAGES) || addr % PAGE_SIZE_)
                sim_fail("the pager asks for address 0x%llx", (unsigned long long)addr);
        return (unsigned)((addr - SIM_BASE) / PAGE_SIZE_);
}

static unsigned pages(uint64_t len)
{
        return (unsigned)(len / PAGE_SIZE_);
}

static int64_t bytes(int r)
{
        return r > 0 ? r * (int64_t)PAGE_SIZE_ : r;
}

static void read_fork(unsigned fd)
{
        sim_say("daemon: reads FORK of client %c", life_name(&world.client[fd]));
        world.client[fd].told = true;
}

static int port_read(struct port *p, struct uffd_msg *msgs, unsigned n)
{
        unsigned got = 0;

        enter(p);
        while (got < n && kernel_uffd_read(&current->mm, &msgs[got])) {
                const struct uffd_msg *m = &msgs[got++];

                if (m->event == UFFD_EVENT_PAGEFAULT)
                        sim_say("daemon: reads a fault on page %u", page_of(page_floor(m->arg.pagefault.address)));
                else if (m->event == UFFD_EVENT_FORK)
                        read_fork(m->arg.fork.ufd);
                else if (m->event == UFFD_EVENT_REMAP)
                        sim_say("daemon: reads REMAP %u-%u to %u", page_of(m->arg.remap.from),
                                page_of(m->arg.remap.from + m->arg.remap.len) - 1, page_of(m->arg.remap.to));
                else
                        sim_say("daemon: reads %s %u-%u", m->event == UFFD_EVENT_UNMAP ? "UNMAP" : "REMOVE",
                                page_of(m->arg.remove.start), page_of(m->arg.remove.end) - 1);
                world_between();
        }
        return (int)got;
}

static int64_t port_copy(struct port *p, uint64_t dst, const void *src, uint64_t len)
{
        static bool refused[SIM_CLIENTS][SIM_PAGES], *said;
        uint64_t content;
        int r;

        enter(p);
        said = &refused[current - world.client][page_of(dst)];
        r = kernel_uffd_copy(&current->mm, page_of(dst), pages(len), src);
        memcpy(&content, src, sizeof(content));
        if (r == -EAGAIN && *said)
                return r;
        *said = r == -EAGAIN;
        sim_say("daemon: COPY %u, %u pages (content %llu): %d", page_of(dst), pages(len),
                (unsigned long long)(content & ~SIM_TAG), r);
        return bytes(r);
}

static int64_t port_zeropage(struct port *p, uint64_t dst, uint64_t len)
{
        int r;

        enter(p);
        r = kernel_uffd_zeropage(&current->mm, page_of(dst), pages(len));
        sim_say("daemon: ZEROPAGE %u, %u pages: %d", page_of(dst), pages(len), r);
        return bytes(r);
}

static int64_t port_poison(struct port *p, uint64_t dst, uint64_t len)
{
        int r;

        enter(p);
        kernel_uffd_protect(&current->mm, page_of(dst), pages(len), false);
        world_between();
        r = kernel_uffd_poison(&current->mm, page_of(dst), pages(len));
        sim_say("daemon: POISON %u: %d", page_of(dst), r);
        return bytes(r);
}

static int port_wake(struct port *p, uint64_t start, uint64_t len)
{
        enter(p);
        sim_say("daemon: WAKE %u", page_of(start));
        kernel_uffd_wake(&current->mm, page_of(start), pages(len));
        return 0;
}

static int protect(struct port *p, uint64_t start, uint64_t len, bool on)
{
        int r;

        enter(p);
        r = kernel_uffd_protect(&current->mm, page_of(start), pages(len), on);
        sim_say("daemon: %s %u-%u: %d", on ? "marks" : "unmarks", page_of(start), page_of(start + len) - 1, r);
        return r;
}

static int port_mark(struct port *p, uint64_t start, uint64_t len)
{
        return protect(p, start, len, true);
}

static int port_unmark(struct port *p, uint64_t start, uint64_t len)
{
        return protect(p, start, len, false);
}

static int set_registered(struct port *p, uint64_t start, uint64_t len, bool on)
{
        int r;

        enter(p);
        r = kernel_uffd_register(&current->mm, page_of(start), pages(len), on);
        sim_say("daemon: %s %u-%u: %d", on ? "REGISTER" : "UNREGISTER", page_of(start), page_of(start + len) - 1, r);
        return r;
}

static int port_enlist(struct port *p, uint64_t start, uint64_t len)
{
        return set_registered(p, start, len, true);
}

static int port_discharge(struct port *p, uint64_t start, uint64_t len)
{
        return set_registered(p, start, len, false);
}

static bool port_changing(struct port *p)
{
        enter(p);
        return current->mm.gone || current->mm.changing;
}

static void port_kick(struct port *p)
{
        struct sim_client *c = (struct sim_client *)p;

        if (c->agent.waits && c->agent.idle)
                task_wake(&c->agent);
}

static void port_ungate(struct port *p)
{
        (void)p; /* the agent looks by itself, see agent_can_go() */
}

static int port_memory(struct port *p, struct procfs_memory *out)
{
        enter(p);
        if (current->mm.gone || !current->known)
                return -ESRCH;
        *out = (struct procfs_memory){ .mapped = kernel_size(&current->mm) * PAGE_SIZE_,
                                       .anonymous = current->ballast };
        for (unsigned i = 0; i < SIM_PAGES; i++)
                out->anonymous += current->mm.pte[i].kind == PTE_PAGE ? PAGE_SIZE_ : 0;
        out->resident = out->anonymous;
        return 0;
}

/* The mapping at or after a page. */
static int find_mapping(struct port *p, unsigned at, struct procfs_mapping *m)
{
        const struct sim_vma *v = NULL;

        enter(p);
        if (current->mm.gone || !current->known)
                return -ESRCH;
        for (unsigned i = 0; i < current->mm.n_vmas && !v; i++)
                if (current->mm.vma[i].end > at)
                        v = &current->mm.vma[i];
        if (!v)
                return -ENOENT;
        *m = (struct procfs_mapping){
                .start = sim_address(v->start),
                .end = sim_address(v->end),
                .readable = v->readable,
                .writable = v->writable,
                .anonymous = true,
                .name = "",
        };
        return 0;
}

static int port_mapping_at(struct port *p, uint64_t addr, struct procfs_mapping *m)
{
        int r = find_mapping(p, page_of(addr), m);

        return r < 0 ? r : m->start > addr ? -ENOENT : 0;
}

/* The list is read mapping by mapping. */
static int port_mappings(struct port *p, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg)
{
        struct procfs_mapping m;
        unsigned at = 0;
        int r = 0;

        while (r == 0) {
                r = find_mapping(p, at, &m);
                if (r == -ENOENT)
                        return 0;
                if (r < 0)
                        return r;
                at = page_of(m.end);
                r = fn(&m, arg);
        }
        return r;
}

static bool is_present(const struct sim_pte *e)
{
        return e->kind == PTE_PAGE;
}

static bool is_marked(const struct sim_pte *e)
{
        return e->kind == PTE_NONE && e->wp;
}

static bool is_taken(const struct sim_pte *e)
{
        return e->kind != PTE_NONE || e->wp;
}

/* PAGEMAP_SCAN */
static int scan(struct port *p, bool (*wanted)(const struct sim_pte *e), uint64_t start, uint64_t end,
                struct procfs_run *runs, unsigned max_runs, uint64_t max_pages, uint64_t *next)
{
        unsigned at, n = 0;

        enter(p);
        if (current->mm.gone || !current->known)
                return -ESRCH;
        for (at = page_of(start); at < page_of(end); at++) {
                if (!wanted(&current->mm.pte[at]))
                        continue;
                if (max_pages-- == 0)
                        break;
                if (n && runs[n - 1].end == sim_address(at)) {
                        runs[n - 1].end += PAGE_SIZE_;
                        continue;
                }
                if (n == max_runs)
                        break;
                runs[n++] = (struct procfs_run){ sim_address(at), sim_address(at + 1) };
        }
        *next = sim_address(at);
        return (int)n;
}

static int port_present(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                        uint64_t max_pages, uint64_t *next)
{
        return scan(p, is_present, start, end, runs, max_runs, max_pages, next);
}

static int port_marked(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                       uint64_t *next)
{
        return scan(p, is_marked, start, end, runs, max_runs, UINT64_MAX, next);
}

static int port_taken(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                      uint64_t *next)
{
        return scan(p, is_taken, start, end, runs, max_runs, UINT64_MAX, next);
}

static uint64_t port_now(struct port *p)
{
        (void)p;
        return world.now;
}

static void port_timer(struct port *p, uint64_t at)
{
        struct sim_client *c = (struct sim_client *)p;

        if (c->timer_at == 0 || at < c->timer_at)
                c->timer_at = at ? at : 1;
}

/* Whether a page is mapped once or more often is what the kernel tells, and not whether it is known to be exclusive. */
static int port_sharing(struct port *p, uint64_t start, uint64_t end, struct procfs_sharing *out)
{
        enter(p);
        if (current->mm.gone || !current->known)
                return -ESRCH;
        *out = (struct procfs_sharing){ 0 };
        for (unsigned at = page_of(start); at < page_of(end); at++) {
                const struct sim_pte *e = &current->mm.pte[at];
                unsigned i = at - page_of(start);

                if (e->kind == PTE_PAGE)
                        (e->page->refs > 1 ? out->shared : out->mine)[i / 64] |= UINT64_C(1) << i % 64;
        }
        return 0;
}

static bool port_alone(struct port *p)
{
        enter(p);
        return !current->mm.gone && current->known && current->n_threads == 1;
}

static bool port_ending(struct port *p)
{
        enter(p);
        return current->mm.gone;
}

static int port_inherited(struct port *p, uint64_t addr)
{
        (void)p;
        (void)addr;
        return 1;
}

/* No thread's end is simulated. */
static int port_thread_ends(struct port *p, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg)
{
        (void)p;
        (void)fn;
        (void)arg;
        return 0;
}

static void port_again(struct port *p)
{
        ((struct sim_client *)p)->again = true;
}

static struct space *port_forked(struct port *p, int fd)
{
        struct sim_client *child = &world.client[fd];

        (void)p;
        if (!child->told)
                sim_fail("a child is made twice");
        life_space(child);
        return &child->space;
}

/* Only where there is no telling, which ARCHITECTURE.md says there may be. */
static void port_kill(struct port *p, const char *why)
{
        struct sim_client *c = (struct sim_client *)p;

        if (!strstr(why, "it cannot be told which pages are where"))
                sim_fail("the client is killed: %s", why);
        sim_say("daemon: kills the client: %s", why);
        c->killed = true;
        life_exit(c);
}

const struct port_ops sim_port_ops = {
        .read = port_read,
        .copy = port_copy,
        .zeropage = port_zeropage,
        .poison = port_poison,
        .wake = port_wake,
        .mark = port_mark,
        .unmark = port_unmark,
        .enlist = port_enlist,
        .discharge = port_discharge,
        .changing = port_changing,
        .kick = port_kick,
        .ungate = port_ungate,
        .memory = port_memory,
        .mappings = port_mappings,
        .mapping_at = port_mapping_at,
        .present = port_present,
        .marked = port_marked,
        .taken = port_taken,
        .now = port_now,
        .timer = port_timer,
        .again = port_again,
        .forked = port_forked,
        .alone = port_alone,
        .ending = port_ending,
        .thread_ends = port_thread_ends,
        .sharing = port_sharing,
        .inherited = port_inherited,
        .kill = port_kill,
};
