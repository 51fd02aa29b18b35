#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# Threads that do little but move, unmap and map memory at addresses that others have just left find every page where
# they moved it. A run in which it cannot be told where pages are, and the program is ended with a line that says so
# (README, "Known gaps"), is made again, TRIES times in all; wrong bytes and all other ends fail.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"
daemon_config 2G 32M
daemon_start
TRIES=4

# storm THREADS
storm() {
        local try status said before=0
        for ((try = 0; try < TRIES; try++)); do
                status=0
                ended=no
                "${RUN[@]}" --stats stats.json "$HELPERS/move-storm" "$1" 512 10 $((seed + try)) || status=$?
                said=$(grep -c 'it cannot be told which pages are where' vmpagerd.log || true)
                if [ $status = 0 ] || [ $status != 137 ] || [ "$said" = "$before" ]; then
                        return $status
                fi
                echo "$1 threads, seed $((seed + try)): ended, and said so"
                ended=yes
                before=$said
        done
        echo "$1 threads: not once to its end"
}

for threads in 4 8; do
        : >vmpagerd.log
        storm $threads || {
                cat vmpagerd.log
                fail "$threads threads: exit status above"
        }
        [ "$ended" = yes ] || check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge 1000
done
