/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration is read by inih, line by line; a table says which key of which section goes where, so that an
 * unknown key is an error with a line number and not silently without effect.
 */
#include "daemon/config.h"

#include <errno.h>
#define INI_HANDLER_LINENO 1 /* the library hands the number over; its header only knows when it is told */
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmpager/protocol.h>

#include "model/budget.h"
#include "model/readahead.h"
#include "store/medium-nbd.h"
#include "store/nbd-server.h"
#include "store/seal.h"
#include "store/spread.h"
#include "util/error.h"
#include "util/size.h"

#define SHOWN_OF_LINE      20 /* bytes, of one that is too long */
#define DEFAULT_STORE_PATH "/var/lib/vmpager/default.store"

struct reading {
        struct config *config;
        const char *path;
        int wrong;        /* lines */
        bool named_store; /* the stores are those of the file, and not the one by default */
};

static int set_text(char **field, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

/* Says that a line is wrong; inih goes on with the next. */
static int wrong(struct reading *r, int line, const char *what, const char *value)
{
        fprintf(stderr, "vmpagerd: %s:%d: %s: \"%s\"\n", r->path, line, what, value);
        r->wrong++;
        return 1;
}

static int yes_or_no(const char *value, bool *out)
{
        if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0) {
                *out = value[0] == 'y';
                return 0;
        }
        return -EINVAL;
}

/* A whole number from min to max. */
static int number(const char *value, unsigned min, unsigned max, unsigned *out)
{
        char *end;
        unsigned long n = strtoul(value, &end, 10);

        if (*end || end == value || n < min || n > max)
                return -EINVAL;
        *out = (unsigned)n;
        return 0;
}

static int readahead_pages(const char *value, unsigned *out)
{
        bool wanted;

        if (yes_or_no(value, &wanted) < 0)
                return number(value, 1, READAHEAD_MOST, out);
        *out = wanted ? READAHEAD_MOST : 0;
        return 0;
}

static int daemon_key(struct reading *r, const char *key, const char *value, int line)
{
        struct config *c = r->config;

        if (strcmp(key, "socket") == 0)
                return set_text(&c->socket, value) == 0;
        if (strcmp(key, "control") == 0)
                return set_text(&c->control, value) == 0;
        if (strcmp(key, "state") == 0)
                return set_text(&c->state, value) == 0;
        if (strcmp(key, "tracker") == 0)
                return set_text(&c->tracker, value) == 0;
        if (strcmp(key, "readahead") == 0)
                return readahead_pages(value, &c->readahead) == 0 ?
                               1 :
                               wrong(r, line, "readahead is yes, no or a number of pages from 1 to 64", value);
        if (strcmp(key, "workers") != 0)
                return wrong(r, line, "[daemon] has no such key (socket, control, state, workers, tracker, readahead)",
                             key);
        if (number(value, 1, CONFIG_MAX_WORKERS, &c->workers) < 0)
                return wrong(r, line, "workers is a number from 1 to 64", value);
        return 1;
}

/* Makes a store with what holds for one of which nothing is said. NULL: no memory. */
static struct config_store *add_store(struct config *c, const char *name)
{
        struct config_store *s = &c->store[c->n_stores];

        *s = (struct config_store){ .weight = 1, .connections = 4, .timeout_ns = CONFIG_TIMEOUT_NS };
        if (set_text(&s->name, name) < 0 || set_text(&s->path, c->n_stores ? "" : DEFAULT_STORE_PATH) < 0) {
                free(s->name);
                return NULL;
        }
        c->n_stores++;
        return s;
}

/* The store of that name, a new one if need be. NULL: no memory, or the line was found to be wrong. */
static struct config_store *store_named(struct reading *r, const char *name, int line)
{
        struct config *c = r->config;

        if (!r->named_store) {
                r->named_store = true;
                return set_text(&c->store[0].name, name) < 0 ? NULL : &c->store[0];
        }
        for (unsigned i = 0; i < c->n_stores; i++)
                if (strcmp(c->store[i].name, name) == 0)
                        return &c->store[i];
        if (c->n_stores == CONFIG_MAX_STORES) {
                wrong(r, line, "there are 8 stores already; this is one more", name);
                return NULL;
        }
        return add_store(c, name);
}

static int codec_key(struct reading *r, struct codec_choice *out, const char *value, int line)
{
        struct error e = { 0 };

        return codec_parse(value, out, &e) == 0 ? 1 : wrong(r, line, e.text, value);
}

static int encrypt_key(struct reading *r, const char *value, int line)
{
        if (yes_or_no(value, &r->config->encrypt) < 0)
                return wrong(r, line, "encrypt is yes or no", value);
        if (r->config->encrypt && !seal_built_in())
                return wrong(r, line, "this vmpagerd was built without libcrypto, and cannot encrypt", value);
        return 1;
}

