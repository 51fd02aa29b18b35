/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/snapshot.h"

#include <string.h>

#include "client/session.h"

static struct quantiles quantiles_of(const struct hist *h)
{
        return (struct quantiles){
                .count = hist_count(h),
                .p50 = hist_quantile(h, 0.5),
                .p90 = hist_quantile(h, 0.9),
                .p99 = hist_quantile(h, 0.99),
                .p999 = hist_quantile(h, 0.999),
                .max = hist_max(h),
        };
}

void snapshot_take(struct session *session, struct client_snapshot *out)
{
        const struct space *s = &session->space;

        *out = (struct client_snapshot){
                .serial = session->serial,
                .pid = session->peer.pid,
                .uid = session->peer.uid,
                .attended = session->attended,
                .grant = session->terms.grant,
                /* the space has none between the agent's end and the exec, or end, of the program, which had one */
                .limit_bytes = session->attended ? session->terms.limit : s->budget.limit,
                .swap_limit_bytes = session->terms.swap,
                .resident_bytes = s->budget.resident,
                .peak_resident_bytes = s->budget.peak,
                .stored_pages = s->table.count[PAGE_STORED] + s->table.count[PAGE_FETCHING],
                .ram_bytes = s->budget.packed,
                .kept_pages = s->clean.n,
                .standby_pages = s->table.count[PAGE_STANDBY],
                .table_bytes = arena_bytes(&s->table.arena),
                .regions = s->regions.n,
                .prefetched_pages = s->readahead.pages,
                .prefetch_hits = s->readahead.hits,
                .prefetch_waste = s->readahead.waste,
                .stats = s->stats,
                .service = quantiles_of(&s->service),
        };
        memcpy(out->comm, session->comm, sizeof(out->comm));
}
