#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# A process that has its memory together with another one finds it right when the other one, the client, is no more.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

LIMIT=16

no_clients() {
        [ "$("$VMPAGERCTL" stats --json | jq '.clients | length')" = 0 ]
}

store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq .store.disk_bytes)" = 0 ]
}

said() {
        [ -s "$1" ]
}

executed() {
        [ "$(cat "/proc/$1/comm")" = sleep ]
}

# outlives HOW COMMAND...: what the child says when its parent has ended.
outlives() {
        local how=$1 parent
        shift
        rm -f go out
        mkfifo go
        "$@" "$HELPERS/outlive" "$how" <>go >out &
        parent=$!
        if [ "$how" = exec ]; then
                wait_for 60 executed $parent
                kill -KILL $parent
        fi
        wait_for 60 gone $parent
        wait $parent || true
        echo >go
        wait_for 60 said out
        check_eq "what the child of '$how' says" "$(cat out)" "wrong pages: 0"
}

daemon_config 1G ${LIMIT}M
daemon_start
for how in clone vfork exec; do
        outlives $how env
        outlives $how env LD_PRELOAD="$PRELOAD"
        wait_for 15 no_clients
        wait_for 15 store_empty
        echo "ok $how"
done
if grep -E 'error:|killed' vmpagerd.log; then
        fail "the daemon has complaints"
fi
