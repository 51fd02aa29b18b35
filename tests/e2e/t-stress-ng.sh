#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# stress-ng's stressors of memory, which verify what they read, run in forked workers far beyond their limit.
. "$(dirname "$0")/program.sh"
skip_without jq stress-ng
cd "$TESTDIR"

# A line: the least number of pages that are evicted (0: it uses little memory, or gives it back too soon), then the
# stressor with its options. mmapfork is not among them: it takes as much memory as the machine has.
stressors() {
        cat <<'LIST'
4000 vm 1 --vm-bytes 48M --vm-keep
4000 vm 1 --vm-bytes 48M --vm-method walk-1d
4000 vm 2 --vm-bytes 64M --vm-method flip
4000 vm-rw 1 --vm-rw-bytes 32M
4000 mremap 1 --mremap-bytes 64M
4000 malloc 1 --malloc-bytes 1M --malloc-max 100 --malloc-touch --malloc-pthreads 2
4000 mmap 1 --mmap-bytes 48M
4000 bigheap 1 --bigheap-growth 1M
4000 mmapmany 1
4000 qsort 1 --qsort-size 4194304
1000 heapsort 1 --heapsort-size 4194304
1000 bsearch 1 --bsearch-size 4194304
0 radixsort 1 --radixsort-size 1000000
0 userfaultfd 1
1000 pthread 1
0 madvise 1
0 brk 1
0 memcpy 1
0 mmapaddr 1
0 mmapfixed 1
0 munmap 1
0 mprotect 1
0 mlock 1
0 remap 1
0 stack 1 --stack-fill
0 memfd 1 --memfd-bytes 32M
0 shm 1 --shm-bytes 4M
0 zero 1
0 vm-addr 1
0 vm-splice 1
0 pageswap 1
0 fork 1 --fork-vm
LIST
}

# What the daemon complains of: a userfaultfd of the program's own, locked memory, and mappings of one page each that
# come faster than tens of thousands of them can be looked at.
BEYOND="nothing of it can be evicted"
declare -A COMPLAINT=([userfaultfd]=$BEYOND [mlock]=$BEYOND [mmapmany]=$BEYOND)

program_start 16 2G
while read -r least name options; do
        [[ ${1:-$name} == "$name" ]] || continue
        read -ra words <<<"--$name $options"
        : >vmpagerd.log
        paged stress-ng "${words[@]}" --verify --no-rand-seed --timeout 2 --temp-path "$TESTDIR" >out 2>&1 </dev/null || {
                cat out vmpagerd.log
                fail "$name: exit status above"
        }
        check_match "what $name says" "$(cat out)" 'successful run completed'
        ! grep ' fail:' out || fail "$name: see above"
        echo "$name $options: evicted $(total stats.json .evicted_pages) pages," \
                "$(total stats.json .faults.disk) faults from disk, $(json stats.json '.clients | length') programs," \
                "$(seconds_of paged.measure)"
        check_num "evicted pages with $name" "$(total stats.json .evicted_pages)" -ge "$least"
        check_num "poisoned pages" "$(total stats.json .poisoned_pages)" -eq 0
        check_eq "what the daemon complains of" "$(log_complaints | grep -v "${COMPLAINT[$name]:-^$}" || true)" ""
        check_store_empty
done < <(stressors)
