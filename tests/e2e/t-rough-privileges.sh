#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# What a program's first thread gives away by itself, which nobody tells the others of, the agent gives away as well.
. "$(dirname "$0")/rough.sh"
rough_daemon

rough_case "no capabilities" rough-identity capabilities
rough_case "one capability" rough-identity most-capabilities
rough_case "one capability under another user" rough-identity keep-capability
rough_case no_new_privs rough-identity no-new-privs
rough_case "setresuid(2) past glibc" rough-identity raw-setuid
