# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests with the programs rough-*.c share, on top of lib.sh: programs with 64 MiB of memory under a limit of 16.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROUGH=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
ROUGH_MIB=64
ROUGH_LIMIT=16M
skip_without jq "$PYTHON"
cd "$TESTDIR"

rough_daemon() {
        daemon_config 1G "$ROUGH_LIMIT"
        daemon_start
}

store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq '.store.disk_bytes')" = 0 ]
}

no_clients() {
        [ "$("$VMPAGERCTL" stats --json | jq '.clients | length')" = 0 ]
}

# new_control FILE: what a program and its watcher share.
new_control() {
        rm -f "$1"
        truncate -s 1M "$1"
        chmod 666 "$1"
}

# control_word FILE INDEX: a number of 32 bits of struct control; 0 pid, 1 phase.
control_word() {
        od -An -tu4 -j $(($2 * 4)) -N 4 "$1" | tr -d ' '
}

# control_pages FILE: how many pages the program has compared.
control_pages() {
        od -An -tu8 -j 16 -N 8 "$1" | tr -d ' '
}

# control_wrong FILE: what the program has found wrong.
control_wrong() {
        head -c 504 "$1" | tail -c +25 | tr -d '\0'
}

# control_go FILE: the program may go on to its end.
control_go() {
        printf '\1' | dd "of=$1" bs=1 seek=8 conv=notrunc status=none
}

# What was evicted and fetched by a program that has ended, and that it was enough.
rough_counts() {
        local evicted
        evicted=$(total stats.json .evicted_pages)
        check_num "evicted pages ($1)" "$evicted" -ge $((ROUGH_MIB * 256))
        check_num "pages read from disk ($1)" "$(fetched stats.json)" -ge $((ROUGH_MIB * 128))
        check_num "poisoned pages ($1)" "$(total stats.json .poisoned_pages)" -eq 0
        echo "ok $1: evicted $evicted, fetched $(fetched stats.json)"
}

# rough_case [-a] [-b FIELDS] NAME PROGRAM CASE [PREFIX...]: runs a case under the daemon, behind a command if there is
# one, to its end. With -a its agent may be gone in the meantime; -b: see rough-watch.
rough_case() {
        local option but='' agent='' status=0 run
        OPTIND=1
        while getopts ab: option; do
                case $option in
                a) agent=--no-agent ;;
                b) but=$OPTARG ;;
                *) fail "rough_case: $option" ;;
                esac
        done
        shift $((OPTIND - 1))
        local name=$1 program=$2 case=$3
        shift 3
        new_control control
        "${RUN[@]}" --limit "$ROUGH_LIMIT" --stats stats.json -- "$@" "$HELPERS/$program" "$case" "$TESTDIR/control" \
                $ROUGH_MIB >out 2>err </dev/null &
        run=$!
        "$ROUGH/rough-watch" control $run --but "$but" $agent >watched || {
                rough_end $run
                fail "$name: $(cat watched out err; tail -n 3 vmpagerd.log)"
        }
        wait $run || status=$?
        check_eq "the exit status of $name ($(cat out err))" $status 0
        wait_for 15 store_empty
        rough_counts "$name$(sed 's/^/, /' watched | tr -d '\n')"
}

# Ends what a case has left.
rough_end() {
        local pid
        pid=$(control_word control 0)
        [ "$pid" = 0 ] || gone "$pid" || kill -KILL "$pid"
        wait "$1" || true
}

# --- another program under the same daemon ----------------------------------------------------------

neighbour_run=

# Starts a program that compares its memory until neighbour_end; what it does is seen by neighbour_advances.
neighbour_start() {
        new_control neighbour
        "${RUN[@]}" --limit "$ROUGH_LIMIT" --stats neighbour.json -- "$HELPERS/rough-files" walk-threads \
                "$TESTDIR/neighbour" $ROUGH_MIB >neighbour.out 2>&1 </dev/null &
        neighbour_run=$!
        at_exit neighbour_kill
        wait_for 60 neighbour_is_there
}

neighbour_is_there() {
        [ "$(control_word neighbour 1)" -ge 2 ] || gone "$neighbour_run"
}

neighbour_kill() {
        local pid
        [ -n "$neighbour_run" ] || return 0
        pid=$(control_word neighbour 0)
        gone "$pid" || kill -KILL "$pid"
        wait "$neighbour_run" || true
        neighbour_run=
}

neighbour_at_least() {
        [ "$(control_pages neighbour)" -ge "$1" ] || gone "$neighbour_run"
}

# The neighbour compares an eighth of its memory from now on; three quarters of that are out.
neighbour_advances() {
        wait_for 60 neighbour_at_least $(($(control_pages neighbour) + ROUGH_MIB * 32))
        ! gone "$neighbour_run" || fail "the neighbour has ended: $(control_wrong neighbour; cat neighbour.out)"
}

# Ends it: all that it has is right.
neighbour_end() {
        local status=0
        control_go neighbour
        wait "$neighbour_run" || status=$?
        neighbour_run=
        check_eq "the exit status of the neighbour ($(control_wrong neighbour; cat neighbour.out))" $status 0
        check_num "pages that the neighbour read from disk" "$(fetched neighbour.json)" -ge $((ROUGH_MIB * 128))
}
