/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userfaultfd(2) and ioctl_userfaultfd(2), thin. Every function returns 0 or bytes on success and a
 * negative errno on failure. Addresses and lengths are bytes, multiples of the page size.
 */
#ifndef SYS_UFFD_H
#define SYS_UFFD_H

#include <stdint.h>
#include <sys/types.h>

#include <vmpager/uffd-compat.h>

struct error;

/* What vmpager cannot do without. */
#define UFFD_NEEDED                                                                                        \
        (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | \
         UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MOVE | UFFD_FEATURE_POISON | UFFD_FEATURE_PAGEFAULT_FLAG_WP | \
         UFFD_FEATURE_WP_UNPOPULATED)

/*
 * Opens /dev/userfaultfd and asks a throw-away userfaultfd which features there are (UFFDIO_API with features = 0: a
 * request with one unknown feature fails whole). Returns the device's descriptor, or a negative errno with e saying
 * what this kernel lacks.
 */
int uffd_device(uint64_t *features, struct error *e);

/* Compares with UFFD_NEEDED: 0, or -EOPNOTSUPP with e naming what is missing. */
int uffd_check(uint64_t features, struct error *e);

/* UFFDIO_API. EVENT_FORK needs CAP_SYS_PTRACE in the caller. */
int uffd_api(int uffd, uint64_t features);

/* An address where nothing is ever mapped: below vm.mmap_min_addr's default. */
#define UFFD_NOWHERE 0x1000ull

/* For missing pages, and for marks (see uffd_mark()). -EBUSY: another userfaultfd has the range. */
int uffd_register(int uffd, uint64_t start, uint64_t len);
int uffd_unregister(int uffd, uint64_t start, uint64_t len);
int uffd_wake(int uffd, uint64_t start, uint64_t len);

/*
 * Sets or takes away the mark of pages: write protection, which an absent page keeps in its page table entry
 * (UFFD_FEATURE_WP_UNPOPULATED, Linux 6.4). The mark of an absent page goes with mremap, ends with munmap,
 * MADV_DONTNEED or an install, and does not change that touching the page is a missing fault. -EAGAIN: as for
 * installs.
 */
int uffd_mark(int uffd, uint64_t start, uint64_t len);
int uffd_unmark(int uffd, uint64_t start, uint64_t len);

/*
 * Installs pages. Returns bytes done, all or fewer; when none were, the reason: -EAGAIN (an event is unread, or the
 * mappings are changing), -EEXIST (the first is there already), -ENOENT (the mapping changed), -ESRCH (the
 * process is gone; ENOSPC of old kernels is turned into it), -EINVAL.
 */
int64_t uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len);
int64_t uffd_zeropage(int uffd, uint64_t dst, uint64_t len);
int64_t uffd_poison(int uffd, uint64_t dst, uint64_t len);

/* Reads up to n messages. Returns how many, 0 when there are none, or a negative errno. */
int uffd_read(int uffd, struct uffd_msg *msgs, unsigned n);

#endif
