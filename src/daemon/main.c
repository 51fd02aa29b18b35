/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of start and stop, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/background.h"
#include "daemon/instance.h"
#include "daemon/options.h"
#include "util/error.h"
#include "util/faultpoint.h"
#include "util/log.h"

#define DEFAULT_CONFIG VMPAGER_SYSCONFDIR "/vmpager/vmpager.conf"

static int read_config(const struct options *o, struct config *config, struct error *e)
{
        if (o->config)
                return config_read(o->config, config, e);
        if (access(DEFAULT_CONFIG, F_OK) == 0)
                return config_read(DEFAULT_CONFIG, config, e);
        return config_defaults(config);
}

/*
 * A pager that is itself paged out could wait for itself. What is there now is brought in and stays; what comes
 * later stays from its first touch on (page tables reserve far more address space than they will ever touch).
 */
static void lock_memory(void)
{
        struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

        setrlimit(RLIMIT_MEMLOCK, &unlimited);
        if (mlockall(MCL_CURRENT) < 0 || mlockall(MCL_FUTURE | MCL_ONFAULT) < 0)
                log_warning("memory cannot be locked (%s): under memory pressure the kernel may page the pager out",
                            strerror(errno));
}

static void allow_descriptors(void)
{
        struct rlimit r;

        if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
                r.rlim_cur = r.rlim_max;
                setrlimit(RLIMIT_NOFILE, &r);
        }
}

static int serve(const struct options *o, const struct config *config, uint64_t memory, struct error *e)
{
        static struct instance instance;
        int r, ready = o->ready_fd;

        if (geteuid() != 0)
                return error_set(e, -EPERM,
                                 "vmpagerd needs root: it hands out userfaultfds and reads its clients' page maps");
        if (!o->foreground) {
                r = background_enter(&ready, e);
                if (r < 0)
                        return r;
        }
        allow_descriptors();
        lock_memory();
        r = instance_start(&instance, config, memory, e);
        if (r < 0)
                return r;
        log_start("vmpagerd", LOG_LEVEL_INFO);
        background_ready(ready);
        r = instance_run(&instance);
        instance_stop(&instance);
        log_stop();
        return r;
}

int main(int argc, char **argv)
{
        uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        struct error e = { 0 };
        struct config config;
        struct options o;
        int r = options_parse(argc, argv, &o);

        if (r != 0)
                return r < 0 ? 2 : 0;
        r = faultpoint_set(getenv("VMPAGER_FAULTPOINTS"), &e);
        if (r == 0)
                r = read_config(&o, &config, &e);
        if (r == 0)
                r = config_check(&config, memory, &e);
        if (r == 0 && !o.check)
                r = serve(&o, &config, memory, &e);
        if (r < 0) {
                fprintf(stderr, "vmpagerd: %s\n", e.text[0] ? e.text : strerror(-r));
                return 1;
        }
        config_clear(&config);
        return 0;
}
