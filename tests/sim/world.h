/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that there is in one episode of the simulation of the pager: clients (kernel.h, client.h), a store, and the real
 * pager between them. There is one client at the beginning; the others are its children and theirs. An episode begins
 * from nothing, goes through a list of steps, comes to rest, is checked, and ends; what happens in a step depends on
 * the step's own seed and on what there is alone. So an episode can be run again with some of its steps left out.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "client.h"
#include "idle/idle.h"
#include "kernel.h"
#include "pager/event.h"
#include "pager/evict.h"
#include "pager/fault.h"
#include "pager/space.h"
#include "random.h"

#define SIM_CLIENTS   4u
#define SIM_SLOTS     64u
#define SIM_LOCS      512u /* enough for all pages of all clients */
#define SIM_IOS       128u
#define SIM_PARTS     2u /* of the store, and what is in none of them */
#define SIM_PART_LOCS 24u
#define SIM_VERSIONS  65536u
#define SIM_LIMIT     (UINT64_C(64) << 20)
#define SIM_TAG       (UINT64_C(0x5e) << 56) /* in each content that a program wrote */
#define SIM_GARBAGE   UINT64_C(0xbad0000000000000)

enum actor {
        ACTOR_THREADS, /* one of them */
        ACTOR_AGENT,
        ACTOR_UFFD, /* the daemon: its userfaultfd can be read */
        ACTOR_EVENTFD,
        ACTOR_TIMER,
        ACTOR_AGAIN,
        ACTOR_STORE,    /* an I/O ends */
        ACTOR_PRESSURE, /* the client's size changes, beside its pages */
        ACTOR_KERNEL,   /* a signal, memory taken back */
        ACTOR_LIFE,     /* the daemon: a client comes, or has ended */
        N_ACTORS
};

/* What is different from episode to episode. */
struct sim_config {
        unsigned weight[N_ACTORS];
        unsigned n_threads, n_slots, n_fetches;
        unsigned pages;                     /* that mappings can be at: the fewer, the more often at the same */
        unsigned call_pages;                /* of one call, at most */
        unsigned capacity;                  /* of the store, in pages */
        unsigned readahead;                 /* pages, see struct pager */
        unsigned swap;                      /* pages that each client may have in the store; 0: any number */
        unsigned read_errors, write_errors; /* one in so many fails, 0: none */
        unsigned between;   /* in one of so many system calls of the daemon's others come in between, 0: never */
        unsigned odd_moves; /* one MOVE in so many ends early, or tells less than it did */
        unsigned end_at;    /* a step at which the first client exits; 0: it does not */
        unsigned forks;     /* one call in so many is a fork, 0: none */
        unsigned exits;     /* one signal in so many kills, 0: none */
        bool beyond;        /* when the store is full clients go beyond their limits */
        bool grows;         /* mappings may grow in place, several at once */
        bool hard_end;      /* it comes to rest without room */
        bool storm;         /* mappings come, move and go all the time */
        bool eager;         /* there is hardly ever room */
        bool walks;         /* threads read far, in one order */
};

struct sim_io {
        struct store_io *io;
        uint64_t content[SIM_SLOTS]; /* of a write, when it began */
};

struct world {
        struct store store;
        struct store_port store_port;
        struct pager pager;
        struct sim_client client[SIM_CLIENTS];

        struct sim_config config;
        struct sim_random random;
        uint64_t steps; /* in all episodes, those in between included */
        uint64_t now;
        bool draining; /* no thread begins a new call */
        bool trace;
        /*
         * What mappings have grown by is discarded as well. Where one has grown over what an mremap() took away that
         * has not told of itself, model/order.c takes that for discarded.
         */
        bool all;

        uint32_t refs[SIM_LOCS];
        uint64_t stored[SIM_LOCS];
        struct sim_io io[SIM_IOS];
        unsigned n_ios;

        uint64_t last_version;
        bool lost[SIM_VERSIONS]; /* the store could not read it */
};

extern struct world world;

/* What a run found, for whoever started it; in memory that outlives the process. */
struct sim_result {
        uint64_t steps, episode, episodes, at, kills, sigbus, faulted, evicted, clean, ahead, efault, forks;
        char kind[160], text[320]; /* why it failed: as a format, and in full */
};

extern struct sim_result *sim_result;

/* world.c: one episode, with the steps that are named by `kept`, or with all. */
#define SIM_EPISODE_STEPS 2000u
void world_episode(uint64_t seed, const uint32_t *kept, unsigned n);

/* A random number of the step's; 0 .. n - 1. */
static inline unsigned sim_any(unsigned n)
{
        return sim_random_any(&world.random, n);
}

/* world-step.c: one thing happens. */
void world_step(void);

/* Everything that can do something does, but the timers; one fires. Both return whether anything has happened. */
bool world_all_go_on(void);
bool world_run_timer(void);

/* Others may come in between, inside of a system call of the daemon's. */
void world_between(void);

/* Something is wrong: says what and ends the process. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* One line of the trace, if there is one. */
#define sim_say(...)                            \
        do {                                    \
                if (world.trace)                \
                        sim_print(__VA_ARGS__); \
        } while (0)
void sim_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* port.c, store.c */
extern const struct port_ops sim_port_ops;
extern const struct store_ops sim_store_ops;
void store_end_one(unsigned which);

/*
 * rest.c: lets all go on until nothing is left to be done, and checks what there is then. full: as far as that goes
 * while the store has no room, or clients have as much there as they may; what is there has to come back.
 */
void rest_full(void);
void rest_come(void);
void rest_check(void);

#endif
