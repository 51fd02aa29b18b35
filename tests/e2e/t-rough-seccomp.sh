#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that forbid themselves system calls, in one thread or in all, the agent being one, stay right and do not hang.
. "$(dirname "$0")/rough.sh"
rough_daemon

# said NUMBER: how many programs the daemon has said to be helpless.
said() {
        check_eq "lines about agents that cannot evict" "$(grep -c 'agent thread cannot evict' vmpagerd.log || true)" "$1"
}

echo "--- the calling thread alone; the agent is not shut in with it"
rough_case -b Seccomp "one thread, all else EPERM" rough-seccomp alone-errno
rough_case -b Seccomp "one thread, all else ends the process" rough-seccomp alone-kill
echo "--- all threads, and what the agent needs is allowed"
rough_case "all threads, all else EPERM" rough-seccomp all-paging
rough_case "all threads, all else ends the process" rough-seccomp all-paging-kill
said 0
echo "--- all threads, and the agent can do nothing more: the program goes on, beyond its limit"
rough_case "all threads, without ioctl" rough-seccomp all-computing
rough_case "all threads, read and write" rough-seccomp all-strict
rough_case "all threads, nothing" rough-seccomp all-nothing
said 3
echo "--- all threads, and the first call of the agent's ends the process, as the program has asked for"
new_control control
"${RUN[@]}" --limit "$ROUGH_LIMIT" -- "$HELPERS/rough-seccomp" all-kill-process "$TESTDIR/control" $ROUGH_MIB \
        >out 2>err </dev/null &
run=$!
at_exit "rough_end $run"
status=0
wait $run || status=$?
check_eq "the exit status of a process that was ended by SIGSYS" $status $((128 + 31))
wait_for 15 store_empty
echo "ok all threads, all else ends the process, and the agent is not thought of"

# The agent leaves before; the program is served without one.
rough_case -a "all threads, all else ends the thread" rough-seccomp all-kill-thread
rough_case -a "all threads with others, all else ends the thread" rough-seccomp all-kill-thread-threads
