#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# node with a worker thread, a moving garbage collector and a just-in-time compiler computes in a quarter of its memory
# what it computes natively.
. "$(dirname "$0")/program.sh"
skip_without jq node
cd "$TESTDIR"

program_start 96 2G
natively node --expose-gc "$PROGRAM_FILES/heap.js" 2 >native.out
cat native.out
check_num "digests" "$(grep -cE '(^| )[0-9a-f]{64}$' native.out)" -eq 6
paged node --expose-gc "$PROGRAM_FILES/heap.js" 2 >paged.out
# The two threads print in any order.
check_eq "the digests" "$(sort paged.out)" "$(sort native.out)"
check_paged node 400 50000
check_held
