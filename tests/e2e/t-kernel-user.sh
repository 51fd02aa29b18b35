#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# The kernel and other processes read and write memory whose pages are out, on behalf of all sorts of system calls.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

paged_cases kernel-io kernel-net kernel-ring kernel-task
