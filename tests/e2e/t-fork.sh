#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Children that a paged program forks find all of its memory, and are paged themselves; so do theirs.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"

# family NAME LIMIT ARGUMENTS...: fork-verify under a limit; statistics of all of its processes in stats.json.
family() {
        local name=$1 limit=$2 before=$SECONDS
        shift 2
        "${RUN[@]}" --limit "$limit" --stats stats.json "$HELPERS/fork-verify" "$@" "$seed" >out 2>err || {
                cat err vmpagerd.log
                fail "$name, seed $seed: exit status above"
        }
        echo "workers $workers, $name: $(cat out), $(total stats.json .evicted_pages) pages evicted," \
                "$(total stats.json .faults.disk) read back, $((SECONDS - before)) s"
        check_num "$name: pages evicted from the first" "$(json stats.json '[.clients[].evicted_pages] | max')" -ge 1000
        check_num "$name: poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
        check_num "$name: the largest of them" "$(json stats.json '[.clients[].peak_resident_bytes] | max')" -le $((80 << 20))
}

no_clients() {
        "$VMPAGERCTL" stats --json >now.json && jq -e '.clients == []' now.json
}

for workers in 1 2; do
        [ -z "$daemon_pid" ] || daemon_stop
        daemon_config 2G 32M
        sed -i "s/^\[daemon\]/&\nworkers = $workers/" vmpagerd.conf
        daemon_start

        family "children and grandchildren" 20M 48 2 1 fork
        check_eq "processes with an agent" "$(json stats.json '[.clients[] | select(.agent)] | length')" 5
        check_num "pages evicted from a child" "$(json stats.json '[.clients[].evicted_pages] | sort | .[-2]')" -ge 1000
        family "parents that end first" 32M 40 2 2 orphan
        family "a fork among busy threads" 32M 32 2 1 threads
        family "200 children at once" 16M 24 200 0 many
        family "spawn, vfork, system, popen, exec" 32M 48 10 0 spawn
        family "children that the library does not know of" 32M 48 2 1 raw
        family "such children that end at once, among busy threads" 32M 32 20 1 raworphan
        check_num "processes without an agent" "$(json stats.json '[.clients[] | select(.agent | not)] | length')" -ge 1

        wait_for 20 no_clients
        "$VMPAGERCTL" stats --json >after.json
        check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
done

# A child without an agent does not read zeros when the daemon stops: it is ended, and that is said.
"${RUN[@]}" --limit 32M "$HELPERS/fork-verify" 48 1 0 late "$seed" >out 2>&1 &
run=$!
waits_without_agent() {
        "$VMPAGERCTL" stats --json >now.json &&
                jq -er '.clients[] | select((.agent | not) and .pid > 0 and .stored_pages > 0) | .pid' now.json >child
}
wait_for 30 waits_without_agent
child=$(cat child)
first=$(json now.json '.clients[] | select(.agent) | .pid')
daemon_stop
touch go
wait_for 10 gone "$child"
check_match "the log" "$(cat vmpagerd.log)" "client $child \\(fork-verify\\) is killed: vmpagerd stops, and it has no agent"
kill -KILL "$first" 2>/dev/null || true
wait $run || true
check_eq "what was found" "$(grep -c 'word .* is' out || true)" 0
echo "a child without an agent, and the daemon stops: ended"
