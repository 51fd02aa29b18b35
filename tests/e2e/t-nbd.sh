#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Pages on an NBD server: right bytes from one that is well, slow, or started again under its clients; SIGBUS and a line,
# and no wrong byte, where it answers errors or is gone for good, and no harm to who does not need it.
. "$(dirname "$0")/storage.sh"
skip_without jq "$PYTHON"
cd "$TESTDIR"

skip_without_nbd

# store LINE...: a daemon on the server, with further lines about the store.
store() {
        [ -z "$daemon_pid" ] || daemon_stop
        : >vmpagerd.log
        daemon_config 512M 16M "path = nbd+unix:///?socket=$SOCKET" "$@"
        daemon_start >/dev/null
}

written() {
        "$VMPAGERCTL" stats --json | jq -e "([.clients[].written_pages] | add) > $1"
}

# The server is lost, and not yet back: the log says so.
is_lost() {
        [ "$(grep -c 'NBD server .* is lost' vmpagerd.log)" -gt "$(grep -c 'NBD server is back' vmpagerd.log)" ]
}

is_back() {
        ! is_lost
}

echo "--- memory"
server memory 512M
for lines in "" "codec = lz4" "encrypt = yes"; do
        store "$lines"
        begin one 5ca1ab1e
        filled one
        well one
        check_num "written pages" "$(total one.json .written_pages)" -gt $((40 * 256))
        check_eq "bytes afterwards" "$(stored disk_bytes)" 0
        check_eq "errors" "$(($(stored read_errors) + $(stored write_errors) + $(stored checksum_errors)))" 0
done
"${RUN[@]}" --limit 16M "$HELPERS/fork-verify" 64 2 2 fork >fork.out || fail "fork-verify: exit status $?: $(cat fork.out)"
server_kill

echo "--- one connection for all workers"
server --filter=noparallel memory 512M serialize=connections
store
check_match "the log" "$(cat vmpagerd.log)" 'has no multi-conn: one connection is used'
begin first 5ca1ab1e
begin second 0ddba11
filled first
filled second
well first
well second
daemon_stop
server_kill

echo "--- slow"
server --filter=delay memory 512M delay-read=2ms delay-write=50ms
store
begin slow 5ca1ab1e
filled slow
well slow
server_kill

echo "--- errors"
server --filter=error memory 512M error=EIO error-pread-rate=2% error-pwrite-rate=5%
store
begin errors 5ca1ab1e
filled errors
tell errors
ends errors
check_num "pages that could not be read" "$sigbus" -gt 0
check_num "write errors" "$(stored write_errors)" -gt 0
check_match "the log" "$(cat vmpagerd.log)" \
        'page 0x[0-9a-f]+ is lost: the store could not read location [0-9]+: error 5; the client gets SIGBUS'
server_kill

echo "--- killed and started again: while it is written, before it is read, and while it is read"
truncate -s 512M content
server file file=content
store
begin again 5ca1ab1e
begin other 0ddba11
wait_for 60 written 2000
server_kill
wait_for 60 is_lost
check_eq "the server is away" "$(stored 'parts[0].away')" true
server
filled again
filled other
server_kill
tell again
wait_for 60 is_lost
server
wait_for 60 is_back
well again
tell other
server_kill
server
well other
check_eq "bytes afterwards" "$(stored disk_bytes)" 0
echo "retired: $(stored disk_retired_bytes) bytes"
daemon_stop
server_kill

echo "--- killed for good"
server memory 512M
store "timeout = 1s"
mkfifo victim.go small.go
"${RUN[@]}" --limit 32M "$PYTHON" -c '
import sys
memory = bytearray(b"x" * (96 << 20))
print("filled", flush=True)
sys.stdin.readline()
print(memory.count(b"x"))
' <>victim.go >victim.out 2>victim.err &
victim=$!
wait_for 60 grep -q filled victim.out
# One that has nothing out.
"${RUN[@]}" --limit 128M "$HELPERS/flipped" 64 ca11ab1e <>small.go >small.out 2>small.err &
small=$!
wait_for 60 grep -q filled small.out
server_kill
echo >victim.go
status=0
wait $victim || status=$?
check_eq "the exit status of who needs it" "$status" $((128 + 7))
check_match "the log" "$(cat vmpagerd.log)" 'the NBD server nbd\+unix:.* is lost \(.*\); what needs it waits, for 1s at most'
check_match "the log" "$(cat vmpagerd.log)" 'is lost: the store could not read location [0-9]+: error 110; .* SIGBUS'
echo >small.go
wait $small || fail "who does not need it: exit status $?: $(cat small.out small.err)"
check_eq "right pages of who does not need it" "$(value_of small.out right)" $PAGES
# Whoever comes now is served as well, as long as it is below its limit.
"${RUN[@]}" --limit 64M "$HELPERS/fill" 40 >late.out || fail "fill: exit status $?: $(cat late.out)"
check_num "wrong pages of who came late" "$(value_of late.out wrong_pages)" -eq 0
daemon_stop

echo "--- at the start"
refused 'store main: cannot use the NBD server nbd\+unix:.*: No such file|Connection refused' \
        "$VMPAGERD" --foreground --config vmpagerd.conf
server -r memory 512M
refused 'store main: the export of .* is read-only' "$VMPAGERD" --foreground --config vmpagerd.conf
server_kill
server memory 64M
refused 'store main: size=512M .* is more than .* has: 64M' "$VMPAGERD" --foreground --config vmpagerd.conf
daemon_config 512M 16M 'path = nbd+ftp://host/x'
refused 'store main: nbd\+ftp://host/x: there are nbd://' "$VMPAGERD" --check --config vmpagerd.conf
daemon_config 512M 16M "path = nbd+unix:///x"
refused 'store main: nbd\+unix:///x names no socket' "$VMPAGERD" --check --config vmpagerd.conf
