/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which process a userfaultfd belongs to is not to be had from the kernel directly. It is found out by an experiment:
 * a page that nobody touches, in memory that the library keeps for itself at the same address in all children, is
 * marked by the userfaultfd, and looked at in /proc/PID/pagemap. A process that pretends to be another would have to
 * guess when it is marked and when not, RIDDLES times. While the process forks nothing can be marked; then the page is
 * registered, or not, which divides its mapping in two. (Not always: a program can have as many mappings as it may.)
 */
#include "client/unattended.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "client/handshake.h"
#include "client/session.h"
#include "client/worker.h"
#include "pager/evict.h"
#include "sys/uffd.h"
#include "util/log.h"

#define RIDDLES    24u
#define FIRST_LOOK 50000000ull   /* after an agent has gone: by then it was no exec */
#define CHILD_LOOK 1000000000ull /* after a fork: by then an agent would be here */
#define LAST_LOOK  2000000000ull
#define CHILDREN   64u

#define LEAVING_LOOKS 100u /* first looks at a process that is on its way out */

#define IDENTIFY_AGAIN_NS 10000000ull

static uint64_t probe_of(const struct session *s)
{
        return s->space.n_excluded ? s->space.excluded[0].start : 0;
}

/* A way to give the probe a sign, and to see whether it is there. */
struct sign {
        int (*give)(int uffd, uint64_t probe, bool sign); /* 0 or a negative errno */
        bool (*is_seen)(const struct procfs *p, uint64_t probe);
};

static int mark(int uffd, uint64_t probe, bool sign)
{
        return sign ? uffd_mark(uffd, probe, PAGE_SIZE_) : uffd_unmark(uffd, probe, PAGE_SIZE_);
}

static bool is_marked(const struct procfs *p, uint64_t probe)
{
        struct procfs_run run;
        uint64_t next;

        return procfs_marked(p, probe, probe + PAGE_SIZE_, &run, 1, &next) == 1;
}

static int divide(int uffd, uint64_t probe, bool sign)
{
        return sign ? uffd_register(uffd, probe, PAGE_SIZE_) : uffd_unregister(uffd, probe, PAGE_SIZE_);
}

static bool is_divided(const struct procfs *p, uint64_t probe)
{
        uint64_t end;

        return procfs_mapping_end(p, probe, &end) == 0 && end == probe + PAGE_SIZE_;
}

static const struct sign by_mark = { mark, is_marked }, by_division = { divide, is_divided };

/* Whether the process has the memory that the userfaultfd is for: 1, 0, or negative when a sign cannot be given. */
static int ask(const struct session *s, const struct procfs *p, const struct sign *by)
{
        uint64_t probe = probe_of(s);
        uint32_t riddle = 0;

        if (getrandom(&riddle, sizeof(riddle), 0) != sizeof(riddle))
                return -errno;
        for (unsigned i = 0; i < RIDDLES; i++) {
                bool sign = riddle >> i & 1;
                int r = by->give(s->uffd, probe, sign);

                if (r < 0)
                        return r;
                if (by->is_seen(p, probe) != sign)
                        return 0;
        }
        return 1;
}

/* Registers the probe around the question. */
static bool is_its_memory(const struct session *s, const struct procfs *p)
{
        uint64_t probe = probe_of(s);
        int r;

        if (!probe || uffd_register(s->uffd, probe, PAGE_SIZE_) < 0)
                return false;
        r = ask(s, p, &by_mark);
        if (r == -EAGAIN)
                r = ask(s, p, &by_division);
        uffd_unmark(s->uffd, probe, PAGE_SIZE_);
        uffd_unregister(s->uffd, probe, PAGE_SIZE_);
        return r == 1;
}

/* The process is this one: from now on it can be looked at, and its end is seen. */
static void recognize(struct session *s, const struct sock_peer *peer, struct procfs *p)
{
        s->peer = *peer;
        s->proc = *p;
        s->space.pid = peer->pid;
        procfs_comm(&s->proc, s->comm);
        session_watch_process(s);
        if (s->killed)
                syscall(SYS_pidfd_send_signal, s->peer.pidfd, SIGKILL, NULL, 0);
}

