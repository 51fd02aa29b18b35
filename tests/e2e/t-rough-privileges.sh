#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# What a program's first thread gives away by itself, which nobody tells the others of, the agent gives away as well.
. "$(dirname "$0")/rough.sh"
rough_daemon

# An agent that always has something to do looks too late.
rough_case -b CapPrm,CapEff "no capabilities" rough-identity capabilities
rough_case -b CapPrm,CapEff "one capability" rough-identity most-capabilities
rough_case "one capability under another user" rough-identity keep-capability
# The agent does not hear of what the first thread does by itself, other than capabilities.
rough_case -b NoNewPrivs no_new_privs rough-identity no-new-privs
rough_case -b Uid,Gid,CapPrm,CapEff "setresuid(2) past glibc" rough-identity raw-setuid
