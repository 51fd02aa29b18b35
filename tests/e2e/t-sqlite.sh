#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sqlite3 has the same rows, indexes and sums in a database in memory of four times its limit as natively.
. "$(dirname "$0")/program.sh"
skip_without jq sqlite3
cd "$TESTDIR"

program_start 32 1G
natively sqlite3 -batch -bail :memory: ".read $PROGRAM_FILES/sqlite.sql" >native.out
cat native.out
check_match "the integrity check" "$(cat native.out)" '^ok$'
check_match "the digest of all tables" "$(cat native.out)" '^[0-9a-f]{64}'

paged sqlite3 -batch -bail :memory: ".read $PROGRAM_FILES/sqlite.sql" >paged.out
check_eq "what sqlite3 says" "$(cat paged.out)" "$(cat native.out)"
check_paged sqlite3 400 100000
check_held
