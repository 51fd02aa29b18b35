#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a program pays that stays under its limit: the time to write 2 GiB natively and under "vmpagerctl run --limit 3G", in
# turns, and the ratio of the medians. Usage: fill-native.sh [ROUNDS] [MIB] (10 rounds of 2048 MiB), as root.
# Environment: PREFIX (default build/prefix), BUILD (default build), as tests/run has them.
set -euo pipefail
export LC_ALL=C
source_dir=$(dirname "$(dirname "$(dirname "$(realpath "$0")")")")
vmpagerctl=${PREFIX:-$source_dir/build/prefix}/bin/vmpagerctl
writer=${BUILD:-$source_dir/build}/tests/e2e/page-writer
rounds=${1:-10} mib=${2:-2048}
scratch=$(mktemp -d /var/tmp/vmpager-bench.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

median() {
        sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

"$writer" "$mib" >/dev/null # memory that the machine has not handed out for long is dearer the first time
for ((i = 0; i < rounds; i++)); do
        "$writer" "$mib" | sed -n 's/^fill_seconds //p' >>"$scratch/native"
        "$vmpagerctl" run --private --store-size 64M --limit 3G --stats "$scratch/stats" -- "$writer" "$mib" |
                sed -n 's/^fill_seconds //p' >>"$scratch/paged"
        faults=$(jq '[.clients[].faults.total] | add' "$scratch/stats")
        [ "$faults" = 0 ] || echo "round $i: $faults faults" >&2
done
printf 'native  %s s (median of %d: %s)\n' "$(median "$scratch/native")" "$rounds" "$(paste -sd ' ' "$scratch/native")"
printf 'paged   %s s (median of %d: %s)\n' "$(median "$scratch/paged")" "$rounds" "$(paste -sd ' ' "$scratch/paged")"
awk -v n="$(median "$scratch/native")" -v p="$(median "$scratch/paged")" 'BEGIN { printf "ratio   %.4f\n", p / n }'
