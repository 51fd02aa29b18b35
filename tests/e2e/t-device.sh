#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A block device as the store: right bytes while it is well. Then the device fails under running programs: a part of it
# cannot be read, it cannot be written, it has no room for what it promised. SIGBUS for what is lost and for nothing else,
# no wrong byte, and no harm to who does not need it.
here=$(dirname "$0")
. "$here/storage.sh"
skip_without jq "$PYTHON" losetup mkfs.ext4
cd "$TESTDIR"

SIZE=128 # MiB

# disk FOLDER [ARGUMENT...]: a device whose file is there, all of it a hole.
disk() {
        truncate -s ${SIZE}M "$1/disk"
        loop_device "$1/disk" "${@:2}"
}

echo "--- well: in units of pages, of sectors, and on a disk whose sectors are pages"
mkdir well
for sectors in 512 4096; do
        disk well --sector-size $sectors
        for line in "" "codec = lz4" "encrypt = yes"; do
                daemon_again 0 "path = $device" "$line"
                check_eq "its size" "$(stored disk_capacity_bytes)" $((SIZE << 20))
                says "store main: $device is a loop device without direct I/O: .* run losetup --direct-io=on $device," ||
                        fail "no line says that the device is buffered"
                begin one 5ca1ab1e
                filled one
                check_num "bytes in use" "$(stored disk_bytes)" -gt $((20 << 20))
                well one
                check_num "written pages" "$(total one.json .written_pages)" -gt $((40 * 256))
                check_eq "errors" "$(store_errors)" 0
                check_eq "bytes afterwards" "$(stored disk_bytes)" 0
        done
        refused "store main: the block device $device is mounted or in use" "$VMPAGERD" --foreground --config vmpagerd.conf
        daemon_stop
        loop_detach "$device"
        rm well/disk
done

for how in cut shrunk; do
        echo "--- a part of it is lost ($how)"
        disk well
        daemon_again 0 "path = $device"
        begin one 5ca1ab1e
        begin two 0ddba11
        begin small ca11ab1e 128M # has nothing in the store
        filled one
        filled two
        filled small
        wait_for 30 is_written
        sync well/disk
        cut=$((72 << 20))
        lost_one=$(tagged well/disk 5ca1ab1e $cut)
        lost_two=$(tagged well/disk 0ddba11 $cut)
        echo "$lost_one and $lost_two pages lie there"
        check_num "pages that lie there" "$((lost_one + lost_two))" -gt 1000
        truncate -s $cut well/disk # the device reads as zeros there
        said='page 0x[0-9a-f]+ is lost: what the store has at location [0-9]+ is not what was written there; .* SIGBUS'
        if [ $how = shrunk ]; then
                losetup --set-capacity "$device" # and does not answer
                said='page 0x[0-9a-f]+ is lost: the store could not read location [0-9]+: error 5; .* SIGBUS'
        fi
        loses one "$lost_one"
        loses two "$lost_two"
        well small
        check_num "read errors" "$(stored read_errors)" -ge "$((lost_one + lost_two))"
        says "$said" || fail "the log does not say '$said': $(tail -n 5 vmpagerd.log)"
        check_eq "bytes afterwards" "$(stored disk_bytes)" 0
        # There is room enough for another.
        begin late f01dab1e
        filled late
        well late
        daemon_stop
        loop_detach "$device"
        rm well/disk
done

for policy in wait grow; do
        for how in worn full; do
                echo "--- it cannot be written ($how), on_full = $policy"
                filesystem $how-$policy 160 ext4 -e remount-ro
                # Without direct I/O, the loop driver takes writes that have found room for a part for done.
                disk $how-$policy --direct-io=on
                daemon_again 0 "path = $device" "on_full = $policy"
                says 'without direct I/O' && fail "a line says that the device is buffered"
                begin one 5ca1ab1e
                begin small ca11ab1e 128M
                filled one
                filled small
                wait_for 30 is_written
                case $how in
                worn) wear_out worn-$policy ;;
                full) fill_up full-$policy ;;
                esac
                begin two 0ddba11
                if [ $policy = wait ]; then
                        wait_for 60 waits_for_room
                        serves_others
                        grep filled two.out && fail "the second has not waited"
                else
                        filled two
                        well two
                        check_num "pages beyond the limit" "$(total two.json .over_limit_pages)" -gt 0
                fi
                # What was written is read, and what nobody can write stays in memory.
                well one
                well small
                case $policy-$how in
                wait-worn)
                        grep filled two.out && fail "the second has not waited"
                        says 'client [0-9]+: the store takes no writes \(error 5\): eviction waits' || fail "no line says so"
                        # shellcheck disable=SC2154 # set by begin
                        end_process "$(pgrep -P "$two")" KILL
                        wait "$two" && fail "no exit status of a killed program"
                        ;;
                wait-full)
                        rm full-$policy/filler
                        filled two
                        well two
                        ;;
                esac
                wait_for 15 store_empty
                check_num "write errors" "$(stored write_errors)" -gt 0
                check_eq "other errors" "$(($(stored read_errors) + $(stored checksum_errors)))" 0
                daemon_stop
        done
done
