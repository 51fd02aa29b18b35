#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that take the means from themselves, by resource limits, or have no random addresses, stay right.
. "$(dirname "$0")/rough.sh"
skip_without setarch
rough_daemon

rough_case "RLIMIT_NOFILE 0" rough-limits files
rough_case "RLIMIT_AS of a page" rough-limits address-space
rough_case "RLIMIT_MEMLOCK 0" rough-limits locked
rough_case "RLIMIT_NPROC 1" rough-limits processes
rough_case "all limits" rough-limits all
rough_case "RLIMIT_STACK" rough-limits stack
rough_case "no random addresses" rough-limits not-random setarch -R
