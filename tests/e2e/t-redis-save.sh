#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# redis-server writes snapshots and rewrites its log in forked children while its data change and are paged; natively they
# load back to the same data.
. "$(dirname "$0")/program.sh"
skip_without jq redis-server redis-cli "$PYTHON"
cd "$TESTDIR"

KEYS=2400
BYTES=100000
socket=$TESTDIR/redis.sock
server=

cli() {
        redis-cli -s "$socket" "$@"
}

answers() {
        [ "$(cli PING)" = PONG ]
}

feeds() {
        "$PYTHON" "$PROGRAM_FILES/redis-load.py" "$@" | cli --pipe >pipe.out
        check_match "the answers to $1" "$(cat pipe.out)" "errors: 0, replies: [1-9]"
}

digest() {
        cli DEBUG DIGEST
}

# starts DIR APPENDONLY HOW...
starts() {
        local dir=$1 append=$2
        shift 2
        mkdir -p "$dir"
        "$@" redis-server --save '' --appendonly "$append" --appendfsync no --auto-aof-rewrite-percentage 0 --port 0 \
                --unixsocket "$socket" --enable-debug-command yes --daemonize no --dir "$TESTDIR/$dir" >"$dir.log" 2>&1 &
        server=$!
        wait_for 60 answers
}

ends() {
        cli SHUTDOWN NOSAVE
        wait $server || fail "redis-server: exit status $?"
}

no_child() {
        ! cli INFO persistence | grep -qE '^(rdb_bgsave|aof_rewrite)_in_progress:1'
}

# ends_well NAME: the child has ended, and its work was good.
ends_well() {
        wait_for 120 no_child
        check_match "how the child ended" "$(cli INFO persistence)" "^$1:ok"
}

# works DIR: children work while the data change. Sets saved, the digest of the snapshot, and last, that of the log.
works() {
        feeds load $KEYS $BYTES 1
        cli BGREWRITEAOF
        feeds change $KEYS $BYTES 2 1500
        ends_well aof_last_bgrewrite_status
        cli BGSAVE
        feeds change $KEYS $BYTES 3 1500
        ends_well rdb_last_bgsave_status
        cli BGSAVE
        ends_well rdb_last_bgsave_status
        saved=$(digest)
        feeds change $KEYS $BYTES 4 500
        last=$(digest)
        check_num "children" "$(cli INFO stats | sed -nE 's/^total_forks:([0-9]+).*/\1/p')" -eq 3
        ends
}

program_start 72 2G
echo "--- natively"
starts native yes natively
works
native_saved=$saved native_last=$last
check_match "the digest" "$last" '^[0-9a-f]{40}$'

echo "--- under vmpager"
starts paged yes paged
works
check_eq "the digest of the snapshot" "$saved" "$native_saved"
check_eq "the digest of the log" "$last" "$native_last"

echo "--- what was written, natively"
starts paged no env
check_eq "the digest of the loaded snapshot" "$(digest)" "$saved"
ends
starts paged yes env
check_eq "the digest of the loaded log" "$(digest)" "$last"
ends
check_paged redis-server 400 50000
