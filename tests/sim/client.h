/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program: threads that read, write, map, move, discard, protect, lock and pin memory, and know what has to be
 * there. As any program, it uses memory only after the call that made it has returned, and no two of its threads change
 * the same mapping at once; reading and writing what another discards is allowed.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "world.h"

/* What the program knows of a page. */
struct user_page {
        bool mapped;
        bool busy;         /* a call that changes the mapping is under way */
        unsigned users;    /* threads that touch it just now */
        unsigned discards; /* calls under way that discard it */
        bool pinned, locked, readable, writable;
        bool grown; /* its mapping has grown in place, see struct world */

        uint64_t content;
        bool maybe_zero;     /* was discarded, or will be any moment: zeros are as good */
        bool lazy;           /* by MADV_FREE: seeing the content does not mean that it stays */
        uint64_t written_at; /* the version that was written last */
};

extern struct user_page user_page[SIM_PAGES];

/* oracle.c */
void oracle_begin(void);
uint64_t oracle_fresh(void); /* a content that no other write has */
uint64_t oracle_version(uint64_t content);
void oracle_access(struct task *t, unsigned page, bool write); /* reads a page, compares, and writes it */
void oracle_written(unsigned page, uint64_t content);

/* Touches a page that can be touched. False: it is not there; its bytes are lost, and are so by right. */
bool oracle_touch(struct task *t, unsigned page, bool write);

/* An madvise() begins, and ends; what the first returns is for the second. */
uint64_t oracle_discard_begins(unsigned at, unsigned n, bool lazily);
void oracle_discard_ends(unsigned at, unsigned n, bool lazily, uint64_t began);

void client_begin(void);

/* Has all that is mapped read, by the first thread. */
void client_read_all(void);
bool client_is_reading_all(void);

#endif
