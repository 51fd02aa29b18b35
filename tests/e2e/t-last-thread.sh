#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A program ends with the last of its own threads; the agent's does not keep it.
. "$(dirname "$0")/lib.sh"
skip_without timeout
cd "$TESTDIR"

daemon_start
for how in thread fork; do
        "$HELPERS/last-thread" $how >native.out
        # timeout: it would never end, not end late
        "${RUN[@]}" timeout -s KILL 60 "$HELPERS/last-thread" $how >out || fail "last-thread $how: exit status $?"
        check_eq "what last-thread $how says" "$(cat out)" "$(cat native.out)"
done
