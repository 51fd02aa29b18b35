// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a medium gets its file or block device: named, opened, checked, locked, sized, in this order.
 *
 * The directory is opened first and the rest goes by its descriptor, so that the file checked, the file opened and the
 * file taken away at the end are the same one, wherever the daemon's working directory has gone since.
 *
 *   regular file   O_NOFOLLOW, flock()ed. A new one is created with mode 0600 and is ours to remove. An existing one
 *                  is taken when it is empty or has the configured size (an old store: its content is void), and
 *                  refused otherwise: it is somebody's data.
 *   block device   a symbolic link to it is followed. O_EXCL: Linux answers EBUSY where it is mounted, swapped on,
 *                  part of a RAID or opened so by another (open(2)), which serves as the lock as well.
 *
 * O_DIRECT is switched on by fcntl() once the file is open: open() itself would leave an empty file behind where
 * the filesystem refuses the flag. Whether direct I/O by units really works is then tried with one read, since
 * an alignment of more than that (a disk with sectors of 4096 bytes, some block devices) shows only there.
 */
#include "store/file-open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/medium-file.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/size.h"

#define OPEN_TRIES 8 /* against a file that appears and vanishes while it is opened */

#define SIZE_TEXT 32

/* Splits the path; opens its directory. */
static int open_parent(const struct medium_file_config *c, struct open_file *f, struct error *e)
{
        _cleanup_(freep) char *dir = NULL;
        const char *slash;
        int r;

        if (!c->path || !*c->path)
                return error_set(e, -EINVAL, "store %s: path= is empty; name a file or a block device", c->name);
        slash = strrchr(c->path, '/');
        dir = !slash ? strdup(".") : slash == c->path ? strdup("/") : strndup(c->path, (size_t)(slash - c->path));
        f->base = strdup(slash ? slash + 1 : c->path);
        if (!dir || !f->base)
                return error_set(e, -ENOMEM, "store %s: out of memory", c->name);
        if (!*f->base || !strcmp(f->base, ".") || !strcmp(f->base, ".."))
                return error_set(e, -EISDIR, "store %s: %s is a directory; name a file in it or a block device",
                                 c->name, c->path);

        f->parent = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (f->parent >= 0)
                return 0;
        r = -errno;
        if (r == -ENOENT)
                return error_set(e, r, "store %s: the directory %s does not exist; create it or set another path=",
                                 c->name, dir);
        return error_sys(e, r, "store %s: cannot use the directory %s", c->name, dir);
}

static int open_failed(const struct medium_file_config *c, int r, struct error *e)
{
        switch (r) {
        case -EACCES:
        case -EPERM:
        case -EROFS:
                return error_sys(e, r, "store %s: %s is not writable", c->name, c->path);
        case -ELOOP:
                return error_set(e, r, "store %s: %s is a symbolic link, which may name a block device only; give the "
                                 "path of the file itself", c->name, c->path);
        default:
                return error_sys(e, r, "store %s: cannot open %s", c->name, c->path);
        }
}

static int wrong_kind(const struct medium_file_config *c, mode_t mode, struct error *e)
{
        if (S_ISDIR(mode))
                return error_set(e, -EISDIR, "store %s: %s is a directory; name a file in it or a block device",
                                 c->name, c->path);
        return error_set(e, -EINVAL, "store %s: %s is %s; a store is a file or a block device", c->name, c->path,
                         S_ISFIFO(mode) ? "a fifo" : S_ISSOCK(mode) ? "a socket" : "a character device");
}

