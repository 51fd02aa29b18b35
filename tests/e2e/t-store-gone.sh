#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# One of two stores goes away under running programs, for good: a device that has no sector any more, and a medium all
# of whose I/O says ENODEV. SIGBUS for what was there and for nothing else, a line in the log for some of it, right
# bytes from the other store, which has all that is written from then on. (A server that is killed: t-nbd.)
. "$(dirname "$0")/storage.sh"
skip_without jq "$PYTHON" losetup

cd "$TESTDIR"

# two PATH [LINE...]: a daemon with two stores, of which the second, at PATH, has nearly all that is written.
two() {
        daemon_again 512M "weight = 1" "[store far]" "path = $1" "weight = 1000" "${@:2}"
}

lost() {
        grep -c 'page 0x[0-9a-f]* is lost' vmpagerd.log || true
}

# goes HOW ERROR LOST COMMAND...: the second store goes by the command, with LOST pages of one's, or "some".
goes() {
        local how=$1 error=$2 lost=$3 gone
        echo "--- $how"
        "${@:4}"
        begin two 0ddba11
        filled two
        well two
        serves_others
        tell one
        ends one
        gone=$sigbus
        echo "$gone pages could not be read"
        if [ "$lost" = some ]; then
                check_num "pages that could not be read" "$gone" -gt 1000
        else
                check_eq "pages that could not be read" "$gone" "$lost"
        fi
        well small
        check_num "read errors" "$(stored read_errors)" -ge "$gone"
        check_num "write errors" "$(stored write_errors)" -gt 0
        check_eq "checksum errors" "$(stored checksum_errors)" 0
        check_num "reads that the one failed" "$(of_part far read_errors)" -gt 0
        check_eq "I/Os that the other one failed" "$(of_part main 'read_errors + .write_errors')" 0
        says "page 0x[0-9a-f]+ is lost: the store could not read location [0-9]+: error $error; .* SIGBUS" ||
                fail "no line says so: $(tail -n 5 vmpagerd.log)"
        check_num "lines that say so" "$(lost)" -lt "$gone"
        begin late f01dab1e
        filled late
        well late
        wait_for 15 store_empty
        daemon_stop
}

programs() {
        begin one 5ca1ab1e
        begin small ca11ab1e 128M # has nothing in the store
        filled one
        filled small
        wait_for 30 is_written
}

no_sectors() {
        truncate -s 0 disk
        losetup --set-capacity "$device"
        check_eq "the size of the device" "$(blockdev --getsize64 "$device")" 0
}

truncate -s 512M disk
loop_device disk
two "$device"
programs
sync disk
there=$(tagged disk 5ca1ab1e)
check_num "pages that are there" "$there" -gt 10000
goes "a device without a sector" 5 "$there" no_sectors
loop_detach "$device"
rm disk

echo "--- the same, packed: other programs may wait for pages that lie beside"
truncate -s 512M disk
loop_device disk
two "$device" "codec = lz4"
programs
goes "a device without a sector, packed" 5 some no_sectors
loop_detach "$device"

# Some hundred I/Os are well, and then there is no device.
export VMPAGER_FAULTPOINTS=store-io.far=errno:ENODEV@150
two "$TESTDIR/far" "size = 512M"
unset VMPAGER_FAULTPOINTS
programs
goes "I/O says ENODEV" 19 some true
