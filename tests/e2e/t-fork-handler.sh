#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# A program with one thread forks in its signal handlers, whatever they interrupt, and the C library takes no locks.
. "$(dirname "$0")/lib.sh"
skip_without timeout
cd "$TESTDIR"

daemon_start
"$HELPERS/fork-handler" 500 >native.out
# timeout: it would never end, not end late
"${RUN[@]}" timeout -s KILL 120 "$HELPERS/fork-handler" 500 >out 2>err || fail "exit status $?: $(cat out err)"
check_eq "what fork-handler says" "$(cat out)" "$(cat native.out)"
