#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bits turn over in the store under running programs: each damaged page is found out, and no other comes to harm.
. "$(dirname "$0")/lib.sh"
skip_without jq
skip_without python3
cd "$TESTDIR"

FLIPS=1000
seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"

# with LINE...: a daemon with these lines in its store's section.
with() {
        [ -z "$daemon_pid" ] || daemon_stop
        daemon_config 1G 16M
        for line; do
                sed -i "/^path = /a $line" vmpagerd.conf
        done
        daemon_start >/dev/null
}

with
store=$(sed -n 's/^path *= *//p' vmpagerd.conf)

# begin NAME TAG: a program of 64 MiB with a limit of 16, which waits for a line.
begin() {
        rm -f "$1.go" "$1.out"
        mkfifo "$1.go"
        "${RUN[@]}" --limit 16M --stats "$1.json" "$HELPERS/flipped" 64 "$2" <>"$1.go" >"$1.out" 2>"$1.err" &
        eval "$1=$!"
        wait_for 60 grep -q filled "$1.out"
}

is_written() {
        "$VMPAGERCTL" stats --json | jq -e '[.clients[] | .written_pages == .evicted_pages] | all'
}

begin victim 5ca1ab1e
begin other 0ddba11
wait_for 30 is_written
"$SRCDIR/tests/e2e/flip-bits.py" "$store" 5ca1ab1e $FLIPS "$seed" >flips
cat flips

echo >victim.go
# shellcheck disable=SC2154 # set by begin
wait "$victim" || fail "the one with damaged pages: exit status $?: $(cat victim.out victim.err)"
echo >other.go
# shellcheck disable=SC2154 # set by begin
wait "$other" || fail "the other: exit status $?: $(cat other.out other.err)"
cat victim.out
check_eq "pages that could not be read" "$(sed -n 's/^sigbus //p' victim.out)" $FLIPS
check_eq "wrong pages" "$(sed -n 's/^wrong //p' victim.out)" 0
check_eq "right pages" "$(sed -n 's/^right //p' victim.out)" $((64 * 256 - FLIPS))
check_eq "pages of the other that could not be read" "$(sed -n 's/^sigbus //p' other.out)" 0
check_eq "right pages of the other" "$(sed -n 's/^right //p' other.out)" $((64 * 256))
check_eq "poisoned pages" "$(total victim.json .poisoned_pages)" $FLIPS
"$VMPAGERCTL" stats --json >after.json
# Each is read twice before it is given up; and more often where it has come along with others.
check_num "checksum errors" "$(json after.json .store.checksum_errors)" -ge $((2 * FLIPS))
check_num "read errors" "$(json after.json .store.read_errors)" -ge $FLIPS
check_match "the log" "$(cat vmpagerd.log)" \
        "page 0x[0-9a-f]+ is lost: what the store has at location [0-9]+ is not what was written there"
echo "$FLIPS flips hit, $FLIPS detected, 0 wrong bytes"

# Of packed pages it is not known beforehand which program has one. A flip may unpack to the same bytes: words that count up
# are matches of lz4, which are to be found at many distances.
for kept in "codec = lz4" "codec = zstd" "encrypt = yes" "codec = lz4;encrypt = yes"; do
        echo "--- $kept"
        IFS=';' read -ra lines <<<"$kept"
        with "${lines[@]}"
        store=$(sed -n 's/^path *= *//p' vmpagerd.conf)
        begin victim 5ca1ab1e
        begin other 0ddba11
        wait_for 30 is_written
        "$SRCDIR/tests/e2e/flip-sectors.py" "$store" $FLIPS "$seed"
        echo >victim.go
        echo >other.go
        wait "$victim" || fail "$kept: exit status $?: $(cat victim.out victim.err)"
        wait "$other" || fail "$kept: exit status $?: $(cat other.out other.err)"
        sigbus=$(($(sed -n 's/^sigbus //p' victim.out) + $(sed -n 's/^sigbus //p' other.out)))
        right=$(($(sed -n 's/^right //p' victim.out) + $(sed -n 's/^right //p' other.out)))
        echo "$FLIPS flips hit: $sigbus detected, $((FLIPS - sigbus)) without an effect, 0 wrong bytes"
        check_eq "right pages" "$right" $((2 * 64 * 256 - sigbus))
        case $kept in
        *encrypt*) check_eq "pages that could not be read" "$sigbus" $FLIPS ;;
        *) check_num "pages that could not be read" "$sigbus" -gt $((FLIPS * 3 / 4)) ;;
        esac
        check_num "pages that could not be read" "$sigbus" -le $FLIPS
done
