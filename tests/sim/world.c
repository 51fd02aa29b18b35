// SPDX-License-Identifier: GPL-2.0-or-later
/* An episode: see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"
#include "util/log.h"

#define TABLE_BYTES (UINT64_C(1) << 20)
#define MIB         (UINT64_C(1) << 20)

/* With all threads idle so many timers without anything that happens, or so many rounds, are a thread that is lost. */
#define LAST_TIMERS 2000u
#define LAST_ROUNDS 20000u
#define LAST_LINES  300u /* of a trace, while it comes to rest */

struct world world;
struct sim_result *sim_result;

void sim_print(const char *format, ...)
{
        static unsigned n_last;
        va_list ap;

        if (world.draining && ++n_last > LAST_LINES) {
                if (n_last == LAST_LINES + 1)
                        puts("        and so on");
                return;
        }
        printf("%6llu  ", (unsigned long long)world.steps);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
}

void sim_fail(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        snprintf(sim_result->kind, sizeof(sim_result->kind), "%s", format);
        vsnprintf(sim_result->text, sizeof(sim_result->text), format, ap);
        va_end(ap);
        sim_result->steps = world.steps;
        if (world.trace)
                printf("%6llu  FAILED: %s\n", (unsigned long long)world.steps, sim_result->text);
        fflush(stdout);
        _exit(1);
}

/* In place of the C library's and of the core's: an assertion of the core is a result; its messages are the trace's. */
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
        (void)line;
        (void)function;
        sim_fail("%s: assertion \"%s\" does not hold", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, assertion);
}

void log_write(struct log_site *site, enum log_level level, const char *format, ...)
{
        char line[320];
        va_list ap;

        (void)site;
        (void)level;
        if (!world.trace)
                return;
        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        sim_print("daemon: \"%s\"", line);
}

/* --- rest --- */

static bool at_rest(void)
{
        const struct space *s = &world.space;

        for (unsigned i = 0; i < world.config.n_threads; i++)
                if (!world.thread[i].idle)
                        return false;
        if (client_is_reading_all() || !world.agent.idle || !world.agent.waits || world.n_ios)
                return false;
        return !world.mm.poll && !world.eventfd && !world.again && !s->retry.head && !s->stalled.head && !s->arrived &&
               s->journal.n == 0 && s->in_flight == 0 && s->table.bare == 0;
}

static void fail_waiting(void)
{
        for (unsigned i = 0; i < world.mm.n_faults; i++) {
                const struct sim_waiter *w = &world.mm.fault[i];

                sim_fail("thread %u waits for page %u for ever, which is %s", w->task->number, w->page,
                         page_state_name(page_state(ptable_get(&world.space.table, sim_address(w->page)))));
        }
        for (unsigned i = 0; i < world.mm.n_events; i++)
                sim_fail("thread %u waits for its event for ever", world.mm.event[i].task->number);
        sim_fail("it does not come to rest: %llu pages are ordered, %zu events not carried out, %llu marks not set",
                 (unsigned long long)world.space.in_flight, world.space.journal.n,
                 (unsigned long long)world.space.table.bare);
}

static void come_to_rest(void)
{
        unsigned timers = 0;

        for (unsigned rounds = 0; !at_rest() && !world.mm.gone; rounds++) {
                world.steps++;
                if (rounds == LAST_ROUNDS)
                        fail_waiting();
                if (world_all_go_on()) {
                        timers = 0;
                        continue;
                }
                if (++timers == LAST_TIMERS || !world_run_timer())
                        fail_waiting();
        }
}

static bool is_out(page_entry e)
{
        enum page_state state = page_state(e);

        return state == PAGE_STANDBY || state == PAGE_STORED || state == PAGE_FETCHING || state == PAGE_ZERO;
}

/* The pages that are out are those that are marked. */
static void check_marks(void)
{
        uint64_t stray = 0;

        for (unsigned i = 0; i < SIM_PAGES; i++) {
                const struct sim_pte *pte = &world.mm.pte[i];
                page_entry e = ptable_get(&world.space.table, sim_address(i));

                if (is_out(e) && pte->kind != PTE_NONE)
                        sim_fail("page %u is %s, and it is there", i, page_state_name(page_state(e)));
                if (is_out(e) && !pte->wp)
                        sim_fail("page %u is %s, and has no mark", i, page_state_name(page_state(e)));
                stray += !is_out(e) && pte->kind == PTE_NONE && pte->wp;
        }
        if (stray > world.space.stray_marks)
                sim_fail("%llu marks are left over, at most %llu should be", (unsigned long long)stray,
                         (unsigned long long)world.space.stray_marks);
}

static void check(void)
{
        unsigned fetches = 0;

        check_marks();
        for (const struct fetch *f = world.pager.free_fetch; f; f = f->next)
                fetches++;
        if (fetches != world.config.n_fetches)
                sim_fail("%u of %u fetches are free, and nothing is fetched", fetches, world.config.n_fetches);
        if (world.space.budget.reserved)
                sim_fail("%llu bytes of room are reserved, and nothing is fetched",
                         (unsigned long long)world.space.budget.reserved);
}

/* The client is gone: nothing of it may be left. */
static void end(bool rested)
{
        uint32_t used = 0;

        space_end(&world.space);
        while (world.n_ios)
                store_end_one(sim_any(world.n_ios));
        if (space_busy(&world.space))
                sim_fail("the client has ended, and I/O is said to be under way");
        for (unsigned i = 0; i < SIM_LOCS; i++)
                used += world.refs[i];
        if (used)
                sim_fail("%u locations are in use after the client's end", used);
        for (unsigned state = PAGE_CLEARED; state < PAGE_N_STATES; state++)
                if (world.space.table.count[state])
                        sim_fail("pages are %s after the client's end", page_state_name(state));
        if (rested && world.space.ring_slots.n_free != world.config.n_slots)
                sim_fail("%u of %u slots are free after the client's end", world.space.ring_slots.n_free,
                         world.config.n_slots);
        sim_result->evicted += world.space.stats.evicted_pages;
        sim_result->faulted += world.space.stats.faults;
        sim_result->kills += world.killed;
        space_clear(&world.space);
}

