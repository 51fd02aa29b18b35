#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# The limit holds against a program that writes 2 GiB as fast as it can, with one thread and with four; no byte is wrong.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

MIB=1048576
limit=512
allowed=$((limit * MIB / 10 > 32 * MIB ? limit * MIB / 10 : 32 * MIB))
highest=$((limit * MIB + allowed))

# fills NAME OPTION...: runs fill with its memory sampled every 5 ms.
fills() {
        local name=$1 run
        shift
        rm -f pid go
        "${RUN[@]}" --private --limit ${limit}M --stats "$name.json" "$HELPERS/fill" "$@" 2048 pid go >"$name.out" &
        run=$!
        wait_for 30 test -s pid
        "$HELPERS/sampler" "$(cat pid)" 5 go >"$name.samples"
        wait $run || fail "$name: fill: exit status $?: $(cat "$name.out")"
        paste -sd ' ' "$name.out" "$name.samples"
        check_num "$name: the highest resident size" "$(value_of "$name.samples" highest_bytes)" -le $highest
        check_num "$name: the number of samples" "$(value_of "$name.samples" samples)" -ge 100
        check_num "$name: wrong pages" "$(value_of "$name.out" wrong_pages)" -eq 0
        # The daemon's own account
        check_num "$name: peak" "$(json "$name.json" '.clients[0].peak_resident_bytes')" -le $highest
        check_num "$name: evicted pages" "$(json "$name.json" '.clients[0].evicted_pages')" -ge $(((2048 - limit) * 256))
        check_num "$name: pages read from disk" "$(fetched "$name.json")" -ge 1000
}

fills one
check_num "compared pages" "$(value_of one.out verified_pages)" -eq $((2048 * 256))
fills four -t 4 -e 16
check_num "compared pages" "$(value_of four.out verified_pages)" -eq $((2048 * 16))
