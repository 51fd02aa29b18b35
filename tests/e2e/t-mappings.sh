#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Mappings that are moved, cut, replaced, protected, locked and used as stacks while their pages are out.
. "$(dirname "$0")/lib.sh"
skip_without jq
cd "$TESTDIR"

paged_cases map-move map-lock map-stack
