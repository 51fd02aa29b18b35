#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# Threads that end while pages go out are joined, each of them.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

"${RUN[@]}" --private --limit 32M --stats stats.json "$HELPERS/thread-exit" 100000 25
check_num "evicted pages" "$(total stats.json .evicted_pages)" -ge 50000

# Threads whose page is out at their end.
"${RUN[@]}" --private --limit 32M --stats stats.json "$HELPERS/thread-out" 15 | tee out
check_num "threads that ended while their page was out" "$(value_of out out)" -ge 5
check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