static int store_timeout(struct reading *r, struct config_store *s, const char *value, int line)
{
        uint64_t ns;

        if (duration_parse(value, &ns) < 0 || ns < CONFIG_MIN_TIMEOUT_NS || ns > CONFIG_MAX_TIMEOUT_NS)
                return wrong(r, line, "timeout is a span of time from 1s to 1h", value);
        s->timeout_ns = ns;
        return 1;
}

static int discard_key(struct reading *r, struct config_store *s, const char *value, int line)
{
        bool is;

        if (strcmp(value, "auto") == 0)
                s->discard = MEDIUM_DISCARD_AUTO;
        else if (yes_or_no(value, &is) == 0)
                s->discard = is ? MEDIUM_DISCARD_YES : MEDIUM_DISCARD_NO;
        else
                return wrong(r, line, "discard is auto, yes or no", value);
        return 1;
}

static int store_key(struct reading *r, const char *name, const char *key, const char *value, int line)
{
        int mistakes = r->wrong;
        struct config_store *s = store_named(r, name, line);

        if (!s)
                return r->wrong > mistakes;
        if (strcmp(key, "path") == 0)
                return set_text(&s->path, value) == 0;
        if (strcmp(key, "size") == 0)
                return size_parse(value, &s->size) == 0 ? 1 : wrong(r, line, "size is not a size (say 8G)", value);
        if (strcmp(key, "keep") == 0)
                return yes_or_no(value, &s->keep) == 0 ? 1 : wrong(r, line, "keep is yes or no", value);
        if (strcmp(key, "discard") == 0)
                return discard_key(r, s, value, line);
        if (strcmp(key, "weight") == 0)
                return number(value, 1, SPREAD_WEIGHT, &s->weight) == 0 ?
                               1 :
                               wrong(r, line, "weight is a number from 1 to 1000", value);
        if (strcmp(key, "connections") == 0)
                return number(value, 1, NBD_CONNECTIONS_MOST, &s->connections) == 0 ?
                               1 :
                               wrong(r, line, "connections is a number from 1 to 16", value);
        if (strcmp(key, "timeout") == 0)
                return store_timeout(r, s, value, line);
        if (strcmp(key, "codec") == 0)
                return codec_key(r, &r->config->codec, value, line);
        if (strcmp(key, "encrypt") == 0)
                return encrypt_key(r, value, line);
        if (strcmp(key, "on_full") != 0)
                return wrong(r, line,
                             "[store] has no such key (path, size, keep, discard, weight, connections, timeout, "
                             "codec, encrypt, on_full)",
                             key);
        if (strcmp(value, "wait") != 0 && strcmp(value, "grow") != 0)
                return wrong(r, line, "on_full is wait or grow", value);
        r->config->grow_when_full = value[0] == 'g';
        return 1;
}

/* A size, a share of the limit (at most half of it), or none. A size is cut to half of the limit as well. */
static int ram_key(struct reading *r, struct config_class *c, const char *value, int line)
{
        char *end;
        unsigned long n = strtoul(value, &end, 10);

        c->ram_bytes = UINT64_MAX;
        c->ram_percent = CONFIG_MAX_RAM_PERCENT;
        if (strcmp(value, "none") == 0)
                c->ram_percent = 0;
        else if (end != value && strcmp(end, "%") == 0 && n >= 1 && n <= CONFIG_MAX_RAM_PERCENT)
                c->ram_percent = (unsigned)n;
        else if (strchr(value, '%') || size_parse(value, &c->ram_bytes) < 0)
                return wrong(r, line, "ram is none, a size (say 64M), or 1% to 50% of the limit", value);
        return 1;
}

static int swap_key(struct reading *r, struct config_class *c, const char *value, int line)
{
        if (strcmp(value, "none") == 0)
                c->swap = 0;
        else if (size_parse(value, &c->swap) < 0)
                return wrong(r, line, "swap is not a size (say 1G), nor none", value);
        else if (c->swap < VMPAGER_SWAP_LEAST)
                return wrong(r, line, "the swap is below the least one, 1M", value);
        return 1;
}

static int class_key(struct reading *r, const char *name, const char *key, const char *value, int line)
{
        struct config_class *c = &r->config->class_;

        if (strcmp(name, "default") != 0)
                return wrong(r, line, "there is only the class \"default\" so far", name);
        if (strcmp(key, "codec") == 0) {
                c->has_codec = true;
                return codec_key(r, &c->codec, value, line);
        }
        if (strcmp(key, "ram") == 0)
                return ram_key(r, c, value, line);
        if (strcmp(key, "swap") == 0)
                return swap_key(r, c, value, line);
        if (strcmp(key, "limit") != 0)
                return wrong(r, line, "[class] has no such key (limit, swap, codec, ram)", key);
        if (strcmp(value, "none") == 0)
                c->limit = 0;
        else if (size_parse(value, &c->limit) < 0)
                return wrong(r, line, "limit is not a size (say 256M), nor none", value);
        else if (c->limit < BUDGET_MIN_LIMIT)
                return wrong(r, line, "the limit is below the least one, 16M", value);
        return 1;
}

