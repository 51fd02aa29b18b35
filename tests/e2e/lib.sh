# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of "vmpagerctl run" and of whole programs share, on top of tests/lib.sh.

# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

export PYTHON=/usr/bin/python3 # the distribution's, whatever else is in PATH
# shellcheck disable=SC2034 # for the tests
RUN=("$VMPAGERCTL" run)

# The names of private daemons' directories and stores.
private_traces() {
        local path
        for path in /run/vmpager-run-* /var/tmp/vmpager-run-*.store; do
                [ ! -e "$path" ] || echo "$path"
        done
}

# Whether a trace is of a daemon that works for somebody else on this machine: one that lives, without our mark.
others_trace() {
        local name=${1##*/} pid
        name=${name%.store}
        for pid in $(pgrep -f -- "--config /run/$name/vmpager.conf"); do
                if ! gone "$pid" && ! grep -qszF "VMPAGER_TEST_ID=${VMPAGER_TEST_ID:-}" "/proc/$pid/environ"; then
                        return 0
                fi
        done
        return 1
}

traces_before=" $(private_traces | paste -sd ' ') "

# Succeeds when no directory and no store of a private daemon of this test is there.
no_traces() {
        local path
        for path in $(private_traces); do
                [[ $traces_before == *" $path "* ]] || others_trace "$path" || return 1
        done
}

# The same, with time for what was told to go.
check_no_traces() {
        wait_for 15 no_traces
}

# one_line STATUS PATTERN COMMAND...: the command fails with that status and one line on stderr that matches, prints nothing
# on stdout, and leaves nothing behind.
one_line() {
        local status=$1 pattern=$2 got=0
        shift 2
        "$@" >"$TESTDIR/out" 2>"$TESTDIR/err" </dev/null || got=$?
        check_eq "the exit status of '$*' ($(cat "$TESTDIR/err"))" "$got" "$status"
        check_match "the message of '$*'" "$(cat "$TESTDIR/err")" "$pattern"
        check_eq "the number of lines from '$*' ($(cat "$TESTDIR/err"))" "$(wc -l <"$TESTDIR/err")" 1
        check_eq "stdout of '$*'" "$(cat "$TESTDIR/out")" ""
        check_no_traces
}

# The value of a "NAME VALUE" line in a file.
value_of() {
        sed -nE "s/^$2 //p" "$1" | grep . || fail "no $2 in $1: $(cat "$1")"
}

# The sum of a number over all programs in a file of statistics.
total() {
        json "$1" "[.clients[] | $2] | add"
}

# The pages that all programs in a file of statistics got back from the store: those they waited for, and what came along.
fetched() {
        total "$1" '(.faults.disk + .prefetched_pages)'
}

# Ends a process that this test started, and waits until it is gone.
end_process() {
        kill -s "${2:-TERM}" "$1"
        wait_for 15 gone "$1"
}

# paged_cases PROGRAM...: runs programs of cases (paged.h), each natively, then under a daemon with a limit of 32M, and
# says what became of each case.
paged_cases() {
        local program
        if [ -z "$daemon_pid" ]; then
                daemon_config 1G 32M
                daemon_start >/dev/null
        fi
        for program in "$@"; do
                "$HELPERS/$program" -n >native || {
                        cat native
                        fail "$program expects what Linux does not do"
                }
                echo "--- $program"
                "${RUN[@]}" --stats stats.json "$HELPERS/$program" || fail "a case of $program failed: exit status $?"
                check_num "evicted pages" "$(total stats.json .evicted_pages)" -ge 10000
                check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
                "$VMPAGERCTL" stats --json >after.json
                check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
        done
        if grep -E 'error:|killed' "$TESTDIR/vmpagerd.log"; then
                fail "the daemon has complaints"
        fi
}