static bool try_process(struct session *s, pid_t pid)
{
        struct sock_peer peer = { .pid = pid, .uid = s->peer.uid, .gid = s->peer.gid };
        struct procfs p = PROCFS_NONE;

        peer.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (peer.pidfd < 0)
                return false;
        if (procfs_open(&p, pid, peer.pidfd) == 0 && is_its_memory(s, &p)) {
                recognize(s, &peer, &p);
                return true;
        }
        procfs_close(&p);
        close(peer.pidfd);
        return false;
}

static bool is_known(const struct session *s, pid_t pid)
{
        const struct session *other;

        DL_FOREACH(s->worker->sessions, other)
                if (other->peer.pid == pid && other->proc.dir >= 0)
                        return true;
        return false;
}

static bool try_children(struct session *s)
{
        const struct session *parent;
        pid_t pid[CHILDREN];
        int n = 0;

        DL_FOREACH(s->worker->sessions, parent)
                if (parent->peer.pid == s->parent && parent->proc.dir >= 0) {
                        n = procfs_children(&parent->proc, pid, CHILDREN);
                        break;
                }
        while (n-- > 0)
                if (!is_known(s, pid[n]) && try_process(s, pid[n]))
                        return true;
        return false;
}

static bool try_all(struct session *s)
{
        DIR *proc = opendir("/proc");
        struct dirent *d;
        bool found = false;

        while (proc && !found && (d = readdir(proc))) {
                pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

                found = pid > 1 && pid != getpid() && !is_known(s, pid) && try_process(s, pid);
        }
        if (proc)
                closedir(proc);
        return found;
}

void unattended_identify(struct session *s)
{
        struct loop *loop = s->worker->loop;

        if (s->proc.dir >= 0 || s->state == SESSION_ENDING || loop_now(loop) < s->identify_after)
                return;
        if (try_children(s) || try_all(s))
                return;
        log_debug("a child of client %d is not found in /proc", s->parent);
        s->identify_after = loop_now(loop) + IDENTIFY_AGAIN_NS;
}

/*
 * Whether the process is on its way out, as its first thread shows: it closes its files before the last of its memory
 * is gone, and on a busy machine there is time between the two. It may be that thread alone that ends: so not for ever.
 */
static bool is_leaving(struct session *s)
{
        return s->proc.dir >= 0 && s->leaving_looks++ < LEAVING_LOOKS && procfs_is_ending(&s->proc, s->proc.tid);
}

/* It is no exec and no child whose agent comes in a moment: it will stay so. */
static void settle_in(struct session *s)
{
        s->attended = false;
        evict_abandon(&s->space);
        if (s->memfd >= 0)
                log_warning("client %d forked a child (%d) that the library does not know of: its pages come back, and "
                            "none of it is evicted",
                            s->parent, s->peer.pid);
        else
                log_warning("client %d (%s) has lost its agent: its pages come back, and none of it is evicted",
                            s->peer.pid, s->comm);
}

/*
 * Whether the process has other memory now: it called exec, and who shared the memory has it still. What was opened
 * before (its pagemap) is of the old memory.
 */
static bool has_left(const struct session *s)
{
        struct procfs p = PROCFS_NONE;
        bool left;

        if (s->proc.dir < 0 || procfs_open(&p, s->peer.pid, s->peer.pidfd) < 0)
                return false;
        left = is_its_memory(s, &s->proc) && !is_its_memory(s, &p);
        procfs_close(&p);
        return left;
}

void unattended_look(struct session *s)
{
        if (session_is_gone(s)) {
                session_end(s);
                return;
        }
        if (has_left(s)) {
                loop_cancel(s->worker->loop, &s->pidfd_op); /* on to unattended_orphan() */
                session_patience(s);
                return;
        }
        if (s->look_ns == FIRST_LOOK && is_leaving(s)) {
                session_patience(s);
                return;
        }
        unattended_identify(s);
        if (s->look_ns != LAST_LOOK)
                settle_in(s);
        s->look_ns = LAST_LOOK;
        session_patience(s);
}

