#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# A program whose pages cannot be taken out does not wait for ever: what a fork had shared is taken back, and what is
# pinned stays beyond the limit.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

daemon_config 1G 24M
daemon_start
"${RUN[@]}" --limit 24M --stats shared.json timeout 60 "$HELPERS/busy-pages" 64 shared "$daemon_pid" || {
        kill -CONT "$daemon_pid"
        fail "pages that a fork had shared"
}
check_num "pages evicted that a fork had shared" "$(total shared.json .evicted_pages)" -ge 10000

# Beside a little that can be taken out: 24 MiB are pinned by a program with a limit of 16.
"${RUN[@]}" --limit 16M --stats pinned.json timeout 60 "$HELPERS/busy-pages" 24 pinned || fail "pinned pages"
check_num "peak with pinned pages" "$(json pinned.json '[.clients[].peak_resident_bytes] | max')" -ge $((24 << 20))
