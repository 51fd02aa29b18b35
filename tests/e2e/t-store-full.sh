#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A full store is said and counted, and never costs a byte: what fits is right, what does not fit waits, others go on.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

daemon_config 64M 32M
daemon_start

store_bytes() {
        "$VMPAGERCTL" stats --json | jq -er .store.disk_bytes
}

store_empty() {
        [ "$(store_bytes)" = 0 ]
}

# counter PID NAME
counter() {
        "$VMPAGERCTL" stats "$1" --json | jq -er ".clients[0].$2"
}

store_found_full() {
        [ "$(counter "$1" store_full)" -ge 1 ]
}

says_full() {
        grep -iE "client $1\b.*store.*full|store.*full.*client $1\b" vmpagerd.log
}

echo "--- 80 MiB in 32 MiB of memory and 64 MiB of store"
"${RUN[@]}" --stats stats.json "$HELPERS/fill" 80 >out || fail "fill: exit status $?: $(cat out)"
check_num "wrong pages" "$(value_of out wrong_pages)" -eq 0
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge $((48 * 256))
wait_for 10 store_empty

echo "--- 160 MiB"
"${RUN[@]}" "$HELPERS/fill" 160 pid go >out 2>&1 &
run=$!
wait_for 30 test -s pid
pid=$(cat pid)
# shellcheck disable=SC2016 # expanded when it is run
at_exit 'gone "$pid" || kill -KILL "$pid"'
touch go
wait_for 60 store_found_full "$pid"
wait_for 10 says_full "$pid"
gone "$pid" && fail "the program has ended: $(cat out)"
"$VMPAGERCTL" stats "$pid" --json | jq -c '.store, .clients[0]'

echo "--- others are served meanwhile"
"${RUN[@]}" --limit 64M "$HELPERS/fill" 40 >other.out || fail "fill: exit status $?: $(cat other.out)"
check_num "wrong pages" "$(value_of other.out wrong_pages)" -eq 0
gone "$pid" && fail "the program has ended: $(cat out)"

echo "--- the program is killed"
kill -KILL "$pid"
wait $run && fail "no exit status of a killed program"
wait_for 10 store_empty
"${RUN[@]}" --stats stats.json "$HELPERS/fill" 80 >out || fail "fill: exit status $?: $(cat out)"
check_num "wrong pages" "$(value_of out wrong_pages)" -eq 0
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge $((48 * 256))

echo "--- on_full = grow: 160 MiB in 32 MiB of memory and 64 MiB of store"
daemon_stop
daemon_config 64M 32M
sed -i 's/^size = .*/&\non_full = grow/' vmpagerd.conf
daemon_start
"${RUN[@]}" --stats stats.json "$HELPERS/fill" 160 >out || fail "fill: exit status $?: $(cat out)"
check_num "wrong pages" "$(value_of out wrong_pages)" -eq 0
check_num "pages beyond the limit" "$(json stats.json '.clients[0].over_limit_pages')" -ge $((32 * 256))
check_num "its peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -ge $((80 << 20))
check_match "the log" "$(cat vmpagerd.log)" 'the store is full, with on_full = grow: it has grown [0-9]+ MiB beyond its limit'
wait_for 10 store_empty
