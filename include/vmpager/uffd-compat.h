/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * linux/userfaultfd.h, and what older copies of it lack. The numbers are the kernel's ABI
 * (include/uapi/linux/userfaultfd.h): POISON since 6.6, WP_ASYNC since 6.7, MOVE since 6.8.
 */
#ifndef VMPAGER_UFFD_COMPAT_H
#define VMPAGER_UFFD_COMPAT_H

#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#define UFFD_FEATURE_POISON         (1 << 14)
#define _UFFDIO_POISON              (0x08)
struct uffdio_poison {
        struct uffdio_range range;
        __u64 mode;
        __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#define _UFFDIO_MOVE      (0x05)
struct uffdio_move {
        __u64 dst;
        __u64 src;
        __u64 len;
        __u64 mode;
        __s64 move;
};
#define UFFDIO_MOVE                         _IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#define UFFDIO_MOVE_MODE_DONTWAKE           ((__u64)1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES    ((__u64)1 << 1)
#endif

#endif
