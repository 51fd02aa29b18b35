#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# What a program does to its mappings while their pages are out has the effect that it has without vmpager.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

# KSM merges equal pages of one case; what was set is set again.
ksm=/sys/kernel/mm/ksm
set_ksm() {
        local name=$1 value=$2
        [ -w "$ksm/$name" ] || return 0
        at_exit "echo $(cat "$ksm/$name") >$ksm/$name"
        echo "$value" >"$ksm/$name"
}
set_ksm pages_to_scan 1000
set_ksm run 1

daemon_config 1G 32M
daemon_start
programs=(map-move map-advice)
for program in "${programs[@]}"; do
        echo "--- $program, natively"
        "$HELPERS/$program" -n >native || {
                cat native
                fail "$program expects what Linux does not do"
        }
        echo "--- $program, paged"
        "${RUN[@]}" --stats stats.json "$HELPERS/$program" || fail "$program: a case failed"
        check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge 20000
        check_num "poisoned pages" "$(json stats.json '.clients[0].poisoned_pages')" -eq 0
        "$VMPAGERCTL" stats --json >after.json
        check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
done
if grep -E 'error|killed|nonsense' vmpagerd.log; then
        fail "the daemon has complaints"
fi
