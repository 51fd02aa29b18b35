#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# xz and zstd, with one thread and with two, make the same bytes as natively. Their match finders walk through all of
# their memory, so the limit is two thirds of it and more, not a quarter.
. "$(dirname "$0")/program.sh"
skip_without jq xz zstd "$PYTHON"
cd "$TESTDIR"

"$PYTHON" "$PROGRAM_FILES/text-file.py" 8 "${VMPAGER_TEST_SEED:-1}" >text

# compresses MIB CMD...
compresses() {
        program_start "$1" 1G
        shift
        echo "--- $*"
        natively "$@" --keep --stdout text >native.out
        paged "$@" --keep --stdout text >paged.out
        cmp native.out paged.out || fail "$*: other bytes"
        "$1" --decompress --stdout paged.out | cmp - text || fail "$*: another text comes out"
        check_paged "$1" 40 5000 120
        check_held
        daemon_stop
}

compresses 88 xz -9 --threads=1
compresses 110 xz -9 --threads=2 --block-size=4MiB
compresses 112 zstd --ultra -22 --single-thread --quiet
