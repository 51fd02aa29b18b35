#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a program pays that stays under its limit: the time to write 2 GiB natively (A) and under vmpagerd with a limit
# above that (B), in turns, measured by the program itself.
#
#     tests/bench/run native                           7 rounds of 2048 MiB, as root
#     tests/bench/native.sh [--rounds N] [--mib N] [--json FILE]
#
# Where the times of the same run are far apart (a virtual machine whose host takes free memory back), more rounds of
# less memory tell more: 41 rounds of 256 MiB.
#
# Each round is A B or B A, by turns. Before each the same amount is written once untimed: in a virtual machine memory
# that has been free for a while may have gone back to the host, and is dear to whoever touches it first. Prints all
# times, the ratio of the medians, and as its spread the lowest and highest ratio of a round. PREFIX (build/prefix) and
# BUILD (build) as tests/run has them.
set -euo pipefail
export LC_ALL=C

src=$(dirname "$(dirname "$(dirname "$(realpath "$0")")")")
prefix=${PREFIX:-$src/build/prefix}
fill=${BUILD:-$src/build}/tests/e2e/fill
rounds=7 mib=2048 json=/dev/null
while [ $# -gt 1 ]; do
        case $1 in
        --rounds) rounds=$2 ;;
        --mib) mib=$2 ;;
        --json) json=$2 ;;
        *) break ;;
        esac
        shift 2
done
if [ $# -gt 0 ]; then
        echo "usage: native.sh [--rounds N] [--mib N] [--json FILE]" >&2
        exit 2
fi
scratch=$(mktemp -d "${NATIVE_DIR:-/var/tmp}/vmpager-bench.XXXXXX")
daemon=

clean_up() {
        trap - EXIT
        if [ -n "$daemon" ]; then
                kill "$daemon" && wait "$daemon"
        fi
        rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

warm_up() {
        "$fill" -e 512 "$mib" >/dev/null
}

# One page in 512 is read back: what is timed is the writing.
native() {
        warm_up
        "$fill" -e 512 "$mib" | sed -n 's/^fill_seconds //p' >>"$scratch/native"
}

paged() {
        warm_up
        "$prefix/bin/vmpagerctl" run --limit $((mib + 1024))M --stats "$scratch/stats" -- "$fill" -e 512 "$mib" |
                sed -n 's/^fill_seconds //p' >>"$scratch/paged"
        jq -e '[.clients[].faults.total] == [0]' "$scratch/stats" >/dev/null || {
                echo "native: the program had faults: $(jq -c '[.clients[].faults]' "$scratch/stats")" >&2
                exit 1
        }
}

export VMPAGER_SOCKET=$scratch/vmpager.sock
cat >"$scratch/vmpagerd.conf" <<CONFIG
[daemon]
socket = $VMPAGER_SOCKET
control = $scratch/control.sock
state = $scratch

[store main]
path = $scratch/store
size = 64M
CONFIG
"$prefix/sbin/vmpagerd" --foreground --config "$scratch/vmpagerd.conf" 2>"$scratch/log" &
daemon=$!
for ((i = 0; i < 200; i++)); do
        ! "$prefix/bin/vmpagerctl" stats --json >/dev/null 2>&1 || break
        sleep 0.05
done

for ((i = 0; i < rounds; i++)); do
        if ((i % 2)); then
                paged
                native
        else
                native
                paged
        fi
done

paste "$scratch/native" "$scratch/paged" | awk -v mib="$mib" -v json="$json" '
function median(v, n,    i, j, t) {
        for (i = 2; i <= n; i++)
                for (j = i; j > 1 && v[j] < v[j - 1]; j--) {
                        t = v[j]
                        v[j] = v[j - 1]
                        v[j - 1] = t
                }
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
NF == 2 {
        a[++n] = $1 + 0
        b[n] = $2 + 0
        r = b[n] / a[n]
        low = n == 1 || r < low ? r : low
        high = n == 1 || r > high ? r : high
        printf "round %d: native %.4f s, paged %.4f s, ratio %.4f\n", n, a[n], b[n], r
}
END {
        if (!n)
                exit 1
        ma = median(a, n)
        mb = median(b, n)
        printf "%d MiB, medians of %d: native %.4f s, paged %.4f s\n", mib, n, ma, mb
        printf "ratio %.4f (rounds: %.4f to %.4f; native runs: %.4f to %.4f s)\n", mb / ma, low, high, a[1], a[n]
        printf "{\"mib\": %d, \"rounds\": %d, \"native_s\": %.4f, \"paged_s\": %.4f,\n", mib, n, ma, mb >json
        printf "\"ratio\": %.4f, \"ratio_low\": %.4f, \"ratio_high\": %.4f}\n", mb / ma, low, high >json
}'
