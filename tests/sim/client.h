/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client: a program with its memory and its agent, and what the daemon has of it. Its threads read, write, map, move,
 * discard, protect, lock and pin memory, and know what has to be there. As any program, it uses memory only after the
 * call that made it has returned, and no two of its threads change the same mapping at once; reading and writing what
 * another discards is allowed.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "kernel.h"
#include "pager/space.h"

/* What the program knows of a page. */
struct user_page {
        bool mapped;
        bool busy;         /* a call that changes the mapping is under way */
        unsigned users;    /* threads that touch it just now */
        unsigned discards; /* calls under way that discard it */
        bool pinned, locked, readable, writable;
        bool grown; /* its mapping has grown, see struct world */

        uint64_t content;
        bool maybe_zero;     /* was discarded, or will be any moment: zeros are as good */
        bool lazy;           /* by MADV_FREE: seeing the content does not mean that it stays */
        uint64_t written_at; /* the version that was written last */
        bool may_be_lost;    /* something was moved there in the parent while it forked, see event-fork.c */
        unsigned at_fork;    /* where a child had it when it was forked, plus 1; 0: it is its own */
};

enum sim_life { LIFE_NONE, LIFE_UNBORN /* the fork is under way */, LIFE_RUNS /* or ended, if its memory is gone */ };

/* How far its agent has come: not yet or never, has said HELLO, is about to REGISTER, works. */
enum sim_agent { AGENT_NONE, AGENT_HELLO, AGENT_REGISTER, AGENT_WORKS };

struct sim_client {
        struct port port; /* first */
        enum sim_life life;
        struct sim_client *parent; /* whose fork it comes from; where that is forgotten, the next before; or NULL */
        bool newborn;              /* its thread comes out of the fork */

        /* What the daemon has of it. */
        bool told;  /* its userfaultfd, by a FORK event, and no space yet */
        bool paged; /* a space */
        bool known; /* which process it is */
        struct space space;
        struct vmpager_ring *ring;
        void *table;
        uint64_t timer_at;  /* of the space's; 0: none */
        uint64_t stored;    /* pages of it that were in the store at the last look, */
        bool inherits;      /* and whether it could get more of its parent's then */
        bool eventfd;       /* its poll was woken */
        bool again, killed; /* by the daemon */

        struct sim_mm mm;
        uint64_t ballast; /* what it holds besides its pages, in bytes */

        unsigned n_threads;
        struct task thread[SIM_THREADS], agent;
        struct user_page page[SIM_PAGES];
        /* What may be lost by a fork, see fork.c. */
        bool doubtful[SIM_PAGES]; /* in whatever is mapped there bytes may be lost */
        bool unmarked[SIM_PAGES]; /* what the parent had there was out, and perhaps without a mark */
        bool changed[SIM_PAGES];  /* something was done there that the daemon may not know of yet */
        bool moved_to[SIM_PAGES]; /* something was moved there in the same way */
        bool calm;                /* its threads only read and write for a while */
        bool reading_all;         /* its first thread is to read all that is mapped */

        enum sim_agent agent_is;
        bool attended;  /* it is to have an agent, once it runs */
        bool fresh;     /* its agent's HELLO was that of a client that nobody has told of */
        bool gate_wait; /* its agent waits until ring->reading is 0 */
        bool fork_wait; /* or ring->forks */
};

/* The one that runs, or for which the daemon does something. */
extern struct sim_client *current;

/* oracle.c. The page is the current client's. */
uint64_t oracle_fresh(void); /* a content that no other write has */
uint64_t oracle_version(uint64_t content);
void oracle_access(struct task *t, unsigned page, bool write); /* reads a page, compares, and writes it */
void oracle_written(unsigned page, uint64_t content);

/* Touches a page that can be touched. False: it is not there; its bytes are lost, and are so by right. */
bool oracle_touch(struct task *t, unsigned page, bool write);

/* An madvise() begins, and ends; what the first returns is for the second. */
uint64_t oracle_discard_begins(unsigned at, unsigned n, bool lazily);
void oracle_discard_ends(unsigned at, unsigned n, bool lazily, uint64_t began);

/* A child was just made of the current client's memory: what it knows. */
void oracle_fork(struct sim_client *child);

/* client.c: starts n threads of the current client's; the first of a child begins with what fork() does in it. */
void client_begin(unsigned n);
void client_access_some(struct task *t);

/* fork.c: a call of fork() or clone(); and what the library does in the child. */
void fork_call(struct task *t);
void fork_in_child(struct task *t);

/* Its agent has come, or is not busy any more: wakes those who wait for that. */
void fork_agent_is_there(void);

/* The current client owes this message; children of it, if it forks just now, may lose something by what it did. */
void fork_note_change(const struct uffd_msg *msg);

/* A parent ends. */
void fork_note_end(const struct sim_client *parent);

/* agent.c: starts the current client's agent; whether it has something to do. */
void agent_begin(void);
bool agent_can_go(void);

/* life.c: for the trace. */
char life_name(const struct sim_client *c);

/* A place for another client, with nothing in it, or NULL. */
struct sim_client *life_place(void);
void life_first(void);                 /* the first client of all */
void life_begin(struct sim_client *c); /* its first thread runs from now on */
void life_space(struct sim_client *c); /* the daemon gets a space for it */
void life_exit(struct sim_client *c);  /* it ends, at any moment */

/* The daemon does one thing about the current client's beginning or end. Returns whether there was one. */
bool life_go_on(void);

/* The client is gone, and forgotten now. rested: nothing was under way for it. */
void life_forget(struct sim_client *c, bool rested);

#endif
