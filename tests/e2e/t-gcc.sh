#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cc1 in a quarter of its memory makes the object code of a native run out of a C file of some MB.
. "$(dirname "$0")/program.sh"
skip_without jq gcc "$PYTHON"
cd "$TESTDIR"

"$PYTHON" "$PROGRAM_FILES/large-source.py" 700 "${VMPAGER_TEST_SEED:-1}" >large.c
ls -l large.c
program_start 64 1G
compile=(gcc -w -O1 -g -frandom-seed=1 -c large.c)
natively "${compile[@]}" -o native.o
paged "${compile[@]}" -o paged.o
cmp native.o paged.o || fail "other object code"
check_paged cc1 200 20000
check_held
