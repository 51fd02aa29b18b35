/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handshake on the client socket: one SOCK_SEQPACKET unix socket, one
 * message a packet, file descriptors beside it (SCM_RIGHTS).
 *
 * A program that wants to be paged (its agent thread, in the preload library):
 *
 *     client                                   vmpagerd
 *     HELLO                               ->
 *                                         <-   OFFER    + /dev/userfaultfd
 *     REGISTER + userfaultfd, ring memfd,
 *                completion eventfd       ->
 *                                         <-   READY
 *     ... the socket stays open as long as the client is to be paged ...
 *
 * In a child that such a program forked, a new agent does the same and says so in its HELLO. Where the child has
 * pages that are out, its userfaultfd is the daemon's already (UFFD_EVENT_FORK made it), and so is its ring:
 *
 *     HELLO (FORKED)                      ->
 *                                         <-   OFFER (RESUMES) + userfaultfd, ring memfd
 *     REGISTER + completion eventfd       ->
 *                                         <-   READY
 *
 * "vmpagerctl run", on behalf of the command that it starts:
 *
 *     GRANT (limit, class, swap)          ->
 *                                         <-   GRANTED
 *     STATS                               ->
 *                                         <-   STATS_DATA, STATS_DATA ... (last = 1)
 *
 * A grant holds for the process that sent it and for all that descend from it, as long as
 * the connection stays open. Any request may be answered with REFUSE and a text.
 *
 * All integers are in the machine's byte order: both ends run on one kernel.
 */
#ifndef VMPAGER_PROTOCOL_H
#define VMPAGER_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define VMPAGER_MAGIC 0x47504d56u /* "VMPG" */

/* Ends whose major numbers differ refuse each other; a minor number only adds. */
#define VMPAGER_PROTOCOL_MAJOR 1
#define VMPAGER_PROTOCOL_MINOR 1

#define VMPAGER_DEFAULT_SOCKET  "/run/vmpager/vmpager.sock"
#define VMPAGER_DEFAULT_CONTROL "/run/vmpager/control.sock"
#define VMPAGER_DEFAULT_STATE   "/run/vmpager"

/* The names of the sockets within a state directory. */
#define VMPAGER_SOCKET_NAME  "vmpager.sock"
#define VMPAGER_CONTROL_NAME "control.sock"

enum vmpager_msg_type {
        VMPAGER_HELLO = 1,
        VMPAGER_OFFER = 2,
        VMPAGER_REGISTER = 3,
        VMPAGER_READY = 4,
        VMPAGER_REFUSE = 5,
        VMPAGER_GRANT = 6,
        VMPAGER_GRANTED = 7,
        VMPAGER_STATS = 8,
        VMPAGER_STATS_DATA = 9,
};

/* First in every message. */
struct vmpager_hdr {
        uint32_t magic; /* VMPAGER_MAGIC */
        uint16_t major, minor;
        uint16_t type; /* enum vmpager_msg_type */
        uint16_t reserved;
        uint32_t size; /* of the whole message, this header included */
};

#define VMPAGER_HELLO_FORKED 1u /* the library was loaded by a parent of this process, which forked it */

struct vmpager_hello {
        struct vmpager_hdr hdr;
        uint32_t page_size;
        uint32_t flags; /* VMPAGER_HELLO_* */
};

#define VMPAGER_OFFER_RESUMES 1u

/*
 * Comes with one descriptor: /dev/userfaultfd, opened by the daemon, for USERFAULTFD_IOC_NEW. With RESUMES in its
 * flags: with the userfaultfd and the ring memfd.
 */
struct vmpager_offer {
        struct vmpager_hdr hdr;
        uint64_t ring_bytes;    /* size of the ring memfd (see vmpager/ring.h) */
        uint32_t staging_pages; /* size to give the staging area */
        uint32_t flags;         /* VMPAGER_OFFER_* */
};

struct vmpager_range {
        uint64_t start, end; /* bytes, page-aligned, end exclusive */
};

#define VMPAGER_MAX_EXCLUDED 8

/*
 * Comes with three descriptors, in this order: the userfaultfd (not yet through UFFDIO_API), the
 * ring memfd (sealed against shrinking and growing), the eventfd that the agent adds to when it has
 * completed a batch. After an OFFER that RESUMES: with the eventfd alone.
 */
struct vmpager_register {
        struct vmpager_hdr hdr;
        uint64_t staging; /* address of the staging area */
        uint32_t reserved;
        uint32_t n_excluded; /* memory that must never be registered: the agent's own. The first begins with
                              * two pages of one mapping that nobody touches, at the same place in forked children */
        struct vmpager_range excluded[VMPAGER_MAX_EXCLUDED];
};

struct vmpager_ready {
        struct vmpager_hdr hdr;
        uint64_t limit_bytes;
};

struct vmpager_refuse {
        struct vmpager_hdr hdr;
        char text[496]; /* one line, NUL-terminated: what is wrong and what to do */
};

struct vmpager_grant {
        struct vmpager_hdr hdr;
        uint64_t limit_bytes; /* 0: the class's */
        char class_name[64];  /* "" for the default class */
        uint64_t swap_bytes;  /* since 1.1: of pages in the store; 0: the class's, which must not be exceeded */
};

#define VMPAGER_SWAP_LEAST (1u << 20) /* the least swap that can be asked for or configured, in bytes */

struct vmpager_granted {
        struct vmpager_hdr hdr;
        uint64_t limit_bytes;
};

#define VMPAGER_STATS_CHUNK 32768

/* A JSON text in pieces; the one with last = 1 ends it. Only used bytes are sent. */
struct vmpager_stats_data {
        struct vmpager_hdr hdr;
        uint32_t last;
        uint32_t used;
        char bytes[VMPAGER_STATS_CHUNK];
};

static_assert(sizeof(struct vmpager_hdr) == 16, "wire");
static_assert(sizeof(struct vmpager_hello) == 24, "wire");
static_assert(sizeof(struct vmpager_offer) == 32, "wire");
static_assert(sizeof(struct vmpager_register) == 16 + 16 + 16 * VMPAGER_MAX_EXCLUDED, "wire");
static_assert(sizeof(struct vmpager_ready) == 24, "wire");
static_assert(sizeof(struct vmpager_refuse) == 512, "wire");
static_assert(sizeof(struct vmpager_grant) == 96, "wire");
static_assert(sizeof(struct vmpager_granted) == 24, "wire");

#endif