static int on_key(void *arg, const char *section, const char *key, const char *value, int line)
{
        struct reading *r = arg;

        if (strcmp(section, "daemon") == 0)
                return daemon_key(r, key, value, line);
        if (strncmp(section, "store ", 6) == 0)
                return store_key(r, section + 6, key, value, line);
        if (strncmp(section, "class ", 6) == 0)
                return class_key(r, section + 6, key, value, line);
        return wrong(r, line, "there is no such section (daemon, store NAME, class NAME)", section);
}

int config_defaults(struct config *out)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        *out = (struct config){
                .workers = cpus < 1 ? 1 :
                           cpus > 4 ? 4 :
                                      (unsigned)cpus,
                .readahead = READAHEAD_MOST,
        };
        if (set_text(&out->socket, VMPAGER_DEFAULT_SOCKET) < 0 ||
            set_text(&out->control, VMPAGER_DEFAULT_CONTROL) < 0 || set_text(&out->state, VMPAGER_DEFAULT_STATE) < 0 ||
            !add_store(out, "default") || set_text(&out->class_.name, "default") < 0) {
                config_clear(out);
                return -ENOMEM;
        }
        return 0;
}

/* The file as ini_parse_stream() reads it. */
struct source {
        FILE *file;
        struct reading *reading;
        int line;
};

/* The library takes an indented line for another value of the key above it: there are none for it. */
static char *outdented(char *line)
{
        size_t blanks = strspn(line, " \t");

        memmove(line, line + blanks, strlen(line + blanks) + 1);
        return line;
}

/* As fgets(3). The library would take the end of a line that does not fit for a line of its own: it gets a comment. */
static char *next_line(char *buf, int size, void *arg)
{
        struct source *s = arg;
        size_t len;
        int c;

        if (!fgets(buf, size, s->file))
                return NULL;
        s->line++;
        len = strlen(buf);
        if (len + 1 < (size_t)size || buf[len - 1] == '\n')
                return outdented(buf);
        c = getc(s->file);
        if (c == EOF || c == '\n')
                return outdented(buf);
        while (c != EOF && c != '\n')
                c = getc(s->file);
        buf[SHOWN_OF_LINE] = '\0';
        wrong(s->reading, s->line, "this line is too long (199 bytes at most); it begins", buf);
        return strcpy(buf, ";\n");
}

int config_read(const char *path, struct config *out, struct error *e)
{
        struct config c;
        struct reading r = { .config = &c, .path = path };
        struct source source = { .reading = &r };
        FILE *f;
        int at, n = config_defaults(&c);

        if (n < 0)
                return error_set(e, n, "no memory for the configuration");
        f = fopen(path, "re");
        if (!f) {
                n = -errno;
                config_clear(&c);
                return error_sys(e, n, "the configuration %s cannot be read", path);
        }
        source.file = f;
        at = ini_parse_stream(next_line, &source, on_key, &r);
        fclose(f);
        if (at > 0)
                wrong(&r, at, "this line is not \"[section]\" or \"key = value\"", "");
        if (at < 0 || r.wrong) {
                config_clear(&c);
                return error_set(e, -EINVAL, "the configuration %s has %d wrong line%s (see above): mend them", path,
                                 r.wrong, r.wrong == 1 ? "" : "s");
        }
        *out = c;
        return 0;
}

int config_check(const struct config *c, uint64_t memory, struct error *e)
{
        char size[32];

        if (c->class_.limit > memory)
                return error_set(e, -EINVAL, "the default class's limit is above this machine's memory, %s: lower it",
                                 size_format(memory, size, sizeof(size)));
        if (strcmp(c->socket, c->control) == 0)
                return error_set(e, -EINVAL, "socket and control are the same, %s: name two sockets", c->socket);
        if (c->class_.ram_percent && (c->class_.has_codec ? c->class_.codec : c->codec).codec == CODEC_NONE)
                return error_set(e, -EINVAL,
                                 "ram= of the class %s needs a codec: pages that are kept in memory are "
                                 "compressed; set codec = lz4",
                                 c->class_.name);
        for (unsigned i = 0; i < c->n_stores; i++) {
                if (c->store[i].path[0] == '\0')
                        return error_set(e, -EINVAL, "the store %s has no path", c->store[i].name);
                if (medium_nbd_is_uri(c->store[i].path)) {
                        int r = medium_nbd_check_uri(c->store[i].name, c->store[i].path, e);

                        if (r < 0)
                                return r;
                }
                for (unsigned k = 0; k < i; k++)
                        if (strcmp(c->store[i].path, c->store[k].path) == 0)
                                return error_set(e, -EINVAL, "the stores %s and %s have the same path, %s: name two",
                                                 c->store[k].name, c->store[i].name, c->store[i].path);
        }
        return 0;
}

void config_clear(struct config *c)
{
        free(c->socket);
        free(c->control);
        free(c->state);
        free(c->tracker);
        for (unsigned i = 0; i < c->n_stores; i++) {
                free(c->store[i].name);
                free(c->store[i].path);
        }
        free(c->class_.name);
        *c = (struct config){ 0 };
}
