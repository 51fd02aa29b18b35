/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is locked, sealed, named, or the program's own userfaultfd's, while pages are out (see paged.h).
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "paged.h"

/* Newer than the headers of Debian 12. */
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define BLOCK (4 * MIB)
#define PART  (BLOCK / 4)

static void press(int steps)
{
        for (int i = 0; i < steps; i++)
                pressure_step(&pressure);
}

static long locked_kib(void)
{
        return number_in("/proc/self/status", "VmLck:");
}

/* Rule 25: mlock brings all of it in, and there it stays. */
static void locked(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(mlock(block + PART, PART));
        check(n_present(block + PART, PART) == (long)(PART / PAGE), "%ld of %lu locked pages came in",
              n_present(block + PART, PART), PART / PAGE);
        press(100);
        check(n_present(block + PART, PART) == (long)(PART / PAGE), "%ld of %lu locked pages stayed",
              n_present(block + PART, PART), PART / PAGE);
        check_filled("all of it", block, BLOCK, 1, 0);
        check_call(munlock(block + PART, PART));
        fill_out(block, BLOCK, 2, 0);
        check_filled("unlocked", block, BLOCK, 2, 0);
        munmap(block, BLOCK);
}

static void locked_on_fault(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(mlock2(block, BLOCK, MLOCK_ONFAULT));
        check(is_native || n_present(block, BLOCK) == 0, "pages came in before they were touched");
        check_filled("the first part", block, PART, 1, 0);
        press(100);
        check(n_present(block, PART) == (long)(PART / PAGE), "%ld of %lu locked pages stayed", n_present(block, PART),
              PART / PAGE);
        check_filled("all of it", block, BLOCK, 1, 0);
        check_call(munlock(block, BLOCK));
        fill_out(block, BLOCK, 2, 0);
        check_filled("unlocked", block, BLOCK, 2, 0);
        munmap(block, BLOCK);
}

static void locked_from_birth(void)
{
        uint8_t *block = map_at(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_LOCKED);

        fill(block, BLOCK, 1, 0);
        press(100);
        check(n_present(block, BLOCK) == (long)(BLOCK / PAGE), "%ld of %lu locked pages stayed",
              n_present(block, BLOCK), BLOCK / PAGE);
        check_call(munlock(block, BLOCK));
        evict_out(block, BLOCK);
        check_filled("unlocked", block, BLOCK, 1, 0);
        munmap(block, BLOCK);
}

/* Everything: the library's own memory in the program as well, which evictions need. */
static void all_locked(void)
{
        uint8_t *block = map(BLOCK), *later;

        fill_out(block, BLOCK, 1, 0);
        check_call(mlockall(MCL_CURRENT | MCL_FUTURE));
        check(n_present(block, BLOCK) == (long)(BLOCK / PAGE), "%ld of %lu locked pages came in",
              n_present(block, BLOCK), BLOCK / PAGE);
        later = map_at(NULL, BLOCK, PROT_READ | PROT_WRITE, 0);
        check(n_present(later, BLOCK) == (long)(BLOCK / PAGE), "memory mapped later is not there");
        fill(later, BLOCK, 2, 0);
        press(100);
        check_filled("locked", block, BLOCK, 1, 0);
        check_filled("mapped later", later, BLOCK, 2, 0);
        check_call(munlockall());
        evict_out(block, BLOCK);
        evict_out(later, BLOCK);
        check_filled("unlocked", block, BLOCK, 1, 0);
        check_filled("mapped later, unlocked", later, BLOCK, 2, 0);
        munmap(block, BLOCK);
        munmap(later, BLOCK);
}

