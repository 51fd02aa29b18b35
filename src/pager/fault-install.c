/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Last on the way of a fault: the bytes go into the client's memory, which wakes all threads that wait for the page.
 * The kernel refuses (EAGAIN) while an event is unread; what was meant to be installed has then to be looked at again.
 */
#include "pager/fault.h"

#include <errno.h>

#include "pager/evict.h"
#include "util/log.h"

int fault_install(struct space *s, uint64_t addr, const void *bytes)
{
        int64_t r = s->port->ops->copy(s->port, addr, bytes, PAGE_SIZE_);

        switch (r) {
        case (int64_t)PAGE_SIZE_:
                budget_installed(&s->budget, PAGE_SIZE_);
                return 1;
        case -EEXIST:
                /* Somebody resolved it, and may not have woken everybody. */
                s->port->ops->wake(s->port, addr, PAGE_SIZE_);
                return 1;
        case -EAGAIN:
        case -ENOENT:
                /* The mapping is changing, or has changed: an event says how, or is about to. */
                return 0;
        case -ESRCH:
                return -ESRCH;
        default:
                log_error("client %d: page 0x%llx cannot be installed: error %lld", s->pid, (unsigned long long)addr,
                          (long long)-r);
                s->port->ops->kill(s->port, "a stored page could not be given back to it");
                return -EIO;
        }
}

int fault_install_run(struct space *s, uint64_t addr, const void *bytes, uint32_t n)
{
        int64_t r = s->port->ops->copy(s->port, addr, bytes, n * PAGE_SIZE_);

        /* A run across two mappings is refused whole, however they touch: then one page, which lies in one. */
        if ((r == -ENOENT || r == -EINVAL) && n > 1)
                r = s->port->ops->copy(s->port, addr, bytes, PAGE_SIZE_);
        if (r > 0) {
                budget_installed(&s->budget, (uint64_t)r);
                return (int)(r / (int64_t)PAGE_SIZE_);
        }
        if (r != -EEXIST)
                return (int)r;
        s->port->ops->wake(s->port, addr, PAGE_SIZE_);
        return 1;
}

void fault_install_slot(struct space *s, struct fault *f, uint32_t slot)
{
        int r;

        r = fault_install(s, f->addr, s->slots + (uint64_t)slot * VMPAGER_PAGE);
        if (r == 0) {
                fault_retry(s, f);
                return;
        }
        if (r > 0) {
                ptable_set(&s->table, f->addr, page_make(PAGE_NATIVE, 0, 0));
                evict_slot_recall(s, slot);
        }
        fault_done(s, f, FAULT_STANDBY);
}
