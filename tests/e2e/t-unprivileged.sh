#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# Under a root daemon a user without any right is paged, though it may make no userfaultfd of its own.
. "$(dirname "$0")/lib.sh"
skip_without jq setpriv
cd "$TESTDIR"

check_eq "vm.unprivileged_userfaultfd" "$(cat /proc/sys/vm/unprivileged_userfaultfd)" 0
as_nobody test ! -r /dev/userfaultfd || fail "/dev/userfaultfd is open to everybody: this would show nothing"
public=$(public_prefix)
install -m 755 "$HELPERS/fill" fill
install -m 755 -d user
chown 65534:65534 user
daemon_config 1G 512M
daemon_start

# nobody_runs OPTION... -- CMD...: vmpagerctl run as that user, with its statistics.
nobody_runs() {
        as_nobody "$public/bin/vmpagerctl" run --stats user/stats.json "$@"
}

# The user's own words for who it is, from within.
identity=$(nobody_runs --limit 64M -- grep -E '^(Uid|Gid|CapEff):' /proc/self/status | tr -s '\t\n' '  ')
check_eq "who runs" "$identity" "Uid: 65534 65534 65534 65534 Gid: 65534 65534 65534 65534 CapEff: 0000000000000000 "

nobody_runs --limit 64M -- ./fill 256 >out || fail "fill: exit status $?: $(cat out)"
check_num "wrong pages" "$(value_of out wrong_pages)" -eq 0
check_eq "programs" "$(json user/stats.json '.clients | length')" 1
check_eq "the owner of the statistics" "$(stat -c %u user/stats.json)" 65534
check_num "limit" "$(json user/stats.json '.clients[0].limit_bytes')" -eq $((64 << 20))
check_num "peak" "$(json user/stats.json '.clients[0].peak_resident_bytes')" -le $((96 << 20))
check_num "evicted pages" "$(json user/stats.json '.clients[0].evicted_pages')" -ge $((192 * 256))
check_num "pages read from disk" "$(fetched user/stats.json)" -ge $((192 * 256))

# System calls of that user fault as well: the kernel reads evicted pages for write(2), and writes to them for read(2).
install -m 755 "$HELPERS/mt-verify" mt-verify
nobody_runs --limit 32M -- ./mt-verify 2 128 5 "$RANDOM" >out || fail "mt-verify: exit status $?: $(cat out)"

"$VMPAGERCTL" stats --json >after.json
check_num "bytes in the store afterwards" "$(json after.json .store.disk_bytes)" -eq 0
