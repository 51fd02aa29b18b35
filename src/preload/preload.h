/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

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

        /* Descriptors in the agent's private table, -1 when there is none. */
        int sock, uffd, event;

        struct sockaddr_un address;

        _Atomic uint32_t outcome; /* enum agent_outcome; futex */
        int error;                /* errno that made it refuse, or 0 */
        const char *reason;       /* what is wrong; NULL: text holds the whole line */
        const char *advice;       /* what to do */
        char text[sizeof(((struct vmpager_refuse *)0)->text)];
};

/* The agent's life; argument is its struct agent. Returns only when it has refused or was abandoned. */
void *agent_main(void *argument);

/* True when vmpagerd's end of the socket is closed. */
bool agent_daemon_gone(const struct agent *a);

/* Tells the daemon, by the eventfd, that there is something new in the ring. */
void agent_notify(const struct agent *a);

/* Carries out one batch and fills in its results; the caller raises `completed`. */
void evict_batch(struct agent *a, struct vmpager_batch *shared);

/* Handshake (handshake.c): from the connected socket to READY. False: reason, error, advice say why. */
bool handshake_run(struct agent *a);

/* Sets why the agent refuses; returns false for the caller to pass on. */
bool agent_refuse(struct agent *a, const char *reason, long error, const char *advice);

#endif
