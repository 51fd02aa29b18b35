#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# What a program may have in the store at once: at that bound it waits, or grows, as with a full store, goes on when
# pages have come back, never gets a wrong byte, and nobody else notices.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
skip_without jq "$PYTHON"
cd "$TESTDIR"

# begin POLICY SWAP: a daemon with programs of 32M, and a store with more room than they may have.
begin() {
        daemon_config 512M 32M "on_full = $1" "[class default]" "swap = $2"
        : >vmpagerd.log
        daemon_start
}

# counter PID NAME
counter() {
        "$VMPAGERCTL" stats "$1" --json | jq -er ".clients[0].$2"
}

found_full() {
        [ "$(counter "$1" swap_full)" -ge 1 ]
}

store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq -er .store.disk_bytes)" = 0 ]
}

# full MIB MORE [OPTION...]: starts swapped, and waits until it has as much in the store as it may. Sets pid, and run.
full() {
        local sizes=("$1" "$2")
        shift 2
        rm -f go out
        mkfifo go
        "${RUN[@]}" "$@" --stats stats.json "$HELPERS/swapped" "${sizes[@]}" <>go >out 2>err &
        run=$!
        wait_for 60 grep -q filled out
        pid=$("$VMPAGERCTL" stats --json | jq -er '[.clients[] | select(.comm == "swapped")][0].pid')
        # shellcheck disable=SC2016 # expanded when it is run
        at_exit 'gone "$pid" || kill -KILL "$pid"'
        wait_for 60 found_full "$pid"
}

# ended PAGES: it ends, and all of its pages were right.
ended() {
        wait "$run" || fail "swapped: exit status $?: $(cat out err)"
        check_eq "right pages" "$(value_of out right)" "$1"
        check_eq "wrong pages" "$(value_of out wrong)" 0
        wait_for 10 store_empty
}

said_once() {
        check_num "lines that say it" "$(grep -c "may not have more (swap)" vmpagerd.log)" -eq 1
        check_match "the log" "$(cat vmpagerd.log)" "client $pid: it has 48M in the store, and may not have more"
        check_eq "errors in the log" "$(grep -E 'error:|killed' vmpagerd.log || true)" ""
}

echo "--- wait: 112 MiB in 32 MiB of memory and 48 MiB of swap"
begin wait 48M
full 48 64
check_num "its swap" "$(counter "$pid" swap_limit_bytes)" -eq $((48 << 20))
check_num "its pages in the store" "$(counter "$pid" stored_pages)" -le $((48 * 256))
check_num "bytes in the store" "$("$VMPAGERCTL" stats --json | jq -er .store.disk_bytes)" -le $((48 << 20))
check_num "times that the store was full" "$(counter "$pid" store_full)" -eq 0
check_match "what is printed" "$("$VMPAGERCTL" stats "$pid")" 'swap +48M at most, found full [1-9]'

echo "--- others have theirs"
"${RUN[@]}" --stats other.json "$HELPERS/fill" 72 >other.out || fail "fill: exit status $?: $(cat other.out)"
check_num "wrong pages" "$(value_of other.out wrong_pages)" -eq 0
check_num "evicted pages" "$(json other.json '.clients[0].evicted_pages')" -ge $((36 * 256))
check_num "times that its swap was full" "$(json other.json '.clients[0].swap_full')" -eq 0
gone "$pid" && fail "the program has ended: $(cat out err)"
grep -q right out && fail "it has not waited"

echo "--- it goes on when pages have come back"
echo >go
ended $((112 * 256))
check_num "pages beyond the limit" "$(json stats.json '.clients[0].over_limit_pages')" -eq 0
said_once

echo "--- a grant may ask for less, and not for more"
full 24 40 --swap 16M
check_num "its swap" "$(counter "$pid" swap_limit_bytes)" -eq $((16 << 20))
check_num "its pages in the store" "$(counter "$pid" stored_pages)" -le $((16 * 256))
echo >go
ended $((64 * 256))
one_line 125 'above what the configuration of vmpagerd gives each program, 48M' "${RUN[@]}" --swap 49M true
one_line 125 '--swap 4K: too small' "${RUN[@]}" --swap 4K true
one_line 125 '--swap much: not a size' "${RUN[@]}" --swap much true

echo "--- ends of protocol 1.0, which knew of no swap"
check_eq "the limit granted" "$("$PYTHON" "$here/other-protocol" client-1.0 "$VMPAGER_SOCKET")" $((64 << 20))
"$PYTHON" "$here/other-protocol" server-1.0 old.sock &
old=$!
# shellcheck disable=SC2016 # expanded when it is run
at_exit 'kill "$old" 2>/dev/null'
wait_for 10 test -e old.sock
one_line 125 'speaks protocol 1.0, which knows no --swap' env VMPAGER_SOCKET=old.sock "${RUN[@]}" --swap 1M true
kill "$old"

echo "--- wait: forked children have their parent's pages, and their own"
"${RUN[@]}" --limit 20M --stats stats.json "$HELPERS/fork-verify" 48 2 1 fork >out 2>err ||
        fail "fork-verify: exit status $?: $(cat out err vmpagerd.log)"
check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
check_num "swaps of its processes" "$(json stats.json '[.clients[].swap_limit_bytes] | min')" -eq $((48 << 20))
wait_for 10 store_empty
daemon_stop

echo "--- grow: 112 MiB in 32 MiB of memory and 48 MiB of swap"
begin grow 48M
full 48 64
"${RUN[@]}" "$HELPERS/fill" 72 >other.out || fail "fill: exit status $?: $(cat other.out)"
check_num "wrong pages" "$(value_of other.out wrong_pages)" -eq 0
echo >go
ended $((112 * 256))
check_num "pages beyond the limit" "$(json stats.json '.clients[0].over_limit_pages')" -ge $((16 * 256))
check_num "its peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -ge $((48 << 20))
said_once
check_match "the log" "$(cat vmpagerd.log)" 'as much in the store as it may \(swap\), with on_full = grow: it has grown [0-9]+ MiB'

echo "--- grow: children of a program that has as much there as it may"
"${RUN[@]}" --limit 20M --swap 12M --stats stats.json "$HELPERS/fork-verify" 48 2 1 fork >out 2>err ||
        fail "fork-verify: exit status $?: $(cat out err vmpagerd.log)"
check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
check_num "times that a swap was full" "$(total stats.json .swap_full)" -ge 1
wait_for 10 store_empty
