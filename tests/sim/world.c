// SPDX-License-Identifier: GPL-2.0-or-later
/* An episode: see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/log.h"

#define MIB        (UINT64_C(1) << 20)
#define LAST_LINES 300u /* of a trace, while it comes to rest */

struct world world;
struct sim_client *current = world.client;
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
        printf("%6llu  %c  ", (unsigned long long)world.steps, life_name(current));
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
        static const unsigned usual[N_ACTORS] = { 40, 20, 12, 8, 6, 4, 8, 3, 3, 4 };
        struct sim_config *c = &world.config;

        *c = (struct sim_config){ 0 };
        for (unsigned i = 0; i < N_ACTORS; i++) {
                c->weight[i] = usual[i] * 4;
                if (sim_any(4) == 0)
                        c->weight[i] = sim_any(2) ? 1 + usual[i] / 2 : usual[i] * 12;
        }
        c->pages = sim_any(3) ? 8 + sim_any(24) : 32 + sim_any(SIM_PAGES - 31);
        c->n_slots = 4 + sim_any(SIM_SLOTS - 3);
        c->n_fetches = sim_any(3) ? 16 + sim_any(32) : 1 + sim_any(3);
        c->readahead = sim_any(4) ? 1 + sim_any(READAHEAD_MOST) : 0;
        c->walks = sim_any(2);
        c->capacity = sim_any(3) ? SIM_LOCS / 4 : 8 + sim_any(40);
        c->swap = sim_any(3) ? 0 : 1 + sim_any(40);
        c->beyond = sim_any(4) == 0;
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
        c->forks = sim_any(2) ? 8 + sim_any(60) : 0;
        c->exits = c->forks && sim_any(2) ? 20 + sim_any(200) : 0;
}

static void fill_with_rubbish(char *pages, unsigned n)
{
        const uint64_t rubbish = SIM_GARBAGE;

        for (unsigned i = 0; i < n; i++)
                memcpy(pages + i * PAGE_SIZE_, &rubbish, sizeof(rubbish));
}

static void begin(uint64_t seed)
{
        static char *buffers, *zeros;

        world.random.state = sim_random_seed(seed, UINT64_MAX);
        configure();
        if (!buffers) {
                buffers = memory(PAGER_FETCHES * PAGE_SIZE_);
                zeros = memory(PAGER_ZERO_BYTES);
        }
        fill_with_rubbish(buffers, PAGER_FETCHES);
        memset(world.refs, 0, sizeof(world.refs));
        memset(world.lost, 0, sizeof(world.lost));
        kernel_begin();
        world.draining = false;
        world.n_ios = 0;
        world.now = 1000000000;
        world.last_version = 0;
        world.store.ops = &sim_store_ops;
        world.store_port.store = &world.store;
        pager_init(&world.pager, &world.store, &world.store_port, &idle_standby, buffers, -1, zeros);
        runs_init(&world.pager.fetches, world.config.n_fetches);
        portions_init(&world.pager.parts, world.config.n_fetches > SIM_PARTS ? world.config.n_fetches : SIM_PARTS + 1,
                      SIM_PARTS + 1);
        world.pager.readahead = world.config.readahead;
        world.pager.grow_when_full = world.config.beyond;
        life_first();
}

static bool any_runs(void)
{
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                if (world.client[i].life != LIFE_NONE && !world.client[i].mm.gone)
                        return true;
        return false;
}

/* Whether the client with which the episode began is there yet. */
static bool first_runs(void)
{
        return world.client[0].life == LIFE_RUNS && !world.client[0].parent && !world.client[0].mm.gone;
}

static void come_to_the_end(void)
{
        sim_say("no thread begins another call");
        world.draining = true;
        rest_full();
        world.config.capacity = SIM_LOCS;
        world.config.swap = 0;
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                if (world.client[i].paged)
                        space_set_swap(&world.client[i].space, 0);
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                world.client[i].ballast = world.config.hard_end ? SIM_LIMIT - 4 * PAGE_SIZE_ : SIM_LIMIT - 3 * MIB;
        rest_come();
        sim_say("everything is read");
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
                world.client[i].reading_all = world.client[i].life == LIFE_RUNS && !world.client[i].mm.gone;
        rest_come();
        rest_check();
}

/* All clients end, if they have not yet. */
static void end(void)
{
        uint32_t used = 0;
        bool rested[SIM_CLIENTS];

        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                current = &world.client[i];
                rested[i] = world.draining && !current->mm.gone;
                if (current->life != LIFE_NONE && !current->mm.gone)
                        life_exit(current);
        }
        /* The end of one may bring the space of its child. */
        for (unsigned k = 0, from = sim_any(SIM_CLIENTS); k < SIM_CLIENTS * SIM_CLIENTS; k++) {
                current = &world.client[(from + k) % SIM_CLIENTS];
                if (current->paged)
                        space_end(&current->space);
        }
        while (world.n_ios)
                store_end_one(sim_any(world.n_ios));
        for (unsigned i = 0; i < SIM_CLIENTS; i++) {
                current = &world.client[i];
                if (current->paged)
                        life_forget(current, rested[i]);
                if (current->told)
                        sim_fail("the daemon was told of client %c, and has never made its space", life_name(current));
                current->life = LIFE_NONE;
        }
        for (unsigned i = 0; i < SIM_LOCS; i++)
                used += world.refs[i];
        if (used)
                sim_fail("%u locations are in use after the end of all clients", used);
}

void world_episode(uint64_t seed, const uint32_t *kept, unsigned n)
{
        begin(seed);
        for (unsigned i = 0; i < n && any_runs(); i++) {
                uint32_t number = kept ? kept[i] : i;

                sim_result->at = i;
                world.random.state = sim_random_seed(seed, number);
                world_step();
                if (world.config.end_at && number >= world.config.end_at && first_runs()) {
                        current = world.client;
                        sim_say("client: exits");
                        life_exit(current);
                }
        }
        sim_result->at = n;
        world.random.state = sim_random_seed(seed, UINT64_MAX - 1);
        if (any_runs())
                come_to_the_end();
        else
                for (unsigned i = sim_any(30); i > 0; i--)
                        world_step();
        end();
}
