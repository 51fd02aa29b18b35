#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that have a userfaultfd of their own, or a tracer, stay right.
. "$(dirname "$0")/rough.sh"
skip_without strace
rough_daemon

rough_case "a userfaultfd of its own" rough-limits own-userfaultfd
rough_case "a userfaultfd of its own, at the limit" rough-limits own-userfaultfd-late
echo "EBUSY $(control_word control 127) times"

# The tracer is paged too, and hears of every system call of the agent's.
rough_case "strace -f" rough-files walk-threads strace -f -o trace
check_num "calls of the agent in the trace" "$(grep -c "mincore(" trace || true)" -ge 100
