// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The statistics as a person reads them. One rule goes through all of it: a name that is missing or null was
 * not measured and is shown as "-", which is not the same as 0.
 *
 * A program chooses its own comm: what a terminal could take for a command is shown as "?".
 */
#include "vmpagerctl/stats-print.h"

#include <ctype.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/size.h"

#define PAGE_BYTES 4096

struct text {
        char s[64];
};

/* The member, or NULL where it is missing or null. */
static struct json_object *member(struct json_object *of, const char *name)
{
        struct json_object *o;

        return of && json_object_object_get_ex(of, name, &o) ? o : NULL;
}

static bool is_number(struct json_object *o)
{
        return json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
}

static bool number(struct json_object *of, const char *name, uint64_t *out)
{
        struct json_object *o = member(of, name);

        if (!is_number(o))
                return false;
        *out = json_object_get_uint64(o);
        return true;
}

static struct text string(struct json_object *of, const char *name)
{
        struct json_object *o = member(of, name);
        struct text t = { "-" };

        if (o)
                snprintf(t.s, sizeof(t.s), "%s", json_object_get_string(o));
        for (char *p = t.s; *p; p++)
                if (!isprint((unsigned char)*p))
                        *p = '?';
        return t;
}

static struct text count(struct json_object *of, const char *name)
{
        struct text t = { "-" };
        uint64_t n;

        if (number(of, name, &n))
                snprintf(t.s, sizeof(t.s), "%" PRIu64, n);
        return t;
}

static struct text bytes(struct json_object *of, const char *name)
{
        struct text t = { "-" };
        uint64_t n;

        if (number(of, name, &n))
                size_format(n, t.s, sizeof(t.s));
        return t;
}

/* A limit of 0 is none. */
static struct text limit(struct json_object *of, const char *name)
{
        struct text t = { "none" };
        uint64_t n;

        return number(of, name, &n) && !n ? t : bytes(of, name);
}

/* A number of pages, and what it is in bytes. */
static struct text pages(struct json_object *of, const char *name)
{
        struct text t = { "-" };
        char size[32];
        uint64_t n;

        if (number(of, name, &n))
                snprintf(t.s, sizeof(t.s), "%" PRIu64 " (%s)", n, size_format(n * PAGE_BYTES, size, sizeof(size)));
        return t;
}

static struct text share(uint64_t part, uint64_t whole)
{
        struct text t = { "-" };

        if (whole)
                snprintf(t.s, sizeof(t.s), "%.1f%%", 100.0 * (double)part / (double)whole);
        return t;
}

/* A time that JSON has in microseconds. */
static struct text micros(struct json_object *of, const char *name)
{
        struct json_object *o = member(of, name);
        struct text t = { "-" };

        if (is_number(o))
                duration_format((uint64_t)(json_object_get_double(o) * 1000.0), t.s, sizeof(t.s));
        return t;
}

/* How what is free lies, and how much was written for what was put; nothing of a daemon that does not say it. */
static void print_space(FILE *to, struct json_object *store)
{
        uint64_t used, capacity, in_long, runs, written, put, moved, discarded, errors;
        char size[32];

        if (number(store, "disk_bytes", &used) && number(store, "disk_capacity_bytes", &capacity) &&
            number(store, "disk_free_long_bytes", &in_long) && number(store, "disk_free_runs", &runs))
                fprintf(to, "         free %s (%s of it in runs of 64K and more)   runs %" PRIu64 "   longest %s\n",
                        size_format(capacity - used, size, sizeof(size)), share(in_long, capacity - used).s, runs,
                        bytes(store, "disk_free_longest_bytes").s);
        if (number(store, "disk_written_bytes", &written) && number(store, "put_bytes", &put))
                fprintf(to, "         written %s for %s of pages put (%s)", bytes(store, "disk_written_bytes").s,
                        bytes(store, "put_bytes").s, share(written, put).s);
        else
                return;
        if (number(store, "moved_pages", &moved))
                fprintf(to, "   pages moved %" PRIu64, moved);
        if (number(store, "discarded_bytes", &discarded) && discarded)
                fprintf(to, "   discarded %s", bytes(store, "discarded_bytes").s);
        if (number(store, "discard_errors", &errors) && errors)
                fprintf(to, " (%" PRIu64 " failed)", errors);
        fputc('\n', to);
}

/* Where there are several, each of them, and what it has failed. */
static void print_parts(FILE *to, struct json_object *store)
{
        struct json_object *parts = member(store, "parts");
        size_t n = json_object_is_type(parts, json_type_array) ? json_object_array_length(parts) : 0;

        for (size_t i = 0; n > 1 && i < n; i++) {
                struct json_object *p = json_object_array_get_idx(parts, i), *away = member(p, "away");
                uint64_t reads = 0, writes = 0;

                fprintf(to, "         %s: %s of %s   read %s   written %s", string(p, "name").s,
                        bytes(p, "disk_bytes").s, bytes(p, "disk_capacity_bytes").s, bytes(p, "disk_read_bytes").s,
                        bytes(p, "disk_written_bytes").s);
                if (number(p, "read_errors", &reads) && number(p, "write_errors", &writes) && reads + writes)
                        fprintf(to, "   failed %" PRIu64 " reads, %" PRIu64 " writes", reads, writes);
                fputs(json_object_get_boolean(away) ? "   AWAY\n" : "\n", to);
        }
}

