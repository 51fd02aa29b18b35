# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of storage that fails share: programs that say what became of their pages, and devices and file systems
# that can be made to fail. All of it is undone when the test ends.
#
# A program is of PAGES pages with a limit of 16 MiB. It fills them, waits for a line, and reads them:
#
#     begin one 5ca1ab1e; filled one; ...; tell one; ends one; echo "$sigbus of them could not be read"

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PAGES=$((64 * 256))

# --- programs ------------------------------------------------------------------------------------

# begin NAME TAG [LIMIT]: TAG is in each of its pages, and no other program's. The variable NAME is the pid of its
# "vmpagerctl run".
begin() {
        rm -f "$1.go" "$1.out"
        mkfifo "$1.go"
        "${RUN[@]}" --limit "${3:-16M}" --stats "$1.json" "$HELPERS/flipped" 64 "$2" <>"$1.go" >"$1.out" 2>"$1.err" &
        eval "$1=$!"
}

filled() {
        wait_for 60 grep -q filled "$1.out"
}

# tell NAME: it reads from now on.
tell() {
        echo >"$1.go"
        rm "$1.go"
}

# ends NAME: it was told to read all, does so, and none is wrong. Sets sigbus: how many could not be read.
ends() {
        wait "${!1}" || fail "$1: exit status $?: $(cat "$1.out" "$1.err")"
        sigbus=$(value_of "$1.out" sigbus)
        check_eq "wrong pages of $1" "$(value_of "$1.out" wrong)" 0
        check_eq "right pages of $1" "$(value_of "$1.out" right)" $((PAGES - sigbus))
        check_num "poisoned pages of $1" "$(total "$1.json" .poisoned_pages)" -eq "$sigbus"
}

# well NAME: it is told to read all, if it was not yet, and all is right.
well() {
        [ ! -p "$1.go" ] || tell "$1"
        ends "$1"
        check_eq "pages of $1 that could not be read" "$sigbus" 0
}

# loses NAME N: it is told to read all, and that many pages it cannot read.
loses() {
        tell "$1"
        ends "$1"
        check_eq "pages of $1 that could not be read" "$sigbus" "$2"
}

# serves_others: whoever comes now is served, as long as it is below its limit.
serves_others() {
        "${RUN[@]}" --limit 64M "$HELPERS/fill" 40 >late.out || fail "fill: exit status $?: $(cat late.out)"
        check_num "wrong pages of another" "$(value_of late.out wrong_pages)" -eq 0
}

# --- the daemon ----------------------------------------------------------------------------------

# stored NAME: that statistic of the store's.
stored() {
        "$VMPAGERCTL" stats --json | jq -er ".store.$1"
}

# of_part NAME FIELD: of one of the files, devices and servers.
of_part() {
        "$VMPAGERCTL" stats --json | jq -er ".store.parts[] | select(.name == \"$1\") | .$2"
}

store_errors() {
        "$VMPAGERCTL" stats --json | jq -er '.store | .read_errors + .write_errors + .checksum_errors'
}

# clients FILTER: a sum over all programs.
clients() {
        "$VMPAGERCTL" stats --json | jq -er "[.clients[] | $1] | add // 0"
}

store_empty() {
        [ "$(stored disk_bytes)" = 0 ]
}

# All that was evicted is in the store, and nothing is on its way there.
is_written() {
        "$VMPAGERCTL" stats --json | jq -e '.clients | length > 0 and
                all(.standby_pages == 0 and .written_pages == .evicted_pages)'
}

# A program waits for room in the store.
waits_for_room() {
        [ "$(clients .store_full)" -gt 0 ]
}

says() {
        grep -qE -- "$1" vmpagerd.log
}

# daemon_again SIZE LINE...: another daemon with a limit of 16M and further lines about the store, its log from now on.
daemon_again() {
        [ -z "$daemon_pid" ] || daemon_stop
        : >vmpagerd.log
        daemon_config "$1" 16M "${@:2}"
        daemon_start >/dev/null
}

