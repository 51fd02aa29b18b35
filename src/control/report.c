/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The statistics as JSON. The names are fixed (vmpagerctl(1)): what is not measured by this build or on this
 * kernel is null, never a number that looks as if it had been.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "control/server.h"
#include "store/store.h"
#include "util/log.h"

static void put(struct json_object *o, const char *name, uint64_t value)
{
        json_object_object_add(o, name, json_object_new_uint64(value));
}

static void put_null(struct json_object *o, const char *name)
{
        json_object_object_add(o, name, NULL);
}

static void put_us(struct json_object *o, const char *name, uint64_t ns)
{
        json_object_object_add(o, name, json_object_new_double((double)(ns / 10) / 100));
}

static struct json_object *times(const struct quantiles *q)
{
        struct json_object *o = json_object_new_object();

        put(o, "count", q->count);
        put_us(o, "p50", q->p50);
        put_us(o, "p90", q->p90);
        put_us(o, "p99", q->p99);
        put_us(o, "p999", q->p999);
        put_us(o, "max", q->max);
        return o;
}

static struct json_object *no_times(void)
{
        static const char *const name[] = { "count", "p50", "p90", "p99", "p999", "max" };
        struct json_object *o = json_object_new_object();

        for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
                put_null(o, name[i]);
        return o;
}

static struct json_object *faults(const struct space_stats *st)
{
        struct json_object *o = json_object_new_object();

        put(o, "total", st->faults);
        put(o, "zero", st->served[FAULT_ZERO]);
        put(o, "standby", st->served[FAULT_STANDBY]);
        put(o, "ram", st->served[FAULT_RAM]);
        put(o, "disk", st->served[FAULT_DISK]);
        put(o, "stale", st->served[FAULT_STALE]);
        return o;
}

static struct json_object *client(const struct client_snapshot *c)
{
        struct json_object *o = json_object_new_object();

        put(o, "pid", (uint64_t)c->pid);
        json_object_object_add(o, "comm", json_object_new_string(c->comm));
        json_object_object_add(o, "agent", json_object_new_boolean(c->attended));
        put(o, "limit_bytes", c->limit_bytes);
        put(o, "swap_limit_bytes", c->swap_limit_bytes);
        put(o, "resident_bytes", c->resident_bytes);
        put(o, "peak_resident_bytes", c->peak_resident_bytes);
        put(o, "stored_pages", c->stored_pages);
        put(o, "kept_pages", c->kept_pages);
        put(o, "ram_bytes", c->ram_bytes);
        put(o, "evicted_pages", c->stats.evicted_pages);
        put(o, "written_pages", c->stats.written_pages);
        put(o, "clean_evictions", c->stats.clean_evictions);
        put(o, "prefetched_pages", c->prefetched_pages);
        put(o, "prefetch_hits", c->prefetch_hits);
        put(o, "prefetch_wasted", c->prefetch_waste);
        put(o, "poisoned_pages", c->stats.poisoned_pages);
        put(o, "standby_pages", c->standby_pages);
        put(o, "stalled_faults", c->stats.stalls);
        put(o, "over_limit_pages", c->stats.over_limit);
        put(o, "not_evictable", c->stats.not_evictable);
        put(o, "store_full", c->stats.store_full);
        put(o, "swap_full", c->stats.swap_full);
        put(o, "table_bytes", c->table_bytes);
        put(o, "regions", c->regions);
        json_object_object_add(o, "faults", faults(&c->stats));
        json_object_object_add(o, "service_us", times(&c->service));
        json_object_object_add(o, "wait_us", no_times());
        return o;
}

static struct json_object *part(const struct store_part_stats *p)
{
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "name", json_object_new_string(p->name));
        put(o, "disk_bytes", p->bytes);
        put(o, "disk_capacity_bytes", p->capacity_bytes);
        put(o, "disk_read_bytes", p->read_bytes);
        put(o, "disk_written_bytes", p->written_bytes);
        put(o, "read_errors", p->read_errors);
        put(o, "write_errors", p->write_errors);
        json_object_object_add(o, "away", json_object_new_boolean(p->away));
        return o;
}

static struct json_object *store(struct server *s)
{
        struct json_object *o = json_object_new_object(), *parts = json_object_new_array();
        struct store_stats st;

        store_stats(s->store, &st);
        put(o, "ram_bytes", st.ram_bytes);
        put(o, "disk_bytes", st.disk_bytes);
        put(o, "disk_retired_bytes", st.disk_retired_bytes);
        put(o, "disk_capacity_bytes", st.disk_capacity_bytes);
        put(o, "disk_free_long_bytes", st.disk_free_long_bytes);
        put(o, "disk_free_longest_bytes", st.disk_free_longest_bytes);
        put(o, "disk_free_runs", st.disk_free_runs);
        put(o, "disk_written_bytes", st.disk_written_bytes);
        put(o, "put_bytes", st.put_bytes);
        put(o, "discarded_bytes", st.discarded_bytes);
        put(o, "discarding_bytes", st.discarding_bytes);
        put(o, "discard_errors", st.discard_errors);
        put(o, "moved_pages", st.moved_pages);
        put(o, "read_errors", st.read_errors);
        put(o, "write_errors", st.write_errors);
        put(o, "checksum_errors", st.checksum_errors);
        for (unsigned i = 0; i < st.n_parts; i++)
                json_object_array_add(parts, part(&st.part[i]));
        json_object_object_add(o, "parts", parts);
        return o;
}

static bool has_ended(const struct grant *grant, uint64_t serial)
{
        for (size_t i = 0; grant && i < grant->n_ended; i++)
                if (grant->ended[i].serial == serial)
                        return true;
        return false;
}

struct json_object *report_stats(struct server *s, const struct grant *grant, pid_t pid)
{
        struct json_object *o = json_object_new_object(), *list = json_object_new_array();

        json_object_object_add(o, "version", json_object_new_string(PACKAGE_VERSION));
        json_object_object_add(o, "tracker", json_object_new_string(s->tracker));
        put_null(o, "probes");
        json_object_object_add(o, "store", store(s));
        for (unsigned w = 0; w < s->n_workers; w++) {
                struct client_snapshot *v = NULL;
                int n = worker_snapshots(&s->workers[w], &v);

                server_take_ended(s);
                for (int i = 0; i < n; i++)
                        if ((!grant || v[i].grant == grant->terms.grant) && (!pid || v[i].pid == pid) &&
                            !has_ended(grant, v[i].serial))
                                json_object_array_add(list, client(&v[i]));
                free(v);
        }
        if (grant)
                for (size_t i = 0; i < grant->n_ended; i++)
                        json_object_array_add(list, client(&grant->ended[i]));
        json_object_object_add(o, "clients", list);
        return o;
}
