/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client sends is not believed: each descriptor has to be of the kind that it is meant to be, since a file
 * on FUSE or a pipe in its place could block the worker, and a memfd that shrinks could kill it.
 */
#include "client/handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "client/worker.h"
#include "sys/uffd.h"
#include "util/cleanup.h"
#include "util/error.h"

uint32_t handshake_slots(uint64_t limit)
{
        uint64_t slots = limit / 32 / VMPAGER_PAGE;

        return slots < 256 ? 256 : slots > 2048 ? 2048 : (uint32_t)slots;
}

/* Whether fd is an anonymous inode of that kind ("[eventfd]"). */
static bool is_anon(int fd, const char *kind)
{
        char path[64], target[64] = "";
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        return n > 0 && strncmp(target, "anon_inode:", 11) == 0 && strcmp(target + 11, kind) == 0;
}

static int check_ring(const struct session *s, int memfd, struct error *e)
{
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
        struct statfs fs;
        struct stat st;
        int have = fcntl(memfd, F_GET_SEALS);

        if (have < 0 || (have & seals) != seals || fstatfs(memfd, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
            fstat(memfd, &st) < 0 || (uint64_t)st.st_size != s->ring_bytes)
                return error_set(e, -EINVAL, "the ring is not a sealed memfd of %llu bytes",
                                 (unsigned long long)s->ring_bytes);
        return 0;
}

static int map_ring(struct session *s, int memfd, struct error *e)
{
        void *p = mmap(NULL, s->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
        if (p == MAP_FAILED)
                return error_sys(e, -errno, "the ring cannot be mapped");
        s->ring = p;
        s->ring->n_slots = s->n_slots;
        s->ring->slots_at = VMPAGER_RING_SLOTS_AT;
        s->ring->magic = VMPAGER_RING_MAGIC;
        return 0;
}

static int exclude(struct session *s, const struct vmpager_register *reg, struct error *e)
{
        if (reg->n_excluded > VMPAGER_MAX_EXCLUDED)
                return error_set(e, -EINVAL, "too many excluded ranges (%u)", reg->n_excluded);
        s->space.n_excluded = 0;
        for (uint32_t i = 0; i < reg->n_excluded; i++) {
                if (reg->excluded[i].start >= reg->excluded[i].end)
                        return error_set(e, -EINVAL, "an excluded range is empty");
                s->space.excluded[s->space.n_excluded++] =
                        (struct region){ reg->excluded[i].start, reg->excluded[i].end };
        }
        return 0;
}

static int set_up_space(struct session *s, struct error *e)
{
        s->table = mmap(NULL, HANDSHAKE_TABLE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (s->table == MAP_FAILED) {
                s->table = NULL;
                return error_sys(e, -errno, "no address space for a page table");
        }
        if (space_init(&s->space, &s->worker->pager, &s->port, s->ring, s->n_slots, s->table, HANDSHAKE_TABLE_BYTES) <
            0)
                return error_set(e, -ENOMEM, "no memory for a client");
        s->spaced = true;
        s->space.pid = s->peer.pid;
        s->space.budget.overhead = s->ring_bytes;
        return 0;
}

int handshake_register(struct session *s, const struct vmpager_register *reg, int fds[SOCK_MAX_FDS], int n_fds,
                       struct error *e)
{
        _cleanup_(closep) int uffd = n_fds > 0 ? fds[0] : -1;
        _cleanup_(closep) int memfd = n_fds > 1 ? fds[1] : -1;
        _cleanup_(closep) int eventfd = n_fds > 2 ? fds[2] : -1;
        _cleanup_(closep) int extra = n_fds > 3 ? fds[3] : -1;
        int r;

        if (n_fds != 3 || !is_anon(uffd, "[userfaultfd]") || !is_anon(eventfd, "[eventfd]"))
                return error_set(e, -EINVAL, "the descriptors are not a userfaultfd, a memfd and an eventfd");
        r = check_ring(s, memfd, e);
        if (r == 0)
                r = map_ring(s, memfd, e);
        if (r < 0)
                return r;
        if (fcntl(uffd, F_SETFL, O_NONBLOCK) < 0 || fcntl(eventfd, F_SETFL, O_NONBLOCK) < 0)
                return error_sys(e, -errno, "the descriptors cannot be made non-blocking");
        r = uffd_api(uffd, UFFD_NEEDED);
        if (r < 0)
                return error_sys(e, r, "the kernel refuses the userfaultfd features that vmpager needs");
        r = procfs_open(&s->proc, s->peer.pid, s->peer.pidfd);
        if (r < 0)
                return error_sys(e, r, "/proc/%d cannot be read", s->peer.pid);
        procfs_comm(&s->proc, s->comm);
        r = set_up_space(s, e);
        if (r < 0)
                return r;
        r = exclude(s, reg, e);
        if (r < 0)
                return r;
        s->uffd = take_fd(&uffd);
        s->eventfd = take_fd(&eventfd);
        return 0;
}

static int make_ring(const struct session *s)
{
        _cleanup_(closep) int memfd = memfd_create("vmpager-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (memfd < 0 || ftruncate(memfd, (off_t)s->ring_bytes) < 0 ||
            fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        return take_fd(&memfd);
}

int handshake_inherit(struct session *s, const struct session *parent)
{
        struct error e = { 0 };
        int r;

        s->memfd = make_ring(s);
        if (s->memfd < 0)
                return s->memfd;
        r = map_ring(s, s->memfd, &e);
        if (r == 0)
                r = set_up_space(s, &e);
        if (r < 0)
                return r;
        memcpy(s->space.excluded, parent->space.excluded, sizeof(s->space.excluded));
        s->space.n_excluded = parent->space.n_excluded;
        return 0;
}

int handshake_return(struct session *s, const struct vmpager_register *reg, int fds[SOCK_MAX_FDS], int n_fds,
                     struct error *e)
{
        _cleanup_(closep) int eventfd = n_fds > 0 ? fds[0] : -1;
        int r;

        for (int i = 1; i < n_fds; i++)
                close(fds[i]);
        if (n_fds != 1 || !is_anon(eventfd, "[eventfd]"))
                return error_set(e, -EINVAL, "the descriptor is not an eventfd");
        if (fcntl(eventfd, F_SETFL, O_NONBLOCK) < 0)
                return error_sys(e, -errno, "the eventfd cannot be made non-blocking");
        r = exclude(s, reg, e);
        if (r < 0)
                return r;
        s->eventfd = take_fd(&eventfd);
        s->space.doubtful = true; /* MADV_DONTFORK */
        close(s->memfd);
        s->memfd = -1;
        return 0;
}
