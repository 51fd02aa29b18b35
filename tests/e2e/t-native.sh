#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A program that stays below its limit is left alone: not one userfaultfd message, no eviction, an untouched ring.
. "$(dirname "$0")/lib.sh"
skip_without jq "$PYTHON"
cd "$TESTDIR"

"${RUN[@]}" --private --limit 3G --stats stats.json "$HELPERS/fill" -e 64 2048 pid go >out &
run=$!
wait_for 30 test -s pid
"$HELPERS/sampler" "$(cat pid)" 5 go >samples
wait $run || fail "fill: exit status $?: $(cat out)"
check_num "peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -ge $((1900 * 1048576)) # as of the daemon's last look
check_eq "programs" "$(json stats.json '.clients | length')" 1
for name in .faults.total .evicted_pages .written_pages .stored_pages .standby_pages .not_evictable .service_us.count; do
        check_num "$name" "$(json stats.json ".clients[0]$name")" -eq 0
done
check_num "bytes in the store" "$(json stats.json .store.disk_bytes)" -eq 0

# What is resident of the ring has been written to: its header, by the daemon.
cat >own-ring.py <<'PYTHON'
memory = [bytearray(b"\1" * (1 << 20)) for _ in range(500)]
ours = False
kib = []
for line in open("/proc/self/smaps"):
    if "-" in line.split()[0]:
        ours = "vmpager-ring" in line
    elif ours and line.startswith("Rss:"):
        kib.append(int(line.split()[1]))
print(sum(kib) if kib else "none")
PYTHON
"${RUN[@]}" --private --limit 3G --stats stats.json "$PYTHON" own-ring.py >out
check_num "KiB of the ring" "$(cat out)" -le 128
check_num "faults" "$(json stats.json '.clients[0].faults.total')" -eq 0