static void print_store(FILE *to, struct json_object *store)
{
        uint64_t used, capacity, retired, reads, writes, checksums;

        fprintf(to, "store    disk %s of %s", bytes(store, "disk_bytes").s, bytes(store, "disk_capacity_bytes").s);
        if (number(store, "disk_bytes", &used) && number(store, "disk_capacity_bytes", &capacity))
                fprintf(to, " (%s)", share(used, capacity).s);
        fprintf(to, "   ram %s\n", bytes(store, "ram_bytes").s);
        print_space(to, store);
        print_parts(to, store);
        if (number(store, "disk_retired_bytes", &retired) && retired)
                fprintf(to, "         %s are not used again: a server that was lost may still write there\n",
                        bytes(store, "disk_retired_bytes").s);
        if (number(store, "read_errors", &reads) && number(store, "write_errors", &writes) &&
            number(store, "checksum_errors", &checksums) && reads + writes + checksums)
                fprintf(to,
                        "         ERRORS: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64
                        " pages that were not what was written\n",
                        reads, writes, checksums);
}

static void print_faults(FILE *to, struct json_object *faults)
{
        static const struct {
                const char *name, *from;
        } served[] = {
                { "zero", "filled with zeros, never stored" },
                { "standby", "on its way out, not yet written" },
                { "ram", "from the store in memory" },
                { "disk", "from the store on disk" },
        };
        uint64_t total = 0, n;

        number(faults, "total", &total);
        fprintf(to, "  faults     %s\n", count(faults, "total").s);
        for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
                struct text part = { "-" };

                if (number(faults, served[i].name, &n))
                        part = share(n, total);
                fprintf(to, "    %-8s %12s %7s  %s\n", served[i].name, count(faults, served[i].name).s, part.s,
                        served[i].from);
        }
}

static void print_times(FILE *to, const char *title, struct json_object *t)
{
        if (!member(t, "count")) {
                fprintf(to, "  %-10s -\n", title);
                return;
        }
        fprintf(to, "  %-10s p50 %s  p99 %s  p99.9 %s  max %s  (%s faults)\n", title, micros(t, "p50").s,
                micros(t, "p99").s, micros(t, "p999").s, micros(t, "max").s, count(t, "count").s);
}

static bool has_no_agent(struct json_object *c)
{
        struct json_object *agent = member(c, "agent");

        return json_object_is_type(agent, json_type_boolean) && !json_object_get_boolean(agent);
}

static void print_client(FILE *to, struct json_object *c)
{
        uint64_t poisoned = 0, swap;

        fprintf(to, "\n%s %s\n", count(c, "pid").s, string(c, "comm").s);
        if (has_no_agent(c))
                fprintf(to, "  NO AGENT   its faults are served, and none of it can be evicted\n");
        fprintf(to, "  memory     limit %s  resident %s  peak %s\n", limit(c, "limit_bytes").s,
                bytes(c, "resident_bytes").s, bytes(c, "peak_resident_bytes").s);
        fprintf(to, "  pages      stored %s  in memory %s  evicted %s  written %s\n", pages(c, "stored_pages").s,
                bytes(c, "ram_bytes").s, count(c, "evicted_pages").s, count(c, "written_pages").s);
        fprintf(to, "             evicted clean %s  prefetched %s  of these used %s  wasted %s\n",
                count(c, "clean_evictions").s, count(c, "prefetched_pages").s, count(c, "prefetch_hits").s,
                count(c, "prefetch_wasted").s);
        if (number(c, "swap_limit_bytes", &swap) && swap)
                fprintf(to, "  swap       %s at most, found full %s times\n", bytes(c, "swap_limit_bytes").s,
                        count(c, "swap_full").s);
        if (number(c, "poisoned_pages", &poisoned) && poisoned)
                fprintf(to, "  LOST       %" PRIu64 " pages: to read one is a SIGBUS; see vmpagerd's log\n", poisoned);
        print_faults(to, member(c, "faults"));
        print_times(to, "served in", member(c, "service_us"));
        print_times(to, "waited", member(c, "wait_us"));
}

void stats_print(FILE *to, struct json_object *stats)
{
        struct json_object *clients = member(stats, "clients");
        size_t n = json_object_is_type(clients, json_type_array) ? json_object_array_length(clients) : 0;

        fprintf(to, "vmpagerd %s   tracker %s   probes %s\n", string(stats, "version").s, string(stats, "tracker").s,
                string(stats, "probes").s);
        print_store(to, member(stats, "store"));
        if (!n)
                fprintf(to, "\nno programs\n");
        for (size_t i = 0; i < n; i++)
                print_client(to, json_object_array_get_idx(clients, i));
}