# --- an NBD server ---------------------------------------------------------------------------------

# shellcheck disable=SC2034 # for the tests
SOCKET=$TESTDIR/nbd
server_pid=

skip_without_nbd() {
        skip_without nbdkit
        if "$VMPAGERD" --check --config /dev/stdin <<<$'[store s]\npath = nbd://host/' 2>&1 |
                grep 'built without libnbd'; then
                exit 77
        fi
}

# server ARGUMENT...: starts nbdkit, and again with no arguments.
server() {
        [ $# = 0 ] || server_arguments=("$@")
        rm -f "$SOCKET"
        nbdkit -f -U "$SOCKET" "${server_arguments[@]}" >>nbdkit.log 2>&1 &
        server_pid=$!
        wait_for 10 test -S "$SOCKET"
}

server_kill() {
        [ -n "$server_pid" ] || return 0
        kill -KILL "$server_pid"
        wait "$server_pid" || true
        server_pid=
}
at_exit server_kill

# --- devices and file systems --------------------------------------------------------------------

# Sees to it that the next free loop device has a node, where nobody else does; prints nothing or the node made.
loop_node() {
        "$PYTHON" - <<'PY'
import fcntl, os, stat
LOOP_CTL_GET_FREE, LOOP_MAJOR = 0x4C82, 7
with open("/dev/loop-control", "rb") as control:
    number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
node = f"/dev/loop{number}"
if not os.path.exists(node):
    os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, number))
    print(node)
PY
}

declare -A attached # loop devices that are ours

# loop_device FILE [ARGUMENT...]: a block device of a file. Sets device.
loop_device() {
        local node
        if ! node=$(loop_node 2>loop.err) || ! device=$(losetup --find --show "${@:2}" "$1" 2>loop.err); then
                skip "no loop device can be had here: $(tail -n 1 loop.err)"
        fi
        [ -z "$node" ] || at_exit "rm -f '$node'"
        attached[$device]=yes
        at_exit "loop_detach '$device'"
}

# loop_detach DEVICE: nothing where that was done before: it may be somebody else's by now.
loop_detach() {
        [ -n "${attached[$1]-}" ] || return 0
        unset "attached[$1]"
        losetup --detach "$1"
}

declare -A device_of # a file system by its name

# filesystem NAME MIB TYPE [ARGUMENT...]: a file system of type ext3 or ext4, made with further arguments for mkfs, and
# mounted as the folder NAME.
filesystem() {
        truncate -s "$2M" "$1.image"
        "mkfs.$3" -q -F -m 0 "${@:4}" "$1.image"
        loop_device "$1.image"
        device_of[$1]=$device
        mkdir "$1"
        mount "$device" "$1"
        at_exit "umount '$TESTDIR/$1'"
}

# fill_up NAME: takes all the room that the file system has, in one file of somebody else's.
fill_up() {
        dd if=/dev/zero of="$1/filler" bs=64k status=none 2>dd.err || true
        check_match "what ends dd" "$(cat dd.err)" 'No space left'
        sync -f "$1"
}

# wear_out NAME: from now on the file system, ext4 with "-e remount-ro", cannot be written, and read as before.
wear_out() {
        echo 1 >"/sys/fs/ext4/$(basename "${device_of[$1]}")/trigger_fs_error"
}

# tagged FILE TAG [FROM]: pages of the program with that tag in a store that keeps them as they are, from that byte on.
tagged() {
        "$PYTHON" - "$1" "$2" "${3:-0}" <<'PY'
import struct, sys
tag, start, n = int(sys.argv[2], 16) << 32, int(sys.argv[3]), 0
with open(sys.argv[1], "rb") as file:
    file.seek(start)
    while len(page := file.read(4096)) == 4096:
        n += struct.unpack_from("<Q", page)[0] & ~0xFFFFFFFF == tag
print(n)
PY
}
