#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# However a program ends or execs, while its threads fault, nothing of it is left in the daemon; others stay right.
. "$(dirname "$0")/rough.sh"
rough_daemon

# What the daemon has open and mapped; its buffers for clients come with the first ones.
daemon_descriptors() {
        find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}

daemon_mappings() {
        wc -l <"/proc/$daemon_pid/maps"
}

# end_as CASE STATUS N FILE: N programs of 20 MiB in a row, which end so, with FILE as control.
end_as() {
        local status
        for _ in $(seq "$3"); do
                new_control "$4"
                status=0
                "${RUN[@]}" --limit "$ROUGH_LIMIT" -- "$HELPERS/rough-end" "$1" "$TESTDIR/$4" 20 >"$4.out" 2>&1 \
                        </dev/null || status=$?
                check_eq "the exit status ($(cat "$4.out"; control_wrong "$4"))" "$status" "$2"
                check_eq "phase" "$(control_word "$4" 1)" 3
        done
}

# all_ends FILE: two of each.
all_ends() {
        end_as exit 41 2 "$1"
        end_as _exit 42 2 "$1"
        end_as exit_group 43 2 "$1"
        end_as abort $((128 + 6)) 2 "$1"
        end_as segv $((128 + 11)) 2 "$1"
        end_as kill $((128 + 9)) 2 "$1"
}

all_ends control
wait_for 15 no_clients
descriptors=$(daemon_descriptors) mappings=$(daemon_mappings)
for _ in {1..4}; do
        all_ends one &
        one=$!
        all_ends two
        wait $one || fail "see above"
done
wait_for 15 no_clients
wait_for 15 store_empty
check_num "descriptors of the daemon" "$(daemon_descriptors)" -le "$descriptors"
check_num "mappings of the daemon" "$(daemon_mappings)" -le $((mappings + 8))
echo "ok 108 ends: $(daemon_descriptors) descriptors and $(daemon_mappings) mappings of the daemon, $mappings at first"

rough_case "exec in a thread while others fault" rough-end exec
check_eq "clients, one after the other" "$(json stats.json '.clients | length')" 2
rough_case "pthread_exit() in main" rough-end without-first
check_num "KiB resident after that" "$(control_word control 127)" -le $((24 << 10))

rough_case "the end of the last thread" rough-end to-the-last-thread

# Its dump waits for no userfaultfd: what is out is missing in it (vmpager(7)), and nobody hangs.
pattern=$(</proc/sys/kernel/core_pattern)
if [[ $pattern == core* ]] && (ulimit -c unlimited) 2>/dev/null; then
        (
                ulimit -c unlimited
                end_as dump $((128 + 6)) 1 dumped
        )
        check_num "core files" "$(compgen -G 'core*' | wc -l)" -eq 1
        wait_for 15 no_clients
        echo "ok a core file"
else
        echo "no core file: kernel.core_pattern is $pattern"
fi
