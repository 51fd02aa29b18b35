#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Python program with a dict and bytearrays of three times its limit computes what it computes without vmpager.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
skip_without jq "$PYTHON"
cd "$TESTDIR"

"$PYTHON" "$here/verify.py" 64 >native.out
"${RUN[@]}" --private --limit 64M --stats stats.json "$PYTHON" "$here/verify.py" 64 >paged.out ||
        fail "verify.py: exit status $?: $(tail -n 5 paged.out)"
check_num "MiB that the program held" "$(value_of native.out resident_mib)" -ge 192
check_eq "what the program computed" "$(value_of paged.out digest)" "$(value_of native.out digest)"
check_num "peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -le $((96 << 20))
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge $((128 * 256))
check_num "pages read from disk" "$(fetched stats.json)" -ge 10000
