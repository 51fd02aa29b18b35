#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# One of two stores hangs, an NBD server that is stopped: programs whose pages are on the other go on, reading and
# writing, while those that need it wait; then it answers again, and no byte is lost.
. "$(dirname "$0")/storage.sh"
skip_without jq "$PYTHON"
cd "$TESTDIR"
skip_without_nbd

DISTANT="d1 d2 d3 d4 d5"

# two TIMEOUT LINE...: a daemon of one worker with two stores. All that is written goes to the second, as long as that
# answers.
two() {
        [ -z "$daemon_pid" ] || daemon_stop
        : >vmpagerd.log
        daemon_config 512M 16M "weight = 1" "${@:2}" \
                "[store far]" "path = nbd+unix:///?socket=$SOCKET" "weight = 1000" "timeout = $1"
        sed -i '/^state = /a workers = 1' vmpagerd.conf
        daemon_start >/dev/null
}

# Faults that were read and not answered.
waiting() {
        clients '.faults | .total - .zero - .standby - .ram - .disk - .stale'
}

all_wait() {
        [ "$(waiting)" -ge 5 ]
}

none_has_ended() {
        local name
        for name in $DISTANT; do
                ! grep -q right "$name.out" || fail "$name has read pages of a server that is stopped"
        done
}

for kept in "" "codec = lz4" "encrypt = yes"; do
        echo "--- hangs: ${kept:-pages as they are}"
        server memory 512M
        two 10m "$kept"
        for name in $DISTANT; do
                begin "$name" "5ca1ab$name"
        done
        for name in $DISTANT; do
                filled "$name"
        done
        wait_for 30 is_written
        kill -STOP "$server_pid"

        # Some of what is written goes there, and hangs; the rest goes to the other.
        begin near 0ddba11
        filled near
        for name in $DISTANT; do
                tell "$name"
        done
        wait_for 30 all_wait
        begin beside ca11ab1e
        filled beside
        none_has_ended
        check_num "faults that wait" "$(waiting)" -ge 5
        # What was written to the server before it was known to hang is there: who has nothing there reads all.
        begin late f01dab1e
        filled late
        well late
        none_has_ended
        check_num "faults that wait" "$(waiting)" -ge 5

        kill -CONT "$server_pid"
        for name in near beside $DISTANT; do
                well "$name"
        done
        wait_for 15 store_empty
        check_eq "errors" "$(store_errors)" 0
        daemon_stop
        server_kill
done
