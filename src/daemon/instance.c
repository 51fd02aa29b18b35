/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/instance.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "idle/idle.h"
#include "store/medium-file.h"
#include "store/medium-nbd.h"
#include "store/medium.h"
#include "store/page-store.h"
#include "store/store.h"
#include "sys/sock.h"
#include "sys/uffd.h"
#include "util/error.h"
#include "util/log.h"

static void on_signal(struct op *op, int res, unsigned flags)
{
        struct instance *d = op_owner(op, struct instance, signal_op);

        (void)flags;
        if (res > 0)
                loop_stop(d->server.loop);
}

/* SIGTERM and SIGINT come through a descriptor; SIGPIPE and SIGHUP mean nothing to us. */
static int watch_signals(struct instance *d, struct error *e)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        signal(SIGPIPE, SIG_IGN);
        if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
                return error_set(e, -EINVAL, "the signals cannot be blocked");
        sigdelset(&set, SIGHUP);
        d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return d->signals < 0 ? error_sys(e, -errno, "no signalfd") : 0;
}

/* Opens the medium of one [store] section. */
static int open_medium(const struct config_store *s, uint32_t unit, struct medium **out, struct error *e)
{
        struct medium_file_config file = { .name = s->name,
                                           .path = s->path,
                                           .size = s->size,
                                           .unit = unit,
                                           .discard = s->discard,
                                           .unlink_on_close = !s->keep };
        struct medium_nbd_config nbd = {
                .name = s->name,
                .uri = s->path,
                .size = s->size,
                .unit = unit,
                .connections = s->connections,
                .timeout_ns = s->timeout_ns,
                .discard = s->discard,
        };
        struct stat st;

        if (medium_nbd_is_uri(s->path))
                return medium_nbd_open(&nbd, out, e);
        if (file.size == 0 && (stat(s->path, &st) < 0 || !S_ISBLK(st.st_mode)))
                file.size = CONFIG_FILE_BYTES;
        return medium_file_open(&file, out, e);
}

/* How the pages of the default class are kept. */
static struct store_owner_config owner_config(const struct config *c)
{
        return (struct store_owner_config){
                .codec = c->class_.has_codec ? c->class_.codec : c->codec,
                .sealed = c->encrypt,
                .ram = c->class_.ram_percent > 0,
        };
}

/* Opens all media, in units of `unit` bytes if they can. */
static int open_media(const struct config *c, uint32_t unit, struct page_store_medium *media, struct error *e)
{
        for (unsigned n = 0; n < c->n_stores; n++) {
                int r = open_medium(&c->store[n], unit, &media[n].medium, e);

                media[n].weight = c->store[n].weight;
                while (r < 0 && n > 0)
                        medium_destroy(media[--n].medium);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_store(struct instance *d, struct error *e)
{
        const struct config *c = d->config;
        struct page_store_medium media[CONFIG_MAX_STORES];
        struct page_store_config config = {
                .packs = owner_config(c).codec.codec != CODEC_NONE,
                .seals = c->encrypt,
                .ram = owner_config(c).ram,
        };
        int r = open_media(c, config.packs ? STORE_SECTOR : STORE_PAGE, media, e);

        if (r < 0)
                return r;
        r = page_store_new(&config, media, c->n_stores, &d->store, e);
        for (unsigned i = 0; r < 0 && i < c->n_stores; i++)
                medium_destroy(media[i].medium);
        return r;
}

static int start_workers(struct instance *d, const struct idle_ops *idle, uint64_t features, struct error *e)
{
        d->worker_config = (struct worker_config){
                .store = d->store,
                .idle = idle,
                .device = d->device,
                .grow_when_full = d->config->grow_when_full,
                .owner = owner_config(d->config),
                .ram_bytes = d->config->class_.ram_bytes,
                .ram_percent = d->config->class_.ram_percent,
                .readahead = d->config->readahead,
                .features = features,
                .workers = d->worker,
                .n_workers = d->config->workers,
                .ended = server_ended,
                .claimed = server_claimed,
                .arg = &d->server,
        };
        d->server.workers = d->worker;
        for (unsigned i = 0; i < d->config->workers; i++) {
                int r = worker_start(&d->worker[i], i, &d->worker_config, e);

                if (r < 0)
                        return r;
                d->server.n_workers++;
        }
        return 0;
}

/* The folder of a socket, if it is missing and its parent is there. */
static void make_folder(const char *path)
{
        char copy[4096];

        snprintf(copy, sizeof(copy), "%s", path);
        mkdir(dirname(copy), 0755);
}

static int open_sockets(struct instance *d, struct error *e)
{
        make_folder(d->config->socket);
        make_folder(d->config->control);
        d->server.client_sock = sock_listen(d->config->socket, SOCK_SEQPACKET, 0666, e);
        if (d->server.client_sock < 0)
                return d->server.client_sock;
        d->server.control_sock = sock_listen(d->config->control, SOCK_STREAM, 0660, e);
        return d->server.control_sock < 0 ? d->server.control_sock : 0;
}

static int start_all(struct instance *d, uint64_t memory, struct error *e)
{
        const struct idle_ops *idle;
        uint64_t features = 0;
        int r;

        d->device = uffd_device(&features, e);
        if (d->device < 0)
                return d->device;
        idle = idle_choose(d->config->tracker);
        if (!idle)
                return error_set(e, -EINVAL, "tracker %s is not known or cannot work on this kernel",
                                 d->config->tracker);
        r = watch_signals(d, e);
        if (r < 0)
                return r;
        r = loop_new(&d->server.loop, e);
        if (r < 0)
                return r;
        r = open_store(d, e);
        if (r < 0)
                return r;
        d->server.store = d->store;
        d->server.tracker = idle->name;
        d->server.memory = memory;
        d->server.admit.defaults =
                (struct client_terms){ .limit = d->config->class_.limit, .swap = d->config->class_.swap };
        r = start_workers(d, idle, features, e);
        if (r < 0)
                return r;
        return open_sockets(d, e);
}

int instance_start(struct instance *d, const struct config *config, uint64_t memory, struct error *e)
{
        int r;

        *d = (struct instance){ .config = config, .device = -1, .signals = -1 };
        d->server.client_sock = d->server.control_sock = -1;
        pthread_mutex_init(&d->server.ended_lock, NULL);
        r = start_all(d, memory, e);
        if (r < 0) {
                instance_stop(d);
                return r;
        }
        d->signal_op.done = on_signal;
        loop_read(d->server.loop, &d->signal_op, d->signals, d->signal_info, sizeof(d->signal_info), (uint64_t)-1);
        server_start(&d->server);
        return 0;
}

int instance_run(struct instance *d)
{
        return loop_run(d->server.loop);
}

static void close_socket(int *fd, const char *path)
{
        if (*fd < 0)
                return;
        unlink(path);
        close(*fd);
        *fd = -1;
}

void instance_stop(struct instance *d)
{
        close_socket(&d->server.client_sock, d->config->socket);
        close_socket(&d->server.control_sock, d->config->control);
        for (unsigned i = 0; i < d->server.n_workers; i++)
                worker_stop(&d->worker[i]);
        d->server.n_workers = 0;
        if (d->server.loop) {
                server_take_ended(&d->server);
                loop_free(d->server.loop);
        }
        d->server.loop = NULL;
        admit_clear(&d->server.admit);
        store_destroy(d->store);
        d->store = NULL;
        if (d->device >= 0)
                close(d->device);
        if (d->signals >= 0)
                close(d->signals);
        d->device = d->signals = -1;
}
