#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the store does wrong: each page that it cannot give back is SIGBUS and said, no other comes to harm, and who does
# not need it goes on meanwhile. The errors are made at the daemon's fault points (src/util/faultpoint.h).
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

PAGES=$((64 * 256))

# with FAULTPOINTS [READAHEAD]: a daemon that has them.
with() {
        [ -z "$daemon_pid" ] || daemon_stop
        : >vmpagerd.log
        export VMPAGER_FAULTPOINTS=$1
        daemon_config 1G 16M
        sed -i "/^state = /a readahead = ${2:-yes}" vmpagerd.conf
        daemon_start >/dev/null
        unset VMPAGER_FAULTPOINTS
}

# found NAME WHAT: how many pages of that program were so.
found() {
        sed -n "s/^$2 //p" "$1.out"
}

# runs NAME SIGBUS: fills 64 MiB under a limit of 16 and reads all; so many pages cannot be read, the others are right.
runs() {
        echo | "${RUN[@]}" --limit 16M --stats "$1.json" "$HELPERS/flipped" 64 5ca1ab1e >"$1.out" ||
                fail "$1: exit status $?: $(cat "$1.out")"
        check_eq "$1: pages that could not be read" "$(found "$1" sigbus)" "$2"
        check_eq "$1: right pages" "$(found "$1" right)" $((PAGES - $2))
        check_eq "$1: wrong pages" "$(found "$1" wrong)" 0
        check_num "$1: poisoned pages" "$(total "$1.json" .poisoned_pages)" -eq "$2"
}

# errors NAME: that count of the store's.
errors() {
        "$VMPAGERCTL" stats --json | jq -er ".store.$1"
}

echo "--- writes fail"
with store-write=errno:EIOx40
runs failing-writes 0
check_eq "write errors" "$(errors write_errors)" 40
check_match "the log" "$(cat vmpagerd.log)" 'pages could not be written to the store \(error 5\); they stay in memory'

echo "--- reads fail"
with store-read=errno:EIOx25 no
runs failing-reads 25
check_eq "read errors" "$(errors read_errors)" 25
check_match "the log" "$(cat vmpagerd.log)" \
        'page 0x[0-9a-f]+ is lost: the store could not read location [0-9]+: error 5; the client gets SIGBUS'
runs another 0

echo "--- reads of many fail: only those that a page is read by alone cost one, and most bring many by now"
with store-read=errno:EIO@200x25
echo | "${RUN[@]}" --limit 16M --stats many.json "$HELPERS/flipped" 64 5ca1ab1e >many.out ||
        fail "many: exit status $?: $(cat many.out)"
cat many.out
check_num "many: pages that could not be read" "$(found many sigbus)" -lt 25
check_eq "many: right pages" "$(found many right)" $((PAGES - $(found many sigbus)))
check_eq "many: wrong pages" "$(found many wrong)" 0
check_eq "read errors" "$(errors read_errors)" 25
runs another 0

echo "--- reads and writes are cut short"
with store-read=short:1024x50,store-write=short:8192x50
runs short 0
check_eq "errors" "$(($(errors read_errors) + $(errors write_errors)))" 0

echo "--- what is read is wrong, and right the second time"
with store-check=errno:EIOx1
runs passing 0
check_eq "checksum errors" "$(errors checksum_errors)" 1
check_eq "read errors" "$(errors read_errors)" 0

echo "--- a read takes long"
with store-read=delay:15sx1
echo | "${RUN[@]}" --limit 16M "$HELPERS/flipped" 64 5ca1ab1e >slow.out &
slow=$!
wait_for 30 grep -q filled slow.out
"${RUN[@]}" --limit 64M "$HELPERS/fill" 40 >other.out || fail "fill: exit status $?: $(cat other.out)"
check_num "wrong pages of the other" "$(value_of other.out wrong_pages)" -eq 0
check_eq "what the slow one has read by then" "$(found slow right)" ""
wait $slow || fail "the slow one: exit status $?"
check_eq "right pages of the slow one" "$(found slow right)" $PAGES
