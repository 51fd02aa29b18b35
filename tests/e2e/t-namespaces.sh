#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# unshare(1), nsenter(1) and bubblewrap run under vmpager, and what they start in other namespaces is paged.
. "$(dirname "$0")/lib.sh"
skip_without jq unshare nsenter bwrap setpriv
cd "$TESTDIR"
daemon_config 1G 16M
daemon_start

# in_namespaces COMMAND...: 40 MiB are right behind that command, and were paged under the limit.
in_namespaces() {
        "${RUN[@]}" --limit 16M --stats stats.json -- "$@" "$HELPERS/fill" 40 >out 2>&1 </dev/null ||
                fail "$*: exit status $?: $(cat out)"
        check_num "wrong pages ($*)" "$(value_of out wrong_pages)" -eq 0
        check_num "evicted pages ($*)" "$(json stats.json '[.clients[] | select(.comm == "fill") | .evicted_pages] | add')" \
                -ge $((24 * 256))
        check_num "peak ($*)" "$(json stats.json '[.clients[] | .peak_resident_bytes] | max')" -le $((24 << 20))
        echo "ok $*"
}

in_namespaces unshare -m
in_namespaces unshare -n
in_namespaces unshare -i -u -C
in_namespaces unshare --fork --pid --mount-proc
in_namespaces bwrap --ro-bind / / --dev /dev --proc /proc
in_namespaces bwrap --ro-bind / / --dev /dev --proc /proc --unshare-pid --die-with-parent
in_namespaces bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all --new-session
in_namespaces bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all --uid 1000 --gid 1000 --cap-drop ALL

# Without privileges: user namespaces, where the kernel gives them.
public=$(public_prefix)
install -m 755 "$HELPERS/fill" fill
if as_nobody unshare -Ur true; then
        as_nobody "$public/bin/vmpagerctl" run --limit 16M -- \
                bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all ./fill 40 >out 2>&1 </dev/null ||
                fail "bwrap of an unprivileged user: $(cat out)"
        check_num "wrong pages" "$(value_of out wrong_pages)" -eq 0
        echo "ok bwrap of an unprivileged user"
fi

# The kernel refuses these to a process of more than one thread: the agent steps aside.
in_namespaces unshare -Ur
in_namespaces unshare -Ur --fork --pid --mount-proc
in_namespaces nsenter --target $$ --mount

store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq '.store.disk_bytes')" = 0 ]
}
wait_for 15 store_empty