static void all_locked_on_fault(void)
{
        uint8_t *block = map(BLOCK);

        fill_out(block, BLOCK, 1, 0);
        check_call(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
        check(is_native || n_present(block, BLOCK) == 0, "pages came in before they were touched");
        check_filled("locked", block, BLOCK, 1, 0);
        press(20);
        check(n_present(block, BLOCK) == (long)(BLOCK / PAGE), "%ld of %lu locked pages stayed",
              n_present(block, BLOCK), BLOCK / PAGE);
        check_call(munlockall());
        fill_out(block, BLOCK, 2, 0);
        check_filled("unlocked", block, BLOCK, 2, 0);
        munmap(block, BLOCK);
}

/* A limit that cannot be kept is no reason to hang. */
static void more_locked_than_the_limit(void)
{
        uint8_t *block = map(48 * MIB);

        fill(block, 48 * MIB, 1, 0);
        check_call(mlock(block, 48 * MIB));
        check(locked_kib() >= 48 * 1024, "%ld KiB are locked", locked_kib());
        press(8);
        check_filled("locked", block, 48 * MIB, 1, 0);
        check_call(munlock(block, 48 * MIB));
        evict_out(block, 48 * MIB);
        check_filled("unlocked", block, 48 * MIB, 1, 0);
        munmap(block, 48 * MIB);
}

/* Sealed memory stays for ever: this must not be done with much of it. */
static void sealed(void)
{
        uint8_t *block = map(PART);

        fill_out(block, PART, 1, 0);
        if (syscall(SYS_mseal, block, PART, 0ul) < 0) {
                skip_case("mseal: %s", strerror(errno));
                return;
        }
        check(munmap(block, PART) < 0 && errno == EPERM, "munmap of sealed memory");
        check(mprotect(block, PART, PROT_NONE) < 0 && errno == EPERM, "mprotect of sealed memory");
        check(mremap(block, PART, 2 * PART, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM, "mremap of sealed memory");
        check_filled("sealed", block, PART, 1, 0);
        evict_out(block, PART);
        check_filled("sealed, and out again", block, PART, 1, 0);
}

static void named(void)
{
        uint8_t *block = map(BLOCK), *to;

        fill_out(block, BLOCK, 1, 0);
        if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block + PART, PART, "a part") < 0) {
                skip_case("PR_SET_VMA_ANON_NAME: %s", strerror(errno));
                return;
        }
        check(n_mappings(block, BLOCK) == 3, "%d mappings where there should be 3", n_mappings(block, BLOCK));
        check_filled("named", block, BLOCK, 1, 0);
        fill_out(block, BLOCK, 2, 0);
        check_call(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, block, BLOCK, NULL));
        to = mremap(block, BLOCK, 2 * BLOCK, MREMAP_MAYMOVE);
        check(to != MAP_FAILED, "mremap: %s", strerror(errno));
        check_filled("moved", to, BLOCK, 2, 0);
        munmap(to, 2 * BLOCK);
}

/* --- a userfaultfd of the program's own ------------------------------------------------------ */

struct own {
        int fd;
        uint8_t *area;
        _Atomic bool end;
        _Atomic unsigned served;
        _Alignas(PAGE) uint8_t page[PAGE];
};

/* Answers each fault with the page that belongs there. */
static void *own_serve(void *arg)
{
        struct own *own = arg;

        while (!atomic_load(&own->end)) {
                struct pollfd ready = { .fd = own->fd, .events = POLLIN };
                struct uffd_msg msg;
                struct uffdio_copy copy = { .src = (uintptr_t)own->page, .len = PAGE };

                if (poll(&ready, 1, 20) != 1 || read(own->fd, &msg, sizeof(msg)) != (ssize_t)sizeof(msg))
                        continue;
                copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
                fill(own->page, PAGE, 5, (copy.dst - (uintptr_t)own->area) / PAGE);
                atomic_fetch_add(&own->served, 1);
                if (ioctl(own->fd, UFFDIO_COPY, &copy) < 0 && errno != EEXIST)
                        failed("UFFDIO_COPY: %s", strerror(errno));
        }
        return NULL;
}

/* Rule 9. It is made before there is any pressure, so that vmpager has not registered the area itself. */
static void own_userfaultfd(void)
{
        struct own *own = map_shared(sizeof(*own));
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
        pthread_t thread;

        own->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
        if (own->fd < 0 || ioctl(own->fd, UFFDIO_API, &api) < 0) {
                skip_case("userfaultfd: %s", strerror(errno));
                return;
        }
        own->area = map(PART);
        area.range.start = (uintptr_t)own->area;
        area.range.len = PART;
        if (ioctl(own->fd, UFFDIO_REGISTER, &area) < 0) {
                failed("UFFDIO_REGISTER: %s", strerror(errno));
                return;
        }
        pthread_create(&thread, NULL, own_serve, own);
        check_filled("the first half", own->area, PART / 2, 5, 0);
        press(200);
        check(n_present(own->area, PART) == (long)(PART / PAGE / 2), "%ld pages are there, and not %lu",
              n_present(own->area, PART), PART / PAGE / 2);
        check_filled("all of it", own->area, PART, 5, 0);
        check(atomic_load(&own->served) == PART / PAGE, "%u pages were asked for", atomic_load(&own->served));
        atomic_store(&own->end, true);
        pthread_join(thread, NULL);
        munmap(own->area, PART);
        close(own->fd);
}

static const struct paged_case cases[] = {
        { "a userfaultfd of the program's own", own_userfaultfd },
        { "mlock, munlock", locked },
        { "mlock2(MLOCK_ONFAULT)", locked_on_fault },
        { "MAP_LOCKED", locked_from_birth },
        { "mlockall(MCL_CURRENT | MCL_FUTURE)", all_locked },
        { "mlockall(MCL_ONFAULT)", all_locked_on_fault },
        { "more locked than the limit", more_locked_than_the_limit },
        { "mseal", sealed },
        { "PR_SET_VMA_ANON_NAME", named },
};

int main(int argc, char **argv)
{
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
