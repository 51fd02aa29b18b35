#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# Threads that end while pages go out are joined, each of them.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

"${RUN[@]}" --private --limit 32M --stats stats.json "$HELPERS/thread-exit" 100000 25
check_num "evicted pages" "$(total stats.json .evicted_pages)" -ge 50000
