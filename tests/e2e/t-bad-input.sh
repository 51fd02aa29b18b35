#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input and bad ground: each is one line that says what is wrong, a status other than 0, and nothing left behind.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$(realpath "$0")")
skip_without jq pgrep setpriv unshare mount gcc "$PYTHON"
cd "$TESTDIR"
private=("${RUN[@]}" --private)

echo "--- the command line"
one_line 125 '^vmpagerctl: run: there is no CMD' "${RUN[@]}"
one_line 125 '^vmpagerctl: run: --limit needs a value' "${RUN[@]}" --limit
one_line 125 '^vmpagerctl: run: "--frobnicate" is not an option' "${RUN[@]}" --frobnicate true
one_line 125 '^vmpagerctl: --limit lots: not a size; give ' "${RUN[@]}" --limit lots true
one_line 125 '^vmpagerctl: --limit -5M: not a size' "${RUN[@]}" --limit=-5M true
one_line 125 '^vmpagerctl: --limit 15M: too small; the least is 16M$' "${RUN[@]}" --limit 15M true
one_line 125 '^vmpagerctl: --limit 4000T: this machine has .* of memory' "${RUN[@]}" --limit 4000T true
one_line 125 '^vmpagerctl: --limit 99999999T: not a size' "${RUN[@]}" --limit 99999999T true
one_line 125 '^vmpagerctl: --store-size 0: not a size' "${RUN[@]}" --store-size 0 true
one_line 125 '^vmpagerctl: --stats .*/none/f: cannot make a file in .*/none: No such file' \
        "${private[@]}" --stats "$TESTDIR/none/f" true
one_line 125 '^vmpagerctl: --stats .*: is a directory' "${private[@]}" --stats "$TESTDIR" true
one_line 2 '^vmpagerctl: there is no command "frobnicate"' "$VMPAGERCTL" frobnicate
one_line 2 '^vmpagerctl: stats: "12x" is not a process id' "$VMPAGERCTL" stats 12x
one_line 1 '^vmpagerctl: no vmpagerd answers at .*/control.sock: start vmpagerd' \
        env VMPAGER_SOCKET="$TESTDIR/none.sock" "$VMPAGERCTL" stats

echo "--- programs that cannot be paged"
one_line 127 '^vmpagerctl: no-such-program: command not found$' "${private[@]}" no-such-program
one_line 127 '^vmpagerctl: \./none: no such file$' "${private[@]}" ./none
one_line 126 '^vmpagerctl: cannot run /etc/passwd: Permission denied$' "${private[@]}" /etc/passwd
one_line 126 '^vmpagerctl: cannot run /: Is a directory$' "${private[@]}" /
echo 'int main(void) { return 0; }' >program.c
gcc -static -o static program.c
gcc -o dynamic program.c
printf '#!%s/static\n' "$TESTDIR" >script
chmod 755 script
cp dynamic setuid && chmod 4755 setuid
cp dynamic setgid && chmod 2755 setgid
one_line 126 '^vmpagerctl: \./static is statically linked: .* cannot be paged' "${private[@]}" ./static
one_line 126 '^vmpagerctl: /.*/static is statically linked' "${private[@]}" ./script
one_line 126 '^vmpagerctl: \./setuid is set-uid: .* cannot be paged' "${private[@]}" ./setuid
one_line 126 '^vmpagerctl: \./setgid is set-gid: .* cannot be paged' "${private[@]}" ./setgid
if command -v setcap >/dev/null; then
        cp dynamic capable && setcap cap_net_raw+ep capable
        one_line 126 '^vmpagerctl: \./capable has file capabilities' "${private[@]}" ./capable
fi
"${private[@]}" ./dynamic

echo "--- the store"
one_line 125 "^vmpagerctl: --store /no/such/store: cannot use its directory: No such file" \
        "${private[@]}" --store /no/such/store true
one_line 125 "is a directory" "${private[@]}" --store "$TESTDIR" true
long=$TESTDIR/$(printf 'long%.0s' {1..50})
one_line 125 "^vmpagerctl: --store .*longlong: the path has [0-9]+ bytes, 192 are the most" \
        "${private[@]}" --store "$long" --store-size 64M true
