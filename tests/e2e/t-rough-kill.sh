#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs killed at any moment of evictions and faults: each time the daemon forgets them, and another one stays right.
. "$(dirname "$0")/rough.sh"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"
RANDOM=$seed

client_gone() {
        "$VMPAGERCTL" stats --json | jq -e "all(.clients[]; .pid != $1)"
}

# The store holds what its clients have there, and no more. Both are read while the neighbour works: what differs is
# what is on its way, at most its ring.
store_is_accounted() {
        "$VMPAGERCTL" stats --json | jq -e \
                '(.store.disk_bytes - ([.clients[] | .stored_pages + .kept_pages] | add // 0) * 4096) as $d | $d >= -4194304 and $d <= 4194304'
}

# kill_once ROUND: a program of 64 MiB, killed while it fills its memory or, in every other round, compares it.
kill_once() {
        local run pid
        new_control control
        "${RUN[@]}" --limit "$ROUGH_LIMIT" -- "$HELPERS/rough-files" walk-threads "$TESTDIR/control" $ROUGH_MIB \
                >out 2>err </dev/null &
        run=$!
        wait_for 15 begun
        pid=$(control_word control 0)
        [ $(($1 % 2)) = 0 ] || wait_for 60 compares $((RANDOM % 8000))
        sleep "$(printf '0.%06d' $((RANDOM * 8)))" # poll: any moment will do
        kill -KILL "$pid"
        wait $run && fail "no exit status of a killed program"
        wait_for 15 client_gone "$pid"
        wait_for 15 store_is_accounted
}

begun() {
        [ "$(control_word control 0)" != 0 ]
}

compares() {
        [ "$(control_pages control)" -ge "$1" ]
}

kill_many() {
        neighbour_start
        for round in $(seq "$2"); do
                kill_once "$round"
        done
        neighbour_advances
        neighbour_end
        wait_for 15 no_clients
        wait_for 15 store_empty
        echo "ok $1: $2 kills"
}

rough_daemon
kill_many "a store as it is" 16
daemon_stop

# Reads and writes of the store take long: most kills fall into one.
export VMPAGER_FAULTPOINTS=store-write=delay:10ms,store-read=delay:200us
rough_daemon
kill_many "a slow store" 8
