#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# redis-server with 730 MB of values under a limit of 256M has, after overwrites and reads, the data of a native run.
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
skip_without jq redis-server redis-cli redis-benchmark "$PYTHON"
cd "$TESTDIR"

KEYS=7300
BYTES=100000
CHANGES=8000
READS=4000
socket=$TESTDIR/redis.sock
server=

cli() {
        redis-cli -s "$socket" "$@"
}

answers() {
        [ "$(cli PING)" = PONG ]
}

# feeds ARGUMENT...: sends a stream of redis-load.py; every command has to be answered without an error.
feeds() {
        "$PYTHON" "$here/redis-load.py" "$@" | cli --pipe >pipe.out
        check_match "the answers to $1" "$(cat pipe.out)" "errors: 0, replies: [1-9]"
}

# fills_redis COMMAND...: starts redis-server by the command, and sends it both streams.
fills_redis() {
        local began=$SECONDS
        "$@" redis-server --save '' --appendonly no --port 0 --unixsocket "$socket" --enable-debug-command yes \
                --daemonize no >redis.log 2>&1 &
        server=$!
        wait_for 30 answers
        feeds load $KEYS $BYTES 1
        echo "loaded after $((SECONDS - began)) s"
        feeds change $KEYS $BYTES 2 $CHANGES
        echo "changed after $((SECONDS - began)) s"
}

# Sets digest, and ends the server.
ends_redis() {
        check_eq "the number of keys" "$(cli DBSIZE)" $KEYS
        digest=$(cli DEBUG DIGEST)
        cli SHUTDOWN NOSAVE
        wait $server || fail "redis-server: exit status $?"
        check_match "the digest" "$digest" '^[0-9a-f]{40}$'
}

echo "--- natively"
fills_redis env
ends_redis
native=$digest
check_num "the digest of no data" "$(grep -c '[1-9a-f]' <<<"$native")" -eq 1

echo "--- under vmpager"
fills_redis "${RUN[@]}" --private --limit 256M --stats stats.json
# Random reads of whole values, by several connections; the keys are those of redis-load.py.
redis-benchmark -s "$socket" -c 8 -n $READS -r $KEYS -q GET key:__rand_int__ >benchmark.out
tr '\r' '\n' <benchmark.out | grep 'requests per second'
check_match "hits" "$(cli INFO stats)" "keyspace_misses:0"
check_num "MB of values" "$(($(cli INFO memory | sed -nE 's/^used_memory:([0-9]+).*/\1/p') / 1000000))" -ge 700
ends_redis
check_eq "the digest" "$digest" "$native"
jq -c '.clients[0] | {peak_resident_bytes, evicted_pages, faults, service_us}' stats.json
check_num "peak" "$(json stats.json '.clients[0].peak_resident_bytes')" -le $((288 << 20))
check_num "evicted pages" "$(json stats.json '.clients[0].evicted_pages')" -ge $((400 * 256))
check_num "pages read from disk" "$(fetched stats.json)" -ge 100000
check_num "poisoned pages" "$(json stats.json '.clients[0].poisoned_pages')" -eq 0
