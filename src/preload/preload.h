/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <vmpager/protocol.h>
#include <vmpager/ring.h>

enum agent_outcome {
        AGENT_STARTING = 0,
        AGENT_READY = 1,     /* set by the agent: vmpagerd pages this program */
        AGENT_REFUSED = 2,   /* set by the agent: reason, error and advice say why; it ends */
        AGENT_ABANDONED = 3, /* set by the constructor, which waited long enough; the agent ends */
        AGENT_AWAY = 4,      /* set by the agent: it has given its descriptors away (aside.c), and ends */
};

/* Words that the kernel clears at the end of threads, of pages that were moved out (ends.c). */
#define ENDS_MOST 512u
struct ends {
        /* Where they are in a thread's description; word_before is 0 where that is not known. */
        uint32_t head_at;     /* the head of the list of robust mutexes: its address modulo 64 */
        uint32_t word_before; /* so many bytes before it */
        long futex_offset;    /* in the head, of all threads */

        struct ends_word {
                uint64_t addr;
                uint32_t tid;         /* that is in it; 0: none */
                int64_t since, again; /* ms: looked at first, and next */
        } word[ENDS_MOST];
        uint32_t n, next;
        int64_t again;         /* ms: the next look at any */
        _Atomic bool given_up; /* by the program's thread that sets a filter: the calls it takes are forbidden */
};

/*
 * All that the agent knows. It stands in a mapping of its own, never in .data or .bss, which are
 * the program's memory and can be paged out: an agent that waits for a page waits for itself.
 */
struct agent {
        struct vmpager_range own; /* the whole reservation: this struct, stack, staging, guards */
        uint8_t *stack;
        size_t stack_bytes;
        uint8_t *staging; /* room for VMPAGER_BATCH_PAGES; accessible from the OFFER on */
        uint32_t staging_pages;

        struct vmpager_ring *ring;
        uint64_t ring_bytes;
        uint8_t *slots;
        uint32_t n_slots;

        int pid, tid;
        pthread_t thread;
        void *(*life)(void *);

        /* Descriptors in the agent's private table, -1 when there is none. */
        int sock, uffd, event;
        int status; /* /proc/self/status, of the program's first thread */

        struct ends ends;

        struct sockaddr_un address;
        bool forked; /* the library was started in a parent of this process */

        /* The agent is to step aside, and to send its descriptors to that socket (aside.c). */
        _Atomic uint32_t aside;
        struct sockaddr_un door;
        uint32_t door_bytes;

        _Atomic uint32_t outcome; /* enum agent_outcome; futex */
        int error;                /* errno that made it refuse, or 0 */
        const char *reason;       /* what is wrong; NULL: text holds the whole line */
        const char *advice;       /* what to do */
        char text[sizeof(((struct vmpager_refuse *)0)->text)];
};

/* The agent's life; argument is its struct agent. Returns when it has refused, was abandoned or has stepped aside. */
void *agent_main(void *argument);

/* The same for an agent that comes back: sock, uffd and event are in the program's table, from where it takes them. */
void *agent_return(void *argument);

/* The agent's part of stepping aside: sends sock, uffd and event to the door. False when it cannot, and stays. */
bool aside_give(struct agent *a);

/* True when vmpagerd's end of the socket is closed. */
bool agent_daemon_gone(const struct agent *a);

/* Tells the daemon, by the eventfd, that there is something new in the ring. */
void agent_notify(const struct agent *a);

/* The agent's own copy of a batch, which nobody can change while it works. */
struct order {
        uint32_t epoch, n_runs, n_pages, first_slot, flags;
        struct vmpager_run run[VMPAGER_BATCH_PAGES];
        uint8_t result[VMPAGER_BATCH_PAGES];
};

/*
 * One batch: evict_take() copies the order and checks it, evict_reclaim() readies its pages (which may wait for the
 * daemon), evict_carry_out() does the rest and fills in the results. The caller raises `completed`. An order that makes
 * no sense is answered by evict_take(), which returns false then.
 */
bool evict_take(const struct agent *a, struct vmpager_batch *shared, struct order *o);
void evict_reclaim(const struct agent *a, const struct order *o);
void evict_carry_out(struct agent *a, struct vmpager_batch *shared, struct order *o);

/* Learns from the agent, which calls it, where a thread's description has what ends_note() looks for. */
void ends_learn(struct agent *a);

/* A page was moved from addr to where `page` points: notes the thread whose end it would not live to see. */
void ends_note(struct agent *a, const void *page, uint64_t addr);

/* Looks at what is noted and due. It may wait for the daemon, so no batch may be half done. */
void ends_look(struct agent *a);

/* It is not to look any more: a filter forbids it (filter.c). Not the agent calls this. */
void ends_leave(struct agent *a);

/* Milliseconds until ends_look() has something to do, at most that many. */
unsigned int ends_due(const struct agent *a, unsigned int most);

/* No batch is half done from the first to the second (fork.c). Not for the agent itself. */
void agent_hold(struct agent *a);
void agent_release(struct agent *a);

/*
 * The program's agent, or NULL (init.c). In a child that has none it is where the parent's was, and its outcome is not
 * AGENT_READY.
 */
extern struct agent *init_agent;

/*
 * Starts a new agent in a forked child, in the place of the parent's. False when there is none; its memory stays
 * reserved all the same. Called with all signals blocked.
 */
bool init_again(void);

/* The agent is asked to leave for good. */
void aside_leave(void);

/* A seccomp filter was set under which no agent can be started (filter.c). */
extern bool filter_forbids_agent;

/* pthread_create() with the agent's stack and every signal blocked. Returns an errno. */
int init_create(struct agent *a, void *(*life)(void *));

/* Has a new agent started in each child that is forked from now on. Returns an errno. */
int fork_watch(void);

/* Looks for what single.c needs of the C library; by the constructor. */
void single_find(void);

/* Whether the C library knows of one thread alone; and makes it so again, if it was before the agent's start. */
bool single_before(void);
void single_after(bool before);

/* For a futex(2) that said `result`: makes it again where that was since a word was out. Returns what it says then. */
long futex_again(const long arg[6], long result);

/* Opens what identity_follow() reads; to be called before the program runs. */
void identity_open(struct agent *a);

/* Gives up what the program's first thread has given up: capabilities, and with CAP_SETUID its user. */
void identity_follow(const struct agent *a);

/* Handshake (handshake.c): from the connected socket to READY. False: reason, error, advice say why. */
bool handshake_run(struct agent *a);

/* Sets why the agent refuses; returns false for the caller to pass on. */
bool agent_refuse(struct agent *a, const char *reason, long error, const char *advice);

#endif
