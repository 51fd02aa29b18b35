# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of whole programs share, on top of lib.sh. Such a test runs a program natively, then under a daemon
# with a limit of about a quarter of what it needed, compares what came out, and closes with check_paged:
#
#     program_start 32 1G
#     natively CMD... >native.out
#     paged CMD... >paged.out
#     check_eq "..." "$(cat paged.out)" "$(cat native.out)"
#     check_paged CMD 100 5000

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PROGRAM_FILES=$(realpath "$(dirname "${BASH_SOURCE[0]}")")

# program_start LIMIT-MIB STORE-SIZE: starts the daemon. Sets LIMIT (MiB).
program_start() {
        LIMIT=$1
        daemon_config "$2" "$1M"
        daemon_start
}

# natively CMD...: runs it without vmpager, measured. Its status is CMD's.
natively() {
        "$PYTHON" "$PROGRAM_FILES/measure" "$TESTDIR/native.measure" "$@"
}

# paged CMD...: the same under the daemon; the statistics go to stats.json.
paged() {
        "$PYTHON" "$PROGRAM_FILES/measure" "$TESTDIR/paged.measure" \
                "${RUN[@]}" --limit "${LIMIT}M" --stats "$TESTDIR/stats.json" "$@"
}

seconds_of() {
        local ms
        ms=$(value_of "$1" ms)
        echo "$((ms / 1000)).$((ms % 1000 / 100)) s"
}

# Lines of the daemon's log that say that something went wrong.
log_complaints() {
        grep -E ': (error|warning): |were left out' "$TESTDIR/vmpagerd.log" || true
}

check_log() {
        check_eq "what the daemon complains of" "$(log_complaints)" ""
}

# check_paged WHAT MIB PAGES [PERCENT]: the program needed three times its limit (or PERCENT of it), had that many MiB
# evicted and that many pages read from disk, over all its processes; and the daemon has no complaint, and nothing
# left of it.
check_paged() {
        local stats=$TESTDIR/stats.json need evicted read
        need=$(value_of "$TESTDIR/native.measure" resident_mib)
        evicted=$(total "$stats" .evicted_pages)
        read=$(fetched "$stats")
        echo "$1: limit $LIMIT MiB, needs $need MiB; evicted $evicted pages, read $read from disk," \
                "$(total "$stats" .faults.disk) faults;" \
                "$(seconds_of "$TESTDIR/native.measure") natively, $(seconds_of "$TESTDIR/paged.measure") under vmpager"
        check_num "MiB that $1 needs" "$need" -ge $((LIMIT * ${4:-300} / 100))
        check_num "evicted pages" "$evicted" -ge $(($2 * 256))
        check_num "pages read from disk" "$read" -ge "$3"
        check_num "poisoned pages" "$(total "$stats" .poisoned_pages)" -eq 0
        check_log
        check_store_empty
}

# check_held: no program was far above its limit. Not for programs that fork: what they share does not count.
check_held() {
        local peak
        peak=$(json "$TESTDIR/stats.json" '[.clients[].peak_resident_bytes] | max')
        check_num "peak" "$peak" -le $(((LIMIT + LIMIT / 4 + 16) << 20))
}

store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq .store.disk_bytes)" = 0 ]
}

# The store gets back all that ended programs had there.
check_store_empty() {
        wait_for 15 store_empty
}
