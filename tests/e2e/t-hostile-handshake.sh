#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Clients whose handshake is wrong are refused, and four hundred of them are no hindrance; another one stays right.
. "$(dirname "$0")/rough.sh"
daemon_config 1G "$ROUGH_LIMIT"
sed -i 's/^\[daemon\]/&\nworkers = 1/' vmpagerd.conf # all have its loop in common
daemon_start
neighbour_start

# answered CASE PATTERN: what the daemon answers to it.
answered() {
        "$HELPERS/hostile-handshake" "$1" "$VMPAGER_SOCKET" >out 2>&1 </dev/null || fail "$1: $(cat out)"
        check_match "the answer to $1" "$(cat out)" "^$2"
        echo "ok $1: $(cat out)"
}
answered garbage 'refused: .* is not its protocol'
answered one-byte 'refused: .* is not its protocol'
answered too-long 'hung up'
answered short-hello 'refused: a message of 16 bytes'
answered other-size 'refused: a message of 24 bytes'
answered other-pages 'refused: pages of 65536 bytes'
answered early-register 'refused: message 3 is not expected'
answered second-hello 'refused: a message of 24 bytes'
not_three='refused: the descriptors are not a userfaultfd, a memfd and an eventfd'
answered no-descriptors "$not_three"
answered two-descriptors "$not_three"
answered many-descriptors 'hung up'
answered pipe-for-userfaultfd "$not_three"
answered device-for-userfaultfd "$not_three"
answered pipe-for-eventfd "$not_three"
answered userfaultfd-for-eventfd "$not_three"
for ring in pipe-for-ring file-for-ring path-for-ring small-ring large-ring unsealed-ring ring-that-shrinks; do
        answered $ring 'refused: the ring is not a sealed memfd of [0-9]+ bytes'
done
answered ring-not-to-be-written 'refused: the ring cannot be mapped'
answered ring-for-reading 'refused: the ring cannot be mapped'
answered used-userfaultfd 'refused: the kernel refuses the userfaultfd features'
answered same-userfaultfd 'refused: the kernel refuses the userfaultfd features'
answered many-excluded 'refused: too many excluded ranges'
answered excluded-backwards 'refused: an excluded range is empty'
answered all-excluded taken
answered more-after-ready 'hung up'
check_num "refusals in the log" "$(grep -c 'client [0-9]* is refused: ' vmpagerd.log)" -ge 15
neighbour_advances

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

echo "--- four hundred at the door"
hostile handshake crowd
neighbour_advances
check_match "what it says" "$(cat out)" there
"${RUN[@]}" --limit "$ROUGH_LIMIT" "$HELPERS/fill" 40 >out || fail "a program that comes after them: $(cat out)"
check_num "its wrong pages" "$(value_of out wrong_pages)" -eq 0
end_hostile

neighbour_end
wait_for 15 no_clients
wait_for 15 store_empty
