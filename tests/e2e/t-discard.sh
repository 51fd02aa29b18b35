#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Freed space is given back: what a store takes on a file system (a file with holes, the file of a loop device, an NBD
# server's file) goes down when a program has freed memory or has ended, what is left of it stays right, and so does
# what is written while discards are slow or fail. A file that nobody asked holes of keeps its room.
. "$(dirname "$0")/storage.sh"
skip_without jq "$PYTHON" losetup fallocate
cd "$TESTDIR"

# takes FILE: MiB of it on its file system.
takes() {
        sync "$1"
        echo $(($(stat -c %b "$1") * 512 >> 20))
}

takes_less() {
        [ "$(takes "$1")" -lt "$2" ]
}

takes_more() {
        [ "$(takes "$1")" -gt "$2" ]
}

discards() {
        [ "$(stored discarding_bytes)" -gt 0 ]
}

# What this machine has not, in words.
lacks=

discarded_or_refused() {
        [ "$(stored discarded_bytes)" -gt 0 ] || says 'discard'
}

# gives_back FILE: the daemon is on it. Two programs fill it, one ends and the other is right, before and after.
gives_back() {
        local full
        begin one 5ca1ab1e
        filled one
        begin two 0ddba11
        filled two
        wait_for 60 is_written
        full=$(takes "$1")
        check_num "MiB that it takes with two" "$full" -gt 80
        well two
        wait_for 60 takes_less "$1" $((full - 30)) # of 48; a group of 16 MiB can be of both
        well one
        wait_for 60 takes_less "$1" 4
        begin late f01dab1e
        filled late
        well late
        wait_for 60 takes_less "$1" 4
        check_eq "bytes in use" "$(stored disk_bytes)" 0
        check_eq "errors" "$(store_errors)" 0
        check_eq "discards that failed" "$(stored discard_errors)" 0
        check_num "bytes discarded" "$(stored discarded_bytes)" -gt $((100 << 20))
        "$VMPAGERCTL" stats | grep 'discarded' || fail "the statistics do not say it"
}

echo "--- a file, not asked for, and with no"
for line in "discard = auto" "discard = no"; do
        daemon_again 256M "$line"
        check_num "MiB at the start" "$(takes store)" -ge 256
        begin one 5ca1ab1e
        filled one
        well one
        check_num "MiB at the end" "$(takes store)" -ge 256
        check_eq "bytes discarded" "$(stored discarded_bytes)" 0
done
daemon_stop

echo "--- a file"
truncate -s 1M probe
if fallocate --punch-hole --offset 0 --length 1M probe 2>probe.err; then
        for line in "" "encrypt = yes"; do
                daemon_again 512M "discard = yes" "$line"
                check_num "MiB at the start" "$(takes store)" -lt 4
                gives_back store
        done

        echo "--- a program frees half of its memory, and goes on"
        daemon_again 512M "discard = yes"
        cat >half.py <<'PY'
import hashlib, mmap, sys
SIZE = 64 << 20
def fill(tag):
    m = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, SIZE, 4096):
        m[at:at + 32] = hashlib.sha256(b"%d %d" % (tag, at)).digest()
    return m
def check(m, tag):
    return all(m[at:at + 32] == hashlib.sha256(b"%d %d" % (tag, at)).digest() for at in range(0, SIZE, 4096))
keep, drop = fill(1), fill(2)
print("filled", flush=True)
sys.stdin.readline()
drop.close()
print("freed", flush=True)
sys.stdin.readline()
print("right" if check(keep, 1) else "wrong", flush=True)
PY
        mkfifo half.go
        "${RUN[@]}" --limit 16M --stats half.json "$PYTHON" half.py <>half.go >half.out 2>half.err &
        half=$!
        wait_for 60 grep -q filled half.out
        wait_for 60 takes_more store 90
        full=$(takes store)
        echo >half.go
        wait_for 60 grep -q freed half.out
        wait_for 60 takes_less store $((full - 30))
        echo >half.go
        wait $half || fail "exit status $?: $(cat half.out half.err)"
        check_eq "what is left" "$(tail -n 1 half.out)" right

        echo "--- discards that are slow, and that fail"
        for fault in delay:2s errno:EIO errno:EOPNOTSUPP; do
                VMPAGER_FAULTPOINTS="store-discard=$fault" daemon_again 160M "discard = yes"
                for _ in 1 2 3; do
                        begin one 5ca1ab1e
                        begin two 0ddba11
                        filled one
                        filled two
                        well one
                        well two
                done
                [ $fault = delay:2s ] || wait_for 30 says 'store main: .*discard'
                check_eq "errors" "$(store_errors)" 0
        done
        echo "--- the daemon ends while it discards"
        VMPAGER_FAULTPOINTS="store-discard=delay:2s" daemon_again 256M "discard = yes"
        begin one 5ca1ab1e
        filled one
        well one
        wait_for 30 discards
        daemon_stop
else
        lacks="no holes can be made in files here: $(cat probe.err)"
        echo "$lacks"
fi

echo "--- a block device"
truncate -s 512M disk
loop_device "$TESTDIR/disk"
limit=/sys/block/$(basename "$device")/queue/discard_max_bytes
daemon_again 0 "path = $device" "discard = yes"
begin one 5ca1ab1e
filled one
well one
wait_for 30 discarded_or_refused
if [ "$(stored discarded_bytes)" -gt 0 ]; then
        daemon_stop
        rm disk
        loop_detach "$device"
        for line in "" "encrypt = yes"; do
                fallocate --length 512M disk
                loop_device "$TESTDIR/disk"
                daemon_again 0 "path = $device" "$line"
                wait_for 60 takes_less disk 4 # what was there before
                gives_back disk
                daemon_stop
                loop_detach "$device"
        done
        echo "--- a block device, with no"
        fallocate --length 128M disk
        loop_device "$TESTDIR/disk"
        daemon_again 0 "path = $device" "discard = no"
        begin one 5ca1ab1e
        filled one
        well one
        check_num "MiB of it at the end" "$(takes disk)" -ge 128
        check_eq "bytes discarded" "$(stored discarded_bytes)" 0
        daemon_stop
        loop_detach "$device"
else
        lacks="this kernel or its loop devices discard nothing ($(cat "$limit") bytes at once): $(grep discard vmpagerd.log)"
        echo "$lacks"
        says 'discard' || fail "no line of the log says so"
        daemon_stop
fi
rm disk

echo "--- an NBD server"
if ! command -v nbdkit >/dev/null; then
        lacks="nbdkit is not installed"
elif "$VMPAGERD" --check --config /dev/stdin <<<$'[store s]\npath = nbd://host/' 2>&1 | grep 'built without libnbd'; then
        lacks="built without libnbd"
else
        truncate -s 512M content
        nbdkit -f -U "$TESTDIR/nbd" --filter=log file content logfile=requests >nbdkit.log 2>&1 &
        server=$!
        at_exit "kill $server"
        wait_for 10 test -S nbd
        daemon_again 512M "path = nbd+unix:///?socket=$TESTDIR/nbd"
        gives_back content
        check_match "the requests" "$(grep -m 3 Trim requests)" 'Trim .*count=0x100000 '
        daemon_stop
fi
[ -z "$lacks" ] || skip "$lacks"