one_line 125 "is a character device" "${private[@]}" --store /dev/null true
if [ "$(stat -f -c %T /dev)" = tmpfs ]; then
        one_line 125 "there is no device /dev/no-such-disk; name one that is there" \
                "${private[@]}" --store /dev/no-such-disk --store-size 64M true
fi
one_line 125 "too small; the least is " "${private[@]}" --store small --store-size 64K true
[ ! -e small ] || fail "small is left behind"
one_line 125 "filesystem has .* free; set a smaller size" "${private[@]}" --store large --store-size 200T true
[ ! -e large ] || fail "large is left behind"
echo "somebody's" >data
one_line 125 "a file of 11 bytes, which would be overwritten" "${private[@]}" --store data true
one_line 125 "may hold somebody's data" "${private[@]}" --store data --store-size 64M true
check_eq "somebody's file" "$(cat data)" "somebody's"
mkdir mounted
at_exit "umount -l '$TESTDIR/mounted' 2>/dev/null || true"
mount -t tmpfs -o size=32M tmpfs mounted
one_line 125 "filesystem has 32M" "${private[@]}" --store mounted/store --store-size 64M true
one_line 125 "half of the free space in .*/mounted, and 64M is the least" "${private[@]}" --store mounted/store true
"${private[@]}" --store mounted/store --store-size 16M true 2>err
check_match "the warning" "$(cat err)" '^vmpagerd: warning: .*mounted/store is in memory \(tmpfs\)'
check_eq "the number of warnings" "$(wc -l <err)" 1
mount -o remount,ro mounted
one_line 125 "not writable" "${private[@]}" --store mounted/store --store-size 16M true
umount mounted
mount -t ramfs ramfs mounted # has no O_DIRECT
"${private[@]}" --limit 32M --store mounted/store --store-size 256M "$HELPERS/page-writer" 100 >out 2>err
check_match "the output over buffered I/O" "$(cat out)" '^ok$'
check_match "the warning" "$(cat err)" '^vmpagerd: warning: .*mounted/store has no direct I/O'
check_match "the other" "$(cat err)" '^vmpagerd: warning: .*filesystem of .*mounted/store cannot set its room aside'
check_eq "the number of warnings" "$(wc -l <err)" 2
umount mounted
check_no_traces

echo "--- users"
public=$TESTDIR/public
mkdir "$public"
cp "$VMPAGERCTL" "$VMPAGERD" "$PRELOAD" "$public"
one_line 125 'a private one needs root: start vmpagerd, or use sudo' as_nobody \
        env VMPAGER_SOCKET="$TESTDIR/none.sock" VMPAGER_PRELOAD="$public/${PRELOAD##*/}" "$public/vmpagerctl" run true
one_line 125 'needs root' as_nobody env VMPAGER_PRELOAD="$public/${PRELOAD##*/}" "$public/vmpagerctl" run --private true
one_line 1 '^vmpagerd: .*needs root' as_nobody "$public/vmpagerd" --foreground

echo "--- an installation with parts missing"
one_line 125 '^vmpagerctl: cannot use the preload library /none.so; is vmpager installed' \
        env VMPAGER_PRELOAD=/none.so "${private[@]}" true
one_line 125 '^vmpagerctl: cannot start a private vmpagerd: /none: No such file' env VMPAGERD=/none "${private[@]}" true

echo "--- the kernel"
touch no-device
one_line 125 '^vmpagerd: /dev/userfaultfd gives no userfaultfd' \
        unshare --mount sh -c 'mount --bind no-device /dev/userfaultfd && exec "$@"' - "${private[@]}" true
one_line 125 '^vmpagerd: /dev/userfaultfd is not there' unshare --mount sh -c \
        'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"' - "${private[@]}" true
switch=/proc/sys/kernel/io_uring_disabled
if [ -e $switch ]; then # the setting is all other programs' too: it only seems to be changed
        echo 2 >disabled
        one_line 125 '^vmpagerd: io_uring is .*kernel.io_uring_disabled = 2' unshare --mount sh -c \
                "mount --bind disabled $switch && exec \"\$@\"" - "$here/no-io-uring" "${private[@]}" true
