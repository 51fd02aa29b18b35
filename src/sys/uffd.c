// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * userfaultfd(2): descriptors and ioctls. COPY, ZEROPAGE and POISON answer twice: by the ioctl's errno and in a signed
 * field of their argument, which holds the bytes done or, when there are none, the negative errno. A partial result is
 * EAGAIN with bytes > 0, and so is one that ended at a page already there: the bytes count, and the next call
 * tells the reason.
 */
#include "sys/uffd.h"

#include "util/cleanup.h"
#include "util/error.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEVICE "/dev/userfaultfd"

static const struct {
        uint64_t bit;
        const char *name;
} feature_names[] = {
        { UFFD_FEATURE_EVENT_FORK, "EVENT_FORK" },     { UFFD_FEATURE_EVENT_REMAP, "EVENT_REMAP" },
        { UFFD_FEATURE_EVENT_REMOVE, "EVENT_REMOVE" }, { UFFD_FEATURE_EVENT_UNMAP, "EVENT_UNMAP" },
        { UFFD_FEATURE_THREAD_ID, "THREAD_ID" },       { UFFD_FEATURE_MOVE, "MOVE" },
        { UFFD_FEATURE_POISON, "POISON" },             { UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP" },
        { UFFD_FEATURE_WP_UNPOPULATED, "WP_UNPOPULATED" },
};

int uffd_check(uint64_t features, struct error *e)
{
        char missing[160] = "";

        if ((features & UFFD_NEEDED) == UFFD_NEEDED)
                return 0;
        for (unsigned i = 0; i < sizeof(feature_names) / sizeof(*feature_names); i++) {
                if (features & feature_names[i].bit)
                        continue;
                if (*missing)
                        strcat(missing, ", ");
                strcat(missing, feature_names[i].name);
        }
        return error_set(e, -EOPNOTSUPP, "userfaultfd of this kernel lacks %s: Linux 6.8 or newer is needed, "
                                         "with CONFIG_USERFAULTFD", missing);
}

static int device_open(struct error *e)
{
        int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

        if (fd >= 0)
                return fd;
        switch (errno) {
        case ENOENT:
        case ENXIO:
        case ENODEV:
                return error_set(e, -errno, DEVICE " is not there: a kernel with CONFIG_USERFAULTFD, "
                                            "Linux 6.8 or newer, is needed, and its device in /dev");
        case EACCES:
        case EPERM:
                return error_set(e, -errno, "no permission to open " DEVICE ": run as root");
        default:
                return error_sys(e, -errno, "cannot open " DEVICE);
        }
}

int uffd_device(uint64_t *features, struct error *e)
{
        struct uffdio_api api = { .api = UFFD_API };
        _cleanup_(closep) int dev = -1, probe = -1;
        int r;

        dev = device_open(e);
        if (dev < 0)
                return dev;
        probe = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        if (probe < 0)
                return error_sys(e, -errno, DEVICE " gives no userfaultfd");
        if (ioctl(probe, UFFDIO_API, &api) < 0)
                return error_sys(e, -errno, "cannot ask userfaultfd for its features");
        r = uffd_check(api.features, e);
        if (r < 0)
                return r;
        *features = api.features;
        return take_fd(&dev);
}

static int request(int uffd, unsigned long what, void *arg)
{
        return ioctl(uffd, what, arg) < 0 ? -errno : 0;
}

int uffd_api(int uffd, uint64_t features)
{
        struct uffdio_api api = { .api = UFFD_API, .features = features };

        return request(uffd, UFFDIO_API, &api);
}

int uffd_register(int uffd, uint64_t start, uint64_t len)
{
        struct uffdio_register arg = {
                .range = { start, len },
                .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
        };

        return request(uffd, UFFDIO_REGISTER, &arg);
}

int uffd_unregister(int uffd, uint64_t start, uint64_t len)
{
        struct uffdio_range arg = { start, len };

        return request(uffd, UFFDIO_UNREGISTER, &arg);
}

int uffd_mark(int uffd, uint64_t start, uint64_t len)
{
        struct uffdio_writeprotect arg = { .range = { start, len }, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

        return request(uffd, UFFDIO_WRITEPROTECT, &arg);
}

int uffd_unmark(int uffd, uint64_t start, uint64_t len)
{
        struct uffdio_writeprotect arg = { .range = { start, len } };

        return request(uffd, UFFDIO_WRITEPROTECT, &arg);
}

int uffd_wake(int uffd, uint64_t start, uint64_t len)
{
        struct uffdio_range arg = { start, len };

        return request(uffd, UFFDIO_WAKE, &arg);
}

/* Of the ioctl's errno (0 or negative) and its signed field, what the caller is told. */
static int64_t outcome(int r, int64_t done)
{
        if (done > 0)
                return done;
        if (done < 0)
                r = (int)done;
        return r == -ENOSPC ? -ESRCH : r; /* Linux before 4.13; ioctl_userfaultfd(2) */
}

int64_t uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len)
{
        struct uffdio_copy arg = { .dst = dst, .src = (uintptr_t)src, .len = len };
        int r = request(uffd, UFFDIO_COPY, &arg);

        return outcome(r, arg.copy);
}

int64_t uffd_zeropage(int uffd, uint64_t dst, uint64_t len)
{
        struct uffdio_zeropage arg = { .range = { dst, len } };
        int r = request(uffd, UFFDIO_ZEROPAGE, &arg);

        return outcome(r, arg.zeropage);
}

int64_t uffd_poison(int uffd, uint64_t dst, uint64_t len)
{
        struct uffdio_poison arg = { .range = { dst, len } };
        int r = request(uffd, UFFDIO_POISON, &arg);

        return outcome(r, arg.updated);
}

int uffd_read(int uffd, struct uffd_msg *msgs, unsigned n)
{
        ssize_t got;

        if (!n)
                return 0;
        do
                got = read(uffd, msgs, n * sizeof(*msgs));
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return errno == EAGAIN ? 0 : -errno;
        return (int)((size_t)got / sizeof(*msgs));
}
