#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# Threads that do little but move, unmap and map memory at addresses that others have just left find every page where
# they moved it.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"
daemon_config 2G 32M
daemon_start
for threads in 4 8; do
        "${RUN[@]}" --stats stats.json "$HELPERS/move-storm" $threads 512 10 "$seed"
        check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge 1000
done
