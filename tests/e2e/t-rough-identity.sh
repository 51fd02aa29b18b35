#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that become another user stay right; no thread of theirs, be it the agent, keeps the old one or a capability.
. "$(dirname "$0")/rough.sh"
rough_daemon

rough_case setuid rough-identity setuid
rough_case "setuid with other threads" rough-identity setuid-threads
rough_case "setresuid with other threads" rough-identity setresuid-threads
rough_case "seteuid, forth and back" rough-identity to-and-fro
rough_case "setuid in a thread" rough-identity from-a-thread
