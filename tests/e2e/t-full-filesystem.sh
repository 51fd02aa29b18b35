#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A store's file on a file system that somebody else fills up: one that was given its room at the start never notices; one
# that is sparse counts as full, says so, loses nothing, and goes on by itself when there is room again.
here=$(dirname "$0")
. "$here/storage.sh"
skip_without jq "$PYTHON" losetup mkfs.ext3 mkfs.ext4
cd "$TESTDIR"

echo "--- no room at the start"
filesystem whole 200 ext4
daemon_config 300M 16M "path = $TESTDIR/whole/store"
refused "store main: $TESTDIR/whole/store needs 300M .* more, its filesystem has .* free; set a smaller size= or another" \
        "$VMPAGERD" --foreground --config vmpagerd.conf
check_eq "what is left of it" "$(find whole -name store)" ""

echo "--- given its room at the start: others can fill the rest"
daemon_again 128M "path = $TESTDIR/whole/store"
fill_up whole
begin one 5ca1ab1e
filled one
well one
check_num "written pages" "$(total one.json .written_pages)" -gt $((40 * 256))
check_eq "errors" "$(store_errors)" 0
daemon_stop

# ext3 has no fallocate(2).
filesystem sparse 160 ext3
for policy in wait grow; do
        echo "--- sparse, on_full = $policy"
        said='client [0-9]+: the store is full: eviction waits'
        [ $policy = wait ] || said='the store is full, with on_full = grow: it has grown'
        daemon_again 128M "path = $TESTDIR/sparse/store" "on_full = $policy"
        check_num "KiB that the file has" "$(du -k sparse/store | cut -f 1)" -lt 1024
        check_match "the log" "$(cat vmpagerd.log)" "store main: the filesystem of .* cannot set its room aside"
        begin one 5ca1ab1e
        filled one
        wait_for 30 is_written
        fill_up sparse
        begin two 0ddba11
        if [ $policy = wait ]; then
                wait_for 60 waits_for_room
                serves_others
                grep filled two.out && fail "the second has not waited"
                # What was written before can be read.
                well one
                rm sparse/filler
        fi
        filled two
        if [ $policy = grow ]; then
                well one
                rm sparse/filler
        fi
        well two
        check_num "write errors" "$(stored write_errors)" -gt 0
        check_eq "read errors" "$(stored read_errors)" 0
        check_eq "bytes afterwards" "$(stored disk_bytes)" 0
        check_match "the log" "$(cat vmpagerd.log)" "$said"
        echo "beyond their limits: $(total one.json .over_limit_pages) and $(total two.json .over_limit_pages) pages;" \
                "found full: $(total one.json .store_full) and $(total two.json .store_full) times"
        daemon_stop
done
