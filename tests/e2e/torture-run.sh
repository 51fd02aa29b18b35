# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the test t-torture.sh and the program tests/e2e/torture share, on top of tests/e2e/lib.sh: torture-verify under a
# daemon with a quarter of the memory that it uses.

TORTURE_MIB=${TORTURE_MIB:-256}
at_exit torture_end

# torture_natively THREADS SECONDS SEED: without a pager; what it finds is its own mistake.
torture_natively() {
        "$HELPERS/torture-verify" "$1" "$TORTURE_MIB" "$2" "$3" >native.out || {
                cat native.out
                fail "torture-verify fails natively, seed $3"
        }
}

# The first process, and its session, in which are all those that it starts.
torture_group=

# Ends what is left of them: children of a first process that was ended go on without it.
torture_end() {
        [ -z "$torture_group" ] || kill -KILL -- "-$torture_group" 2>/dev/null || true
        torture_group=
}

# torture_paged WORKERS THREADS SECONDS SEED: under a daemon of its own. Prints what it did.
torture_paged() {
        local limit=$((TORTURE_MIB / 4))M status=0
        [ -z "$daemon_pid" ] || daemon_stop
        daemon_config "${TORTURE_STORE:-4G}" "$limit"
        sed -i "s/^\[daemon\]/&\nworkers = $1/" vmpagerd.conf
        : >vmpagerd.log
        daemon_start >/dev/null
        setsid "${RUN[@]}" --limit "$limit" --stats stats.json "$HELPERS/torture-verify" "$2" "$TORTURE_MIB" \
                "$3" "$4" >out &
        torture_group=$!
        wait "$torture_group" || status=$?
        cat out
        [ $status = 0 ] || {
                tail -n 40 vmpagerd.log
                "$VMPAGERCTL" stats
                fail "workers $1, threads $2, seed $4: exit status $status"
        }
        torture_group=
        echo "workers $1, seed $4: $(json stats.json '.clients | length') processes," \
                "$(total stats.json .evicted_pages) pages evicted, $(total stats.json .faults.disk) read back," \
                "$("$VMPAGERCTL" stats --json | jq .store.moved_pages) moved in the store"
        check_num "pages evicted from the first" "$(json stats.json '[.clients[].evicted_pages] | max')" -ge 1000
        if ! grep -q 'lost something 0' out; then
                grep -q 'a child of it loses page' vmpagerd.log || fail "a child got SIGBUS, and the log says nothing"
        fi
        check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
        wait_for 20 torture_has_ended
        check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
}

torture_has_ended() {
        "$VMPAGERCTL" stats --json >after.json && jq -e '.clients == []' after.json
}
