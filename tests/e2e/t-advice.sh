#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Every advice of madvise(2), and huge pages, for memory whose pages are out.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

# set_mm NAME VALUE: of the system, until the test ends.
set_mm() {
        local file=/sys/kernel/mm/$1 value
        [ -w "$file" ] || return 0
        value=$(sed -E 's/.*\[(.*)\].*/\1/' "$file")
        at_exit "echo '$value' >$file"
        echo "$2" >"$file"
}

# KSM merges the pages of one case.
set_mm ksm/pages_to_scan 1000
set_mm ksm/run 1
if grep -qsF '[never]' /sys/kernel/mm/transparent_hugepage/enabled; then
        set_mm transparent_hugepage/enabled madvise
fi
paged_cases map-advice map-huge
