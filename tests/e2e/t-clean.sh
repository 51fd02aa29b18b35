#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# What is only read is written once: four passes over twice the limit. What a program writes to between two passes is
# written again, each byte is compared, and the store gets back what it kept.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

MIB=64
PAGES=$((MIB * 256))

# reads NAME ORDER...: reads in these orders; the statistics are in NAME.json.
reads() {
        local name=$1
        shift
        "${RUN[@]}" --limit 32M --stats "$name.json" "$HELPERS/read-order" $MIB "$@" >"$name.out" ||
                fail "$name: read-order: exit status $?: $(cat "$name.out")"
        cat "$name.out"
        jq -c '.clients[0] | {disk: .faults.disk, evicted_pages, written_pages, clean_evictions, kept_pages}' "$name.json"
        check_num "$name: poisoned pages" "$(json "$name.json" '.clients[0].poisoned_pages')" -eq 0
        "$VMPAGERCTL" stats --json >after.json
        check_num "$name: bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
}

daemon_config 512M none
daemon_start
reads read up up down up
check_num "read: written pages" "$(json read.json '.clients[0].written_pages')" -le $((PAGES + PAGES / 8))
check_num "read: evictions without a write" "$(json read.json '.clients[0].clean_evictions')" -ge $PAGES

# Each page is changed in every other pass: half of what goes out has changed.
reads write up write up write up
check_num "write: written pages" "$(json write.json '.clients[0].written_pages')" -ge $((2 * PAGES))
daemon_stop

echo "--- a store with hardly more room than what is out"
sed -i 's/^size = .*/size = 72M/' vmpagerd.conf
rm -f store
daemon_start
reads small up up down up
check_num "small: times that the store was full" "$(json small.json '.clients[0].store_full')" -eq 0
check_num "small: written pages" "$(json small.json '.clients[0].written_pages')" -ge $PAGES
