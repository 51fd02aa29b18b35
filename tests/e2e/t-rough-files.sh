#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Programs that close all descriptors, replace them, leave for an empty root, or start without 0, 1 and 2, stay right.
. "$(dirname "$0")/rough.sh"
rough_daemon

rough_case closefrom rough-files closefrom
rough_case "close_range with other threads" rough-files close_range
rough_case "close_range(CLOSE_RANGE_UNSHARE) with other threads" rough-files close_range-unshare
rough_case "close of every number" rough-files close-each
rough_case "dup2 to every number" rough-files dup2
rough_case "chroot to an empty directory" rough-files chroot
# shellcheck disable=SC2016 # expanded by the inner shell
rough_case "0, 1 and 2 closed at start" rough-files closed-at-start sh -c 'exec "$@" 0<&- 1>&- 2>&-' -