void unattended_begin(struct session *s)
{
        struct loop *loop = s->worker->loop;

        s->state = SESSION_UNATTENDED;
        space_set_limit(&s->space, 0);
        if (s->recv_op.armed) {
                loop_cancel(loop, &s->recv_op); /* the socket is closed when it comes back */
        } else {
                close(s->sock);
                s->sock = -1;
        }
        s->look_ns = FIRST_LOOK;
        s->leaving_looks = 0;
        session_patience(s);
}

void unattended_orphan(struct session *s)
{
        session_process_ended(s);
        procfs_close(&s->proc);
        close(s->peer.pidfd);
        s->peer.pidfd = -1;
        if (s->state == SESSION_UNATTENDED)
                unattended_identify(s);
        else
                unattended_begin(s);
}

void unattended_stop(struct session *s)
{
        const uint64_t *count = s->space.table.count;

        if (count[PAGE_STANDBY] || count[PAGE_STORED] || count[PAGE_FETCHING])
                s->port.ops->kill(&s->port, "vmpagerd stops, and it has no agent that keeps its pages from being lost");
}

struct session *unattended_new(struct session *parent, int uffd)
{
        struct session *s = session_new(parent->worker);

        if (!s) {
                close(uffd);
                return NULL;
        }
        s->state = SESSION_UNATTENDED;
        s->uffd = uffd;
        s->parent = parent->peer.pid;
        s->peer.uid = parent->peer.uid;
        s->peer.gid = parent->peer.gid;
        memcpy(s->comm, parent->comm, sizeof(s->comm));
        s->terms = parent->terms;
        s->n_slots = parent->n_slots;
        s->ring_bytes = parent->ring_bytes;
        if (handshake_inherit(s, parent) < 0) {
                session_end(s);
                return NULL;
        }
        space_set_swap(&s->space, s->terms.swap);
        session_watch_uffd(s);
        s->look_ns = CHILD_LOOK;
        session_patience(s);
        return s;
}

bool unattended_is_expected(const struct worker *w, const struct sock_peer *peer)
{
        const struct session *s;
        pid_t parent;

        if (procfs_parent(peer->pid, &parent) < 0)
                return false;
        DL_FOREACH(w->sessions, s)
                if (s->state != SESSION_ENDING && s->peer.pid == parent && s->space.journal.n_forks)
                        return true;
        return false;
}

struct session *unattended_find(struct worker *w, const struct sock_peer *peer)
{
        struct procfs p = PROCFS_NONE;
        struct session *s, *next, *found = NULL;

        if (procfs_open(&p, peer->pid, peer->pidfd) < 0)
                return NULL;
        DL_FOREACH_SAFE(w->sessions, s, next) {
                if (s->state != SESSION_UNATTENDED || s->memfd < 0)
                        continue;
                if (s->proc.dir >= 0 ? s->peer.pid == peer->pid : is_its_memory(s, &p)) {
                        found = s;
                        break;
                }
        }
        if (found && found->proc.dir < 0) {
                struct sock_peer known = *peer;

                known.pidfd = fcntl(peer->pidfd, F_DUPFD_CLOEXEC, 0);
                if (known.pidfd >= 0) {
                        recognize(found, &known, &p);
                        return found;
                }
                found = NULL;
        }
        procfs_close(&p);
        return found;
}

void unattended_claim(struct session *s, int sock, const struct sock_peer *peer)
{
        close(peer->pidfd); /* the session has one */
        s->sock = sock;
        s->state = SESSION_RETURNING;
        session_patience(s);
        s->worker->config->claimed(s->worker->config->arg, &s->peer, &s->terms);
        if (session_offer(s) < 0)
                unattended_begin(s);
}
