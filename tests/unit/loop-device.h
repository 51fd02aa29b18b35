/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loop devices, which the kernel detaches when their last descriptor is closed. */
#ifndef TESTS_LOOP_DEVICE_H
#define TESTS_LOOP_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "temp-dir.h"

#define LOOP_TRIES 16 /* another process may take the number that we were told is free */

/* Attaches fd, in blocks of `block` bytes; fills in the device's name. Returns its descriptor or a negative errno. */
static inline int attach(int fd, unsigned block, char *name, size_t len)
{
        struct loop_config config = { .fd = (unsigned)fd, .block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
        int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), device = -1, r = -errno;

        for (int i = 0; control >= 0 && i < LOOP_TRIES; i++) {
                int number = ioctl(control, LOOP_CTL_GET_FREE);

                if (number < 0) {
                        r = -errno;
                        break;
                }
                snprintf(name, len, "/dev/loop%d", number);
                device = open(name, O_RDWR | O_CLOEXEC);
                if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) == 0)
                        break;
                r = -errno;
                if (device >= 0)
                        close(device);
                device = -1;
                if (r != -EBUSY)
                        break;
        }
        if (control >= 0)
                close(control);
        return device >= 0 ? device : r;
}

/* A loop device over a new file, "backing" in the temporary directory. */
static inline int attach_new(uint64_t size, unsigned block, char *name, size_t len)
{
        int fd = open(temp_path("backing"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), device;

        if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
                return -errno;
        device = attach(fd, block, name, len);
        close(fd);
        return device;
}

/* Whether this machine lets us; says why not. */
static inline bool loop_devices_can_be_had(void)
{
        char name[64];
        int device;

        if (geteuid() != 0) {
                puts("needs root: loop devices, mounts");
                return false;
        }
        temp_dir_make();
        device = attach_new(1 << 20, 512, name, sizeof(name));
        temp_dir_remove();
        if (device < 0) {
                printf("no loop device can be had: %s\n", strerror(-device));
                return false;
        }
        close(device);
        return true;
}

#endif
