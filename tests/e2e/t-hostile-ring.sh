#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Clients that lie after the handshake are killed or left to themselves; another one goes on, and stays right.
. "$(dirname "$0")/rough.sh"
daemon_config 1G "$ROUGH_LIMIT"
sed -i 's/^\[daemon\]/&\nworkers = 1/' vmpagerd.conf # all have its loop in common
daemon_start
neighbour_start

hostile=

hostile_is_there() {
        gone "$hostile" || grep -q there out
}

all_of_it_gone() {
        "$VMPAGERCTL" stats --json | jq -e ".clients | length == 1"
}

# hostile NAME: starts it; waits for its lie.
hostile() {
        setsid "$HELPERS/hostile-$1" "$2" "$VMPAGER_SOCKET" >out 2>&1 </dev/null &
        hostile=$!
        at_exit "kill -KILL -- -$hostile 2>/dev/null || true"
        wait_for 60 hostile_is_there
}

end_hostile() {
        kill -KILL -- -"$hostile" 2>/dev/null || true
        wait "$hostile" || true
        wait_for 15 all_of_it_gone
}

# killed NAME PATTERN: the daemon ends it, with a line that matches.
killed() {
        hostile ring "$1"
        wait_for 30 gone "$hostile"
        wait_for 15 grep -qE "client $hostile .* is killed: $2" vmpagerd.log
        neighbour_advances
        end_hostile
        echo "ok $1: killed"
}

# left NAME [PATTERN]: the daemon lets it live, and says a line that matches.
left() {
        hostile ring "$1"
        neighbour_advances
        ! gone "$hostile" || fail "$1 has ended: $(cat out; tail -n 3 vmpagerd.log)"
        [ $# = 1 ] || wait_for 30 grep -qE "client $hostile: $2" vmpagerd.log
        end_hostile
        echo "ok $1: left to itself"
}

killed never-ordered 'its agent thread completed evictions that were never ordered'
killed before-any 'its agent thread completed evictions that were never ordered'
killed nonsense 'its agent thread answered an eviction with nonsense'
left never-answers
left says-moved 'nothing of it can be evicted'
left says-zero 'nothing of it can be evicted'
left says-cancelled 'its agent thread cannot evict'
left says-foreign 'nothing of it can be evicted'
left holds-gate 'its agent thread does not come back from moving pages'
left slams-gate
left floods-eventfd
left fills-eventfd 'nothing of it can be evicted'
left floods-events
left floods-socket
left others-userfaultfd
left dead-ones-userfaultfd
left execs

# What comes of these is chance; what comes of the neighbour is not.
for name in scribbles punches; do
        hostile ring $name
        neighbour_advances
        end_hostile
        echo "ok $name"
done

neighbour_end
wait_for 15 no_clients
wait_for 15 store_empty