fi
one_line 125 '^vmpagerd: io_uring is (forbidden|.*kernel.io_uring_disabled)' "$here/no-io-uring" "${private[@]}" true

echo "--- the daemon's options"
one_line 2 '^vmpagerd: --ready-fd names a descriptor that is not open' "$VMPAGERD" --foreground --ready-fd 77

echo "--- the configuration"
# wrong_line TEXT PATTERN: the daemon refuses a configuration, with the number of the line.
wrong_line() {
        printf '[daemon]\nsocket = %s/s\n%b\n' "$TESTDIR" "$1" >bad.conf
        refused "^vmpagerd: .*bad.conf:[34]: .*$2" "$VMPAGERD" --foreground --config bad.conf
        refused "^vmpagerd: .*bad.conf:[34]: .*$2" "$VMPAGERD" --check --config bad.conf
        [ ! -e s ] || fail "the socket is left behind"
}
wrong_line 'frobnicate = 1' 'no such key'
wrong_line 'workers = none' 'workers'
wrong_line 'a line' 'not "\[section\]"'
wrong_line '[store a]\nsize = large' 'not a size'
wrong_line '[store a]\nkeep = maybe' 'yes or no'
wrong_line '[class default]\nlimit = 1M' '16M'
wrong_line '[class default]\nlimit = much' 'not a size'
wrong_line '[frobnicate]\na = 1' 'no such section'
one_line 1 '^vmpagerd: .*/none.conf cannot be read: No such file' "$VMPAGERD" --foreground --config "$TESTDIR/none.conf"
printf '[class default]\nlimit = 4000T\n' >bad.conf
one_line 1 '^vmpagerd: .*limit is above this machine' "$VMPAGERD" --foreground --config bad.conf

echo "--- another version"
"$here/other-protocol" server "$TESTDIR/other.sock" &
server=$!
at_exit "kill $server"
wait_for 15 test -S other.sock
one_line 125 'speaks protocol 99\.0, this vmpagerctl 1\.' env VMPAGER_SOCKET="$TESTDIR/other.sock" "${RUN[@]}" true
one_line 125 'protocol' env VMPAGER_SOCKET="$TESTDIR/other.sock" LD_PRELOAD="$PRELOAD" ./dynamic
VMPAGER_OPTIONAL=1 VMPAGER_SOCKET="$TESTDIR/other.sock" LD_PRELOAD=$PRELOAD ./dynamic 2>err
check_match "the message where paging is optional" "$(cat err)" 'protocol'
daemon_config 256M 64M
daemon_start
check_match "the daemon's answer" "$("$here/other-protocol" client "$VMPAGER_SOCKET")" 'protocol 99\.0.*1\.'
one_line 1 'in use|already|another' "$VMPAGERD" --foreground --config "$TESTDIR/vmpagerd.conf"

echo "--- clients killed in the middle of filling, evicting and faulting; the daemon serves the next"
for moment in 0 1 2 3 4 5 6 7; do
        rm -f pid go
        "${RUN[@]}" "$HELPERS/page-writer" 300 pid go >/dev/null 2>&1 &
        run=$!
        wait_for 15 test -s pid
        pid=$(cat pid)
        touch go
        evicted_some() {
                [ "$("$VMPAGERCTL" stats "$pid" --json | jq '.clients[0].evicted_pages')" -ge $((moment * 10000)) ]
        }
        wait_for 60 evicted_some
        kill -KILL "$pid"
        wait $run 2>/dev/null || true
done
no_clients() {
        [ "$("$VMPAGERCTL" stats --json | jq '.clients | length')" = 0 ]
}
wait_for 15 no_clients
"${RUN[@]}" "$HELPERS/page-writer" 200 >out
check_match "the output of the next" "$(cat out)" '^ok$'
store_empty() {
        [ "$("$VMPAGERCTL" stats --json | jq '.store.disk_bytes')" = 0 ]
}
wait_for 15 store_empty
check_no_traces
