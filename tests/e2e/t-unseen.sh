#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 60
# What a program can see of itself, but for its memory and the number of its threads, is the same natively and paged.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

daemon_config 1G 32M
daemon_start >/dev/null

# compare WHAT RUN-OPTION...: runs "unseen" both ways in this shell's state, and compares line by line.
compare() {
        local what=$1 lines
        shift
        (exec "$HELPERS/unseen" ${mib:+$mib}) >out </dev/null || fail "unseen: exit status $?"
        mv out native # it sees the name
        (exec "${RUN[@]}" --stats "$TESTDIR/stats.json" "$@" "$HELPERS/unseen" ${mib:+$mib}) >out </dev/null ||
                fail "unseen under vmpager: exit status $?"
        mv out paged
        lines=$(wc -l <native)
        check_num "lines" "$lines" -ge 150
        diff native paged || fail "$what: these lines differ, natively (<) and paged (>)"
        [ -z "$mib" ] || check_num "evicted pages" "$(total "$TESTDIR/stats.json" .evicted_pages)" -ge 5000
        echo "$what: ok ($lines lines)"
}

mib=
compare "as it is"
compare "with a daemon of its own" --private --limit 32M
(
        umask 027
        ulimit -n 500 -c 0 -s 4096
        trap '' USR1 PIPE # ignored in what is executed
        exec 5</dev/null 7>/dev/null
        compare "umask, limits, ignored signals, descriptors"
)
mib=64
compare "beyond its limit"
