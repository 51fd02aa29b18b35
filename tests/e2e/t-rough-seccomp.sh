#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that forbid themselves system calls, in one thread or in all, the agent being one, stay right and do not hang.
. "$(dirname "$0")/rough.sh"
rough_daemon

# left NUMBER: how many programs the daemon has said to be without an agent.
left() {
        check_eq "lines about agents that have left" "$(grep -c 'has lost its agent' vmpagerd.log || true)" "$1"
}

echo "--- the calling thread alone; the agent is not shut in with it"
rough_case -b Seccomp "one thread, all else EPERM" rough-seccomp alone-errno
rough_case -b Seccomp "one thread, all else ends the process" rough-seccomp alone-kill
echo "--- all threads, and what the agent needs is allowed"
rough_case "all threads, all else EPERM" rough-seccomp all-paging
rough_case "all threads, all else ends the process" rough-seccomp all-paging-kill
left 0
echo "--- all threads, and the agent could do nothing more: it leaves before, and the program is served without it"
rough_case -a "all threads, without ioctl" rough-seccomp all-computing
rough_case -a "all threads, read and write" rough-seccomp all-strict
rough_case -a "all threads, nothing" rough-seccomp all-nothing
rough_case -a "all threads, all else ends the process" rough-seccomp all-kill-process
rough_case -a "all threads, all else ends the thread" rough-seccomp all-kill-thread
rough_case -a "all threads with others, all else ends the thread" rough-seccomp all-kill-thread-threads
left 6
