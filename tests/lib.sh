# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the end-to-end tests share. A test begins with
#
#     #!/bin/bash
#     # One line that says what is shown.
#     . "$(dirname "$0")/../lib.sh"
#
# and is run by tests/run with PREFIX, BUILD, SRCDIR and TESTDIR set. Any command that fails ends it as failed.
set -euo pipefail
: "${PREFIX:?run it by tests/run}" "${BUILD:?}" "${TESTDIR:?}"
export LC_ALL=C

VMPAGERCTL=$PREFIX/bin/vmpagerctl
VMPAGERD=$PREFIX/sbin/vmpagerd
PRELOAD=$PREFIX/lib/vmpager/libvmpager-preload.so
HELPERS=$BUILD/tests/e2e # the programs of tests/e2e/*.c
export VMPAGERCTL VMPAGERD PRELOAD HELPERS

# --- ends --------------------------------------------------------------------------------------

at_exit_commands=()

# Has a command run when the test ends, however it does; the last one given is run first.
at_exit() {
        at_exit_commands=("$*" "${at_exit_commands[@]}")
}

run_at_exit() {
        local status=$? command
        trap - EXIT
        set +e
        for command in "${at_exit_commands[@]}"; do
                eval "$command"
        done
        exit $status
}
trap run_at_exit EXIT
trap 'exit 1' HUP INT TERM
trap 'echo "failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
set -E

fail() {
        echo "failed: $*" >&2
        exit 1
}

# Ends the test as one that cannot run here.
skip() {
        echo "$*"
        exit 77
}

# skip_without COMMAND...: skips unless they are all there.
skip_without() {
        local command
        for command in "$@"; do
                command -v "$command" >/dev/null || skip "$command is not installed"
        done
}

# --- conditions --------------------------------------------------------------------------------

# wait_for SECONDS COMMAND...: until the command succeeds, or the test has failed.
wait_for() {
        local seconds=$1 end=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -le $end ] || fail "not within $seconds s: $*"
                sleep 0.05 # poll
        done
}

# The process has ended, be it that nobody has waited for it yet.
gone() {
        local stat
        { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
        [[ ${stat##*) } == [ZX]* ]]
}

# check_eq WHAT IS WANTED, as text.
check_eq() {
        [ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

# check_num WHAT IS OPERATOR WANTED: with -eq, -ne, -lt, -le, -gt, -ge; fails for what is no number.
check_num() {
        [[ $2 =~ ^-?[0-9]+$ ]] || fail "$1 is '$2', which is no number"
        test "$2" "$3" "$4" || fail "$1 is $2, not $3 $4"
}

# check_match WHAT TEXT REGEX
check_match() {
        grep -qE -- "$3" <<<"$2" || fail "$1 does not match '$3': $2"
}

# refused PATTERN COMMAND...: the command fails, with a message that matches.
refused() {
        local pattern=$1 output
        shift
        if output=$("$@" 2>&1 </dev/null); then
                fail "succeeded, but should not have: $*"
        fi
        check_match "the message of '$*'" "$output" "$pattern"
}

# json FILE FILTER: a value out of a JSON file, with jq; fails when it is null or not there.
json() {
        jq -er "$2" "$1" || fail "no $2 in $1"
}

# --- the daemon --------------------------------------------------------------------------------

daemon_pid=

# daemon_config STORE-SIZE LIMIT [LINE...]: writes $TESTDIR/vmpagerd.conf, a daemon in $TESTDIR with one store and a limit
# for all, and with further lines about the store. VMPAGER_TEST_STORE has one more (say "codec = lz4"), for any test by
# hand. Sets VMPAGER_SOCKET.
daemon_config() {
        mkdir -p "$TESTDIR/run"
        export VMPAGER_SOCKET=$TESTDIR/run/vmpager.sock
        cat >"$TESTDIR/vmpagerd.conf" <<CONFIG
[daemon]
socket = $VMPAGER_SOCKET
control = $TESTDIR/run/control.sock
state = $TESTDIR/run

[store main]
path = $TESTDIR/store
size = $1
${VMPAGER_TEST_STORE-}
$(printf '%s\n' "${@:3}")

[class default]
limit = $2
CONFIG
}

# Starts the daemon on $TESTDIR/vmpagerd.conf (made if it is not there) and waits until it answers. Its log is
# $TESTDIR/vmpagerd.log; it is ended when the test ends. Sets daemon_pid.
daemon_start() {
        [ -e "$TESTDIR/vmpagerd.conf" ] || daemon_config 2G 256M
        "$VMPAGERD" --foreground --config "$TESTDIR/vmpagerd.conf" >>"$TESTDIR/vmpagerd.log" 2>&1 &
        daemon_pid=$!
        at_exit daemon_stop
        wait_for 10 daemon_answers_or_died
        daemon_answers || {
                cat "$TESTDIR/vmpagerd.log" >&2
                fail "vmpagerd did not start"
        }
}

daemon_answers() {
        "$VMPAGERCTL" stats --json
}

daemon_answers_or_died() {
        daemon_answers || gone "$daemon_pid"
}

# Ends the daemon and returns its exit status; says its log when that is not 0.
daemon_stop() {
        local status=0
        [ -n "$daemon_pid" ] || return 0
        kill "$daemon_pid" 2>/dev/null || true
        wait "$daemon_pid" || status=$?
        daemon_pid=
        [ $status = 0 ] || {
                echo "vmpagerd: exit status $status" >&2
                tail -n 50 "$TESTDIR/vmpagerd.log" >&2
        }
        return $status
}

# --- users -------------------------------------------------------------------------------------

# Runs a command as the user 65534, with no group and no capability.
as_nobody() {
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
}

# Prints a prefix that an unprivileged user can read: PREFIX, or what is built with the copy's own paths in TESTDIR
# when PREFIX is within a closed folder (/root).
public_prefix() {
        if as_nobody test -r "$PRELOAD" && as_nobody test -x "$VMPAGERCTL"; then
                echo "$PREFIX"
                return
        fi
        VMPAGER_BUILD=$TESTDIR/build "$SRCDIR/tools/build" "$TESTDIR/prefix" >&2
        echo "$TESTDIR/prefix"
}
