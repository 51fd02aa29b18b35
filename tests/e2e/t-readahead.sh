#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Read-ahead: a program reads three times its limit up, down, in strides, as a merge does, with threads and at random.
# Each byte is compared. In order, few pages are waited for; at random, few are read that nobody has asked for.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

MIB=96 LIMIT=32M
PAGES=$((MIB * 256))

# reads NAME ORDER...: reads in these orders; the statistics are in NAME.json.
reads() {
        local name=$1
        shift
        "${RUN[@]}" --limit $LIMIT --stats "$name.json" "$HELPERS/read-order" $MIB "$@" >"$name.out" ||
                fail "$name: read-order: exit status $?: $(cat "$name.out")"
        cat "$name.out"
        jq -c '.clients[0] | {disk: .faults.disk, prefetched_pages, prefetch_hits, prefetch_wasted, evicted_pages}' "$name.json"
        check_num "$name: poisoned pages" "$(json "$name.json" '.clients[0].poisoned_pages')" -eq 0
        "$VMPAGERCTL" stats --json >after.json
        check_num "$name: bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
}

# in_order NAME ORDER: two passes in an order. A window that nobody went through to its end is left at the end of each
# stream, and the and threads get in each other's way; hence "an eighth" and "half".
in_order() {
        local disk pages hits wasted
        reads "$@" "$2"
        disk=$(json "$1.json" '.clients[0].faults.disk')
        pages=$(json "$1.json" '.clients[0].prefetched_pages')
        hits=$(json "$1.json" '.clients[0].prefetch_hits')
        wasted=$(json "$1.json" '.clients[0].prefetch_wasted')
        check_num "$1: pages that were waited for" "$disk" -le $((2 * PAGES / 8))
        check_num "$1: pages that came along" "$pages" -ge $((PAGES / 2))
        check_num "$1: of these, on the way" "$hits" -ge $((pages * 3 / 4))
        check_num "$1: hits and waste" $((hits + wasted)) -le "$pages"
}

daemon_config 512M none
daemon_start
in_order up up
in_order down down
in_order stride stride=5
in_order merge merge=16
in_order threads threads=3

reads random random=20000
check_num "random: pages that were waited for" "$(json random.json '.clients[0].faults.disk')" -ge 5000
check_num "random: pages that came along" "$(json random.json '.clients[0].prefetched_pages')" -le 2000
daemon_stop

echo "--- readahead = no"
sed -i '/^state = /a readahead = no' vmpagerd.conf
daemon_start
reads off up
check_num "off: pages that were waited for" "$(json off.json '.clients[0].faults.disk')" -ge $((PAGES / 2))
check_num "off: pages that came along" "$(json off.json '.clients[0].prefetched_pages')" -eq 0
