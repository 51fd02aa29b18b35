#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# PostgreSQL, as an unprivileged user, with backends in a quarter of their memory: queries, balances and tables are those
# of a native server, the indexes and checksums are right.
. "$(dirname "$0")/program.sh"
bin=$(find /usr/lib/postgresql/*/bin /usr/bin -maxdepth 1 -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || skip "PostgreSQL is not installed"
skip_without jq setpriv psql
cd "$TESTDIR"
public=$(public_prefix)
RUN=("$public/bin/vmpagerctl" run)
install -m 755 "$PROGRAM_FILES/measure" measure.py
install -m 700 -d -o 65534 -g 65534 user
sockets=$TESTDIR/user
server=

sql() {
        as_nobody psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$sockets" "$@" postgres
}

answers() {
        sql -c 'SELECT 1'
}

postmaster() {
        head -n 1 "user/$1/postmaster.pid"
}

# server_starts DATA HOW...: a new cluster, and a server started by the command.
server_starts() {
        local data=$1
        shift
        as_nobody "$bin/initdb" -D "user/$data" --data-checksums --auth=trust --no-locale -E UTF8 -U nobody >initdb.log 2>&1 || {
                cat initdb.log
                fail initdb
        }
        as_nobody "$PYTHON" measure.py "user/$data.measure" "$@" "$bin/postgres" -D "$TESTDIR/user/$data" -k "$sockets" \
                -c listen_addresses= -c shared_buffers=4MB -c dynamic_shared_memory_type=mmap -c fsync=off -c jit=off \
                -c autovacuum=off -c max_connections=20 >"$data.log" 2>&1 &
        server=$!
        wait_for 60 answers
}

# Orderly, so that the checksums can be looked at.
server_ends() {
        kill -s INT "$(postmaster "$1")"
        wait $server || fail "postgres: exit status $?: $(tail -n 20 "$1.log")"
        as_nobody "$bin/pg_checksums" --check -D "user/$1" >checksums.out || fail "$(cat checksums.out)"
        check_match "the checksums" "$(cat checksums.out)" 'Bad checksums: +0$'
}

# works DATA: what the server computes goes to DATA.out.
works() {
        sql -f "$PROGRAM_FILES/postgres.sql" >"$1.out"
        # Each client's transactions are given by the seed; their sums do not depend on the order.
        as_nobody "$bin/pgbench" -h "$sockets" -i -s 2 -q postgres >pgbench.log 2>&1 || fail "$(cat pgbench.log)"
        as_nobody "$bin/pgbench" -h "$sockets" -n -c 6 -j 1 -t 150 --random-seed=7 postgres >pgbench.log 2>&1 ||
                fail "$(cat pgbench.log)"
        sql >>"$1.out" <<-'SQL'
		SELECT 'balances', (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
		        (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history);
		SELECT 'history', count(*) FROM pgbench_history;
		SET work_mem = '96MB';
		SELECT 'accounts', md5(string_agg(a::text, '' ORDER BY aid)) FROM pgbench_accounts a;
		SELECT 'index', bt_index_parent_check('pgbench_accounts_pkey', true) IS NOT NULL;
	SQL
        check_match "the balances" "$(cat "$1.out")" '^balances\|(-?[0-9]+)\|\1\|\1\|\1$'
        check_match "transactions" "$(cat "$1.out")" '^history\|900$'
}

program_start 20 2G
server_starts native
works native
cat native.out
server_ends native
server_starts paged "${RUN[@]}" --limit "${LIMIT}M" --stats user/stats.json
works paged
server_ends paged
diff native.out paged.out || fail "other results"
cp user/native.measure native.measure
cp user/paged.measure paged.measure
cp user/stats.json stats.json
check_paged postgres 200 20000
