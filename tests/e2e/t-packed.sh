#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Pages that are compressed and encrypted in the store: programs compute what they compute natively, the store holds
# less than the pages have, and nothing of an encrypted one can be read in it.
. "$(dirname "$0")/program.sh"
here=$(dirname "$0")
skip_without jq "$PYTHON"
cd "$TESTDIR"

"$PYTHON" "$here/verify.py" 20 >native.out

# stored: the bytes of pages that are in the store, and the bytes that they take there.
stored() {
        "$VMPAGERCTL" stats --json | jq -r '"\([.clients[].stored_pages] | add * 4096) \(.store.disk_bytes)"'
}

# Whether all that was evicted is in the store, and none of it on its way.
is_written() {
        "$VMPAGERCTL" stats --json | jq -e '.clients | length > 0 and all(.standby_pages == 0 and .stored_pages > 8000)'
}

# tags: pages in the store's file that begin with what the program wrote (0 or more).
tags() {
        "$PYTHON" - store "$1" <<'PY'
import struct, sys
tag = int(sys.argv[2], 16) << 32
data = open(sys.argv[1], "rb").read()
print(sum(struct.unpack_from("<Q", data, at)[0] & ~0xFFFFFFFF == tag for at in range(0, len(data), 512)))
PY
}

# kept NAME LINE...: with these lines in the store's section.
kept() {
        local name=$1
        shift
        echo "--- $name"
        daemon_config 256M 32M "$@"
        daemon_start
        "${RUN[@]}" --stats stats.json "$PYTHON" "$here/verify.py" 20 >paged.out ||
                fail "$name: verify.py: exit status $?: $(tail -n 5 paged.out)"
        check_eq "what the program computed" "$(value_of paged.out digest)" "$(value_of native.out digest)"
        check_num "evicted pages" "$(total stats.json .evicted_pages)" -ge $((30 * 256))

        rm -f out
        mkfifo go
        "${RUN[@]}" --limit 16M --stats tagged.json "$HELPERS/flipped" 64 5ca1ab1e <>go >out 2>err &
        tagged=$!
        wait_for 60 grep -q filled out
        wait_for 30 is_written
        read -r pages bytes < <(stored)
        in_file=$(tags 5ca1ab1e)
        in_memory=$("$VMPAGERCTL" stats --json | jq .store.ram_bytes)
        "$VMPAGERCTL" stats --json >now.json
        check_num "bytes put" "$(json now.json .store.put_bytes)" -ge "$pages"
        check_num "bytes written" "$(json now.json .store.disk_written_bytes)" -le "$(json now.json .store.put_bytes)"
        check_num "free bytes in long runs" "$(json now.json .store.disk_free_long_bytes)" -gt $((128 << 20))
        check_match "what is printed" "$("$VMPAGERCTL" stats)" 'written [0-9.]+[KMG] for [0-9.]+[KMG] of pages put'
        echo "$pages bytes of pages take $bytes in the store and $in_memory in memory, $in_file can be read in the file"
        echo >go
        wait "$tagged" || fail "$name: exit status $?: $(cat out err)"
        check_eq "right pages" "$(value_of out right)" $((64 * 256))
        check_eq "what the daemon complains of" "$(log_complaints)" ""
        check_store_empty
        daemon_stop
        rm -f go vmpagerd.conf
}

kept "as they are"
check_num "pages that can be read" "$in_file" -ge 8000
kept lz4 "codec = lz4"
check_num "bytes of lz4" $((bytes * 5 / 4)) -lt "$pages"
kept "zstd, encrypted" "codec = zstd:1" "encrypt = yes"
check_num "bytes of zstd" $((bytes * 2)) -lt "$pages"
check_eq "pages that can be read" "$in_file" 0
kept "lz4, in memory" "codec = lz4" "[class default]" "ram = 50%"
check_num "bytes in memory" "$in_memory" -gt $((4 << 20))
check_num "faults answered from memory" "$(total stats.json .faults.ram)" -gt 0
kept encrypted "encrypt = yes"
check_eq "pages that can be read" "$in_file" 0
check_num "bytes" "$bytes" -ge "$pages"
