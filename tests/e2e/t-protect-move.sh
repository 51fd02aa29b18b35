#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mapping of which a part was read-only while pages were taken from it can be moved as a whole, as without vmpager.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

check_eq "natively" "$("$HELPERS/protect-move" 16 64 12)" ok
"${RUN[@]}" --private --limit 32M --stats stats.json "$HELPERS/protect-move" 16 64 12 >out || {
        cat out
        fail "protect-move failed under vmpager"
}
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge 10000
