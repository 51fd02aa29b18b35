/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pager's way to the outside: what it does to a client, and what it may ask about it. The real one is
 * client/port.c (userfaultfd, /proc, futex); the simulation has a kernel of its own behind it.
 * Errors are negative errno values as in sys/uffd.h. None of the calls may wait for the client.
 */
#ifndef PAGER_PORT_H
#define PAGER_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <vmpager/uffd-compat.h>

#include "sys/procfs.h"

struct port;
struct space;

struct port_ops {
        int (*read)(struct port *p, struct uffd_msg *msgs, unsigned n);
        int64_t (*copy)(struct port *p, uint64_t dst, const void *src, uint64_t len);
        int64_t (*zeropage)(struct port *p, uint64_t dst, uint64_t len);
        int64_t (*poison)(struct port *p, uint64_t dst, uint64_t len);
        int (*wake)(struct port *p, uint64_t start, uint64_t len);
        int (*mark)(struct port *p, uint64_t start, uint64_t len);      /* uffd_mark() */
        int (*unmark)(struct port *p, uint64_t start, uint64_t len);    /* uffd_unmark() */
        int (*enlist)(struct port *p, uint64_t start, uint64_t len);    /* UFFDIO_REGISTER */
        int (*discharge)(struct port *p, uint64_t start, uint64_t len); /* UFFDIO_UNREGISTER */

        /*
         * Whether the mappings are changing, with an event that was not read: installs are refused then. A client
         * that is gone has taken with it what it had to tell, and never comes to rest.
         */
        bool (*changing)(struct port *p);

        void (*kick)(struct port *p);   /* the agent has a new batch: wake it */
        void (*ungate)(struct port *p); /* ring->reading went to 0: wake the agent */

        int (*memory)(struct port *p, struct procfs_memory *out);
        int (*mappings)(struct port *p, int (*fn)(const struct procfs_mapping *m, void *arg), void *arg);
        int (*mapping_at)(struct port *p, uint64_t addr, struct procfs_mapping *m); /* procfs_mapping_at() */
        int (*thread_ends)(struct port *p, int (*fn)(uint64_t start, uint64_t end, void *arg), void *arg);
        int (*present)(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                       uint64_t max_pages, uint64_t *next);

        int (*marked)(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                      uint64_t *next);
        int (*taken)(struct port *p, uint64_t start, uint64_t end, struct procfs_run *runs, unsigned max_runs,
                     uint64_t *next);

        uint64_t (*now)(struct port *p);
        void (*timer)(struct port *p, uint64_t at); /* calls space_tick() at that time, instead of an earlier setting */
        void (*again)(struct port *p);              /* calls fault_receive() again in the next turn */

        /*
         * The client forked: fd is the child's userfaultfd, and the port's from now on. Returns the child's space, with
         * nothing in it and no limit; NULL when there cannot be one, and the client was ended.
         */
        struct space *(*forked)(struct port *p, int fd);

        /*
         * Whether the program is known to have one thread alone, besides the agent: no other can be in the middle of a
         * call.
         */
        bool (*alone)(struct port *p);

        /*
         * Whether the program is ending: threads of it that are in the middle of a call do not tell what they have
         * done, and nothing is changing for all that (userfaultfd_event_wait_completion() in fs/userfaultfd.c).
         */
        bool (*ending)(struct port *p);

        /* Whether forked children get the memory at addr with what is in it: 1, 0 or a negative errno. */
        int (*inherited)(struct port *p, uint64_t addr);

        int (*sharing)(struct port *p, uint64_t start, uint64_t end, struct procfs_sharing *out);

        /* The client cannot be kept right any more: end it, and say why in the log. */
        void (*kill)(struct port *p, const char *why);
};

struct port {
        const struct port_ops *ops;
};

#endif