static bool is_tmpfs(int fd)
{
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* The folder is on the file system of the device nodes: what is missing there is a device, and no file to be made. */
static bool holds_devices(int parent)
{
        struct stat dev, st;

        return is_tmpfs(parent) && stat("/dev", &dev) == 0 && fstat(parent, &st) == 0 && st.st_dev == dev.st_dev;
}

/* Opens what is there, or creates it. A positive result: it changed meanwhile, look again. */
static int open_once(const struct medium_file_config *c, struct open_file *f, struct error *e)
{
        struct stat st;

        if (fstatat(f->parent, f->base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return open_failed(c, -errno, e);
                if (holds_devices(f->parent))
                        return error_set(e, -ENODEV, "store %s: there is no device %s; name one that is there, or a "
                                         "file on a disk", c->name, c->path);
                f->fd = openat(f->parent, f->base, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (f->fd < 0)
                        return errno == EEXIST ? 1 : open_failed(c, -errno, e);
                f->created = true;
                return 0;
        }

        if (S_ISLNK(st.st_mode)) {
                if (fstatat(f->parent, f->base, &st, 0) < 0)
                        return error_sys(e, -errno, "store %s: %s is a symbolic link that leads nowhere", c->name,
                                         c->path);
                if (!S_ISBLK(st.st_mode))
                        return open_failed(c, -ELOOP, e);
        }
        f->device = S_ISBLK(st.st_mode);
        if (!f->device && !S_ISREG(st.st_mode))
                return wrong_kind(c, st.st_mode, e);

        f->fd = openat(f->parent, f->base, O_RDWR | O_CLOEXEC | O_NONBLOCK | (f->device ? O_EXCL : O_NOFOLLOW));
        if (f->fd < 0 && errno == ENOENT)
                return 1;
        if (f->fd < 0 && errno == EBUSY && f->device)
                return error_set(e, -EBUSY, "store %s: the block device %s is mounted or in use (swap, RAID, LVM, or "
                                 "another vmpagerd)", c->name, c->path);
        return f->fd < 0 ? open_failed(c, -errno, e) : 0;
}

/* Whether the name still leads to the file that was opened. */
static bool is_named(const struct open_file *f)
{
        struct stat name, file;

        return !fstatat(f->parent, f->base, &name, f->device ? 0 : AT_SYMLINK_NOFOLLOW) && !fstat(f->fd, &file) &&
               name.st_dev == file.st_dev && name.st_ino == file.st_ino;
}

/* Opens and locks; *st says what it is. */
static int open_and_lock(const struct medium_file_config *c, struct open_file *f, struct stat *st, struct error *e)
{
        int r = 1;

        for (int i = 0; r > 0 && i < OPEN_TRIES; i++) {
                closep(&f->fd);
                f->fd = -1;
                f->created = f->device = false;
                r = open_once(c, f, e);
                if (r)
                        continue;
                if (fstat(f->fd, st) < 0)
                        return error_sys(e, -errno, "store %s: cannot examine %s", c->name, c->path);
                if (f->device ? !S_ISBLK(st->st_mode) : !S_ISREG(st->st_mode))
                        return wrong_kind(c, st->st_mode, e);
                if (!f->device && flock(f->fd, LOCK_EX | LOCK_NB) < 0) {
                        r = -errno;
                        f->created = false; /* whoever holds the lock has it now */
                        if (r == -EWOULDBLOCK)
                                return error_set(e, -EBUSY, "store %s: %s is in use by another vmpagerd", c->name,
                                                 c->path);
                        return error_sys(e, r, "store %s: cannot lock %s", c->name, c->path);
                }
                if (!is_named(f)) /* another store removed it between open and lock */
                        r = 1;
        }
        if (r > 0)
                return error_set(e, -EBUSY, "store %s: %s is being created and removed by another vmpagerd", c->name,
                                 c->path);
        return r;
}

/* The configured size of a file in whole pages, or of a device what there is of it. */
static int size_wanted(const struct medium_file_config *c, struct open_file *f, uint64_t *out, struct error *e)
{
        char least[SIZE_TEXT], wanted[SIZE_TEXT], have[SIZE_TEXT];
        uint64_t bytes = c->size, device = 0;

        if (f->device) {
                if (ioctl(f->fd, BLKGETSIZE64, &device) < 0)
                        return error_sys(e, -errno, "store %s: cannot learn the size of %s", c->name, c->path);
                if (bytes > device)
                        return error_set(e, -ENOSPC, "store %s: size=%s (%" PRIu64 " bytes) is more than the block "
                                         "device %s has: %s (%" PRIu64 " bytes)", c->name,
                                         size_format(bytes, wanted, sizeof(wanted)), bytes, c->path,
                                         size_format(device, have, sizeof(have)), device);
                if (!bytes)
                        bytes = device;
        }
        bytes -= bytes % STORE_PAGE;
        if (bytes < MEDIUM_MIN_BYTES)
                return error_set(e, -EINVAL, "store %s: a size of %" PRIu64 " bytes for %s is too small; the least is "
                                 "%s (%u bytes)", c->name, c->size ? c->size : device, c->path,
                                 size_format(MEDIUM_MIN_BYTES, least, sizeof(least)), MEDIUM_MIN_BYTES);
        if (bytes / STORE_PAGE > PAGE_STORE_MOST) {
                if (c->size)
                        return error_set(e, -EFBIG, "store %s: size=%s is too large; the most is %s", c->name,
                                         size_format(bytes, wanted, sizeof(wanted)),
                                         size_format(PAGE_STORE_MOST * STORE_PAGE, have, sizeof(have)));
                bytes = PAGE_STORE_MOST * STORE_PAGE;
        }
        *out = bytes;
        return 0;
}

/* Whether an existing regular file may become the store. */
static int check_existing(const struct medium_file_config *c, const struct open_file *f, const struct stat *st,
                          struct error *e)
{
        if (st->st_size && (uint64_t)st->st_size != f->bytes)
                return error_set(e, -EEXIST, "store %s: %s is a file of %" PRIu64 " bytes, which is not a store of "
                                 "size=%" PRIu64 ": it may hold somebody's data; remove it or set another path=",
                                 c->name, c->path, (uint64_t)st->st_size, f->bytes);
        if (st->st_uid != geteuid())
                return error_set(e, -EPERM, "store %s: %s belongs to uid %u, who could read the pages in it; remove it "
                                 "or set another path=", c->name, c->path, (unsigned)st->st_uid);
        if (st->st_mode & 077) {
                log_warning("store %s: %s was open to others (mode %03o), it has mode 600 now", c->name, c->path,
                            (unsigned)st->st_mode & 0777u);
                if (fchmod(f->fd, 0600) < 0)
                        return error_sys(e, -errno, "store %s: cannot set the mode of %s", c->name, c->path);
        }
        return 0;
}

static int no_space(const struct medium_file_config *c, uint64_t wanted, uint64_t free, struct error *e)
{
        char w[SIZE_TEXT], f[SIZE_TEXT];

        return error_set(e, -ENOSPC, "store %s: %s needs %s (%" PRIu64 " bytes) more, its filesystem has %s (%" PRIu64
                         " bytes) free; set a smaller size= or another path=", c->name, c->path,
                         size_format(wanted, w, sizeof(w)), wanted, size_format(free, f, sizeof(f)), free);
}

/* Bytes free for us on its filesystem; UINT64_MAX where it does not say (an unlimited tmpfs has 0 blocks). */
static uint64_t space_free(int fd)
{
        struct statvfs fs;

        if (fstatvfs(fd, &fs) < 0 || !fs.f_blocks)
                return UINT64_MAX;
        return (uint64_t)(geteuid() ? fs.f_bavail : fs.f_bfree) * fs.f_frsize;
}

/* Makes all of the file a hole. 0, -EOPNOTSUPP where its filesystem cannot, or another negative errno. */
static int empty(const struct open_file *f)
{
        int r;

        do
                r = fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)f->bytes) < 0 ? -errno : 0;
        while (r == -EINTR);
        return r == -ENOSYS ? -EOPNOTSUPP : r;
}

/* Gives a file its size, and no room before it is used. 1: its filesystem cannot take room back. */
static int make_sparse(const struct medium_file_config *c, struct open_file *f, struct error *e)
{
        int r = ftruncate(f->fd, (off_t)f->bytes) < 0 ? -errno : empty(f);

        if (r == -EOPNOTSUPP) {
                log_warning("store %s: the filesystem of %s cannot make holes in files: discard = yes has no effect",
                            c->name, c->path);
                return 1;
        }
        f->sparse = r == 0;
        return r ? error_sys(e, r, "store %s: cannot give %s its %" PRIu64 " bytes", c->name, c->path, f->bytes) : 0;
}

/* Gives a file its full size at once. */
static int reserve(const struct medium_file_config *c, const struct open_file *f, const struct stat *st,
                   struct error *e)
{
        uint64_t has = (uint64_t)st->st_blocks * 512, free = space_free(f->fd);
        uint64_t wanted = f->bytes > has ? f->bytes - has : 0;
        int r;

        if (wanted > free) /* known before it is tried: nobody else there runs out of space meanwhile */
                return no_space(c, wanted, free, e);
        do
                r = fallocate(f->fd, 0, 0, (off_t)f->bytes) < 0 ? -errno : 0;
        while (r == -EINTR);
        if (r == -EOPNOTSUPP || r == -ENOSYS) {
                r = ftruncate(f->fd, (off_t)f->bytes) < 0 ? -errno : 0;
                if (!r && wanted)
                        log_warning("store %s: the filesystem of %s cannot set its room aside (fallocate): when others "
                                    "have filled it up, the store counts as full", c->name, c->path);
        }
        if (!r)
                return 0;

        if (ftruncate(f->fd, st->st_size) < 0)
                log_warning("store %s: cannot give back the space of %s: %s", c->name, c->path, strerror(errno));
        if (r == -ENOSPC || r == -EDQUOT)
                return no_space(c, wanted, space_free(f->fd), e);
        return error_sys(e, r, "store %s: cannot give %s its %" PRIu64 " bytes", c->name, c->path, f->bytes);
}

/*
 * A loop device whose file is read and written through the page cache. Where the file has holes and its filesystem gets
 * full, a write to it is short, and the loop driver takes that for success (lo_complete_rq() in drivers/block/loop.c,
 * as of Linux 6.18): what was not written reads as zeros.
 */
static bool is_buffered_loop(const struct open_file *f)
{
        struct loop_info64 info;

        return f->device && ioctl(f->fd, LOOP_GET_STATUS64, &info) == 0 && !(info.lo_flags & LO_FLAGS_DIRECT_IO);
}

/* One read of `bytes` at an offset of as many, into memory at as many. 0 or a negative errno. */
static int try_read(const struct open_file *f, char *memory, size_t bytes)
{
        ssize_t n = pread(f->fd, memory + bytes, bytes, (off_t)bytes);

        return n == (ssize_t)bytes ? 0 : n < 0 ? -errno : -EIO;
}

/* Whether direct I/O works by units of f->unit, which is made larger where only that does. 0 or a negative errno. */
static int try_direct(struct open_file *f, char *memory)
{
        int r = try_read(f, memory, f->unit);

        if (r != -EINVAL || f->unit == STORE_PAGE)
                return r;
        f->unit = STORE_PAGE;
        return try_read(f, memory, f->unit);
}

/* O_DIRECT where it works; f->direct says so. */
static int go_direct(const struct medium_file_config *c, struct open_file *f, struct error *e)
{
        _cleanup_(freep) void *memory = NULL;
        int flags = fcntl(f->fd, F_GETFL), r = -EINVAL;

        if (flags < 0)
                return error_sys(e, -errno, "store %s: cannot use %s", c->name, c->path);
        flags &= ~O_NONBLOCK;
        if (posix_memalign(&memory, STORE_PAGE, (size_t)2 * STORE_PAGE))
                return error_set(e, -ENOMEM, "store %s: out of memory", c->name);

        f->unit = c->unit;
        f->direct = fcntl(f->fd, F_SETFL, flags | O_DIRECT) == 0;
        if (f->direct)
                r = try_direct(f, memory);
        if (r == -EINVAL) {
                f->direct = false;
                f->unit = c->unit;
                if (fcntl(f->fd, F_SETFL, flags) < 0)
                        return error_sys(e, -errno, "store %s: cannot use %s", c->name, c->path);
                log_warning("store %s: %s has no direct I/O (O_DIRECT) by pages: buffered I/O is used, and the "
                            "kernel's page cache holds pages a second time", c->name, c->path);
                r = try_read(f, memory, f->unit);
        }
        return r ? error_sys(e, r, "store %s: cannot read %s", c->name, c->path) : 0;
}

static int open_all(const struct medium_file_config *c, struct open_file *f, struct error *e)
{
        struct stat st;
        int r;

        if ((r = open_parent(c, f, e)) < 0 || (r = open_and_lock(c, f, &st, e)) < 0 ||
            (r = size_wanted(c, f, &f->bytes, e)) < 0)
                return r;
        if (!f->device) {
                if (!f->created && (r = check_existing(c, f, &st, e)) < 0)
                        return r;
                r = c->discard == MEDIUM_DISCARD_YES ? make_sparse(c, f, e) : 1;
                if (r < 0 || (r > 0 && (r = reserve(c, f, &st, e)) < 0))
                        return r;
        }
        if (!f->device && is_tmpfs(f->fd))
                log_warning("store %s: %s is in memory (tmpfs), and so is all that is evicted; name a file on a disk",
                            c->name, c->path);
        if (is_buffered_loop(f))
                log_warning("store %s: %s is a loop device without direct I/O: the kernel's page cache holds pages a "
                            "second time, and pages can be lost when the filesystem of its file is full; run losetup "
                            "--direct-io=on %s, and give the file all its room with fallocate",
                            c->name, c->path, c->path);
        return go_direct(c, f, e);
}

int file_open(const struct medium_file_config *config, struct open_file *out, struct error *e)
{
        struct open_file f = OPEN_FILE_NONE;
        int r = open_all(config, &f, e);

        if (r < 0) {
                file_close(&f, true);
                return r;
        }
        *out = f;
        return 0;
}

void file_close(struct open_file *file, bool unlink)
{
        if (unlink && file->created && is_named(file) && unlinkat(file->parent, file->base, 0) < 0)
                log_warning("cannot remove the store's file %s: %s", file->base, strerror(errno));
        closep(&file->fd);
        closep(&file->parent);
        free(file->base);
        *file = OPEN_FILE_NONE;
}
