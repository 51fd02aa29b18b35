#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
# Threads that drop, move, protect, unmap, map and reallocate memory of four times the limit find every byte right.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"
for workers in 1 2; do
        [ -z "$daemon_pid" ] || daemon_stop
        daemon_config 2G 64M
        sed -i "s/^\[daemon\]/&\nworkers = $workers/" vmpagerd.conf
        daemon_start
        # Two programs under one daemon: what is one's never comes to the other.
        "${RUN[@]}" --limit 32M "$HELPERS/mt-verify" 2 128 15 $((seed + 1)) >other.out &
        other=$!
        "${RUN[@]}" --stats stats.json "$HELPERS/mt-verify" 4 256 15 "$seed" >out || {
                cat out
                fail "workers = $workers, seed $seed: exit status above"
        }
        wait $other || {
                cat other.out
                fail "workers = $workers, seed $((seed + 1)), limit 32M"
        }
        cat out other.out
        check_num "pages read from disk" "$(fetched stats.json)" -ge 1000
        check_num "poisoned pages" "$(json stats.json '.clients[0].poisoned_pages')" -eq 0
        check_num "peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -le $((96 << 20))
        "$VMPAGERCTL" stats --json >after.json
        check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
done
