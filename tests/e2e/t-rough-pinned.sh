#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs whose memory cannot be moved any more, locked or pinned, go beyond their limit and do not hang.
. "$(dirname "$0")/rough.sh"
rough_daemon

# beyond MIB: the program that has ended was as large as that at some time.
beyond() {
        check_num "peak" "$(total stats.json .peak_resident_bytes)" -ge $(($1 << 20))
}

rough_case mlock rough-limits mlock
beyond $ROUGH_MIB
rough_case mlockall rough-limits mlockall
beyond $ROUGH_MIB
rough_case "mlock, at times" rough-limits mlock-at-times
beyond $ROUGH_MIB
rough_case "pinned for I/O" rough-limits pinned
beyond $ROUGH_MIB
check_match "the log" "$(cat vmpagerd.log)" 'nothing of it can be evicted \(locked, pinned or shared memory\)'