/* --- the beginning --- */

static void *memory(size_t bytes)
{
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                abort();
        return p;
}

static void configure(void)
{
        static const unsigned usual[N_ACTORS] = { 40, 20, 12, 8, 6, 4, 8, 3, 3 };
        struct sim_config *c = &world.config;

        *c = (struct sim_config){ 0 };
        for (unsigned i = 0; i < N_ACTORS; i++) {
                c->weight[i] = usual[i] * 4;
                if (sim_any(4) == 0)
                        c->weight[i] = sim_any(2) ? 1 + usual[i] / 2 : usual[i] * 12;
        }
        c->n_threads = 1 + sim_any(SIM_THREADS);
        c->pages = sim_any(3) ? 8 + sim_any(24) : 32 + sim_any(SIM_PAGES - 31);
        c->n_slots = 4 + sim_any(SIM_SLOTS - 3);
        c->n_fetches = sim_any(3) ? 16 : 1 + sim_any(3);
        c->capacity = sim_any(3) ? SIM_LOCS : 8 + sim_any(40);
        c->read_errors = sim_any(4) ? 0 : 4 + sim_any(30);
        c->write_errors = sim_any(4) ? 0 : 2 + sim_any(10);
        c->between = sim_any(4) ? 1 + sim_any(8) : 0;
        c->odd_moves = sim_any(2) ? 2 + sim_any(10) : 0;
        c->end_at = sim_any(6) ? 0 : 1 + sim_any(SIM_EPISODE_STEPS);
        c->grows = sim_any(4) == 0;
        c->hard_end = sim_any(2);
        c->eager = sim_any(2);
        c->call_pages = sim_any(2) ? 1 + sim_any(4) : 10;
        c->storm = sim_any(3) == 0;
}

static void fill_with_rubbish(char *pages, unsigned n)
{
        const uint64_t rubbish = SIM_GARBAGE;

        for (unsigned i = 0; i < n; i++)
                memcpy(pages + i * PAGE_SIZE_, &rubbish, sizeof(rubbish));
}

static void take_fetches(void)
{
        unsigned n = PAGER_FETCHES;

        for (; n > world.config.n_fetches; n--)
                world.pager.free_fetch = world.pager.free_fetch->next;
}

static void begin(uint64_t seed)
{
        static char *buffers, *zeros;

        world.random.state = sim_random_seed(seed, UINT64_MAX);
        configure();
        if (!buffers) {
                buffers = memory(PAGER_FETCHES * PAGE_SIZE_);
                zeros = memory(PAGER_ZERO_BYTES);
                world.mm.staging = memory(SIM_STAGING * PAGE_SIZE_);
                world.ring = memory(VMPAGER_RING_BYTES(SIM_SLOTS));
                world.table = memory(TABLE_BYTES);
        }
        fill_with_rubbish(buffers, PAGER_FETCHES);
        fill_with_rubbish((char *)world.ring + VMPAGER_RING_SLOTS_AT, SIM_SLOTS);
        memset(world.ring, 0, VMPAGER_RING_SLOTS_AT);
        memset(world.table, 0, TABLE_BYTES);
        memset(world.refs, 0, sizeof(world.refs));
        memset(world.lost, 0, sizeof(world.lost));
        kernel_begin(&world.mm);
        world.draining = world.calm = world.eventfd = world.again = world.killed = false;
        world.n_ios = 0;
        world.now = 1000000000;
        world.timer_at = 0;
        world.ballast = SIM_LIMIT - 3 * MIB;
        world.port.ops = &sim_port_ops;
        world.store.ops = &sim_store_ops;
        world.store_port.store = &world.store;
        agent_begin();
        client_begin();
        pager_init(&world.pager, &world.store, &world.store_port, &idle_standby, buffers, -1, zeros);
        take_fetches();
        if (space_init(&world.space, &world.pager, &world.port, world.ring, world.config.n_slots, world.table,
                       TABLE_BYTES) < 0)
                abort();
        space_set_limit(&world.space, SIM_LIMIT);
        if (world.config.end_at == 0)
                sim_say("%u threads, %u slots, %u fetches, room for %u pages in the store", world.config.n_threads,
                        world.config.n_slots, world.config.n_fetches, world.config.capacity);
}

void world_episode(uint64_t seed, const uint32_t *kept, unsigned n)
{
        bool rested = false;

        begin(seed);
        for (unsigned i = 0; i < n && !world.mm.gone; i++) {
                uint32_t number = kept ? kept[i] : i;

                sim_result->at = i;
                world.random.state = sim_random_seed(seed, number);
                world_step();
                if (world.config.end_at && number >= world.config.end_at) {
                        sim_say("client: exits");
                        world.mm.gone = true;
                }
        }
        sim_result->at = n;
        world.random.state = sim_random_seed(seed, UINT64_MAX - 1);
        if (world.mm.gone) {
                for (unsigned i = sim_any(30); i > 0; i--)
                        world_step();
        } else {
                sim_say("no thread begins another call");
                world.draining = true;
                world.config.capacity = SIM_LOCS;
                world.ballast = world.config.hard_end ? SIM_LIMIT - 4 * PAGE_SIZE_ : SIM_LIMIT - 3 * MIB;
                come_to_rest();
                sim_say("everything is read");
                client_read_all();
                come_to_rest();
                rested = !world.mm.gone;
        }
        if (rested)
                check();
        end(rested);
}
