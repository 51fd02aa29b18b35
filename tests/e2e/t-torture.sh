#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Threads that do all that a program may do to its address space, and fork and exec meanwhile, find every page right.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/torture-run.sh"
skip_without jq
cd "$TESTDIR"

seed=${VMPAGER_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed (VMPAGER_TEST_SEED)"
torture_natively 4 3 "$seed"
for workers in 1 4; do
        torture_paged $workers 4 20 "$seed"
done
