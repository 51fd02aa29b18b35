#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# Python's own tests of mmap, gc, threads and processes have the same results in an interpreter that is paged.
. "$(dirname "$0")/program.sh"
skip_without jq "$PYTHON"
"$PYTHON" -c 'import test.test_mmap' 2>/dev/null || skip "Python's test suite is not installed"
cd "$TESTDIR"

MODULES=(
        test_mmap test_gc test_thread test_threading test_threading_local test_fork1 test_subprocess
        test_multiprocessing_fork
)
# Of the long ones these cases.
CASES=(
        'test.test_mmap.*' 'test.test_gc.*' 'test.test_thread*' 'test.test_fork1.*' 'test.fork_wait.*'
        '*subprocess.POSIXProcessTestCase*' '*WithProcessesTestPool*map*' '*WithProcessesTestQueue*'
        '*WithProcessesTestValue*'
)
selection=()
for case in "${CASES[@]}"; do
        selection+=(--match "$case")
done

# suite HOW FILE: runs all, and what failed once more (some cases are about time); the results go to FILE. SIGINT may be
# ignored here, as in a background job, and some cases need it.
suite() {
        local how=$1 file=$2
        mkdir -p "work-$how"
        "$how" env --default-signal=INT "$PYTHON" "$PROGRAM_FILES/held-tests.py" 112 -w --junit-xml "$file.xml" \
                --tempdir "$TESTDIR/work-$how" \
                "${selection[@]}" "${MODULES[@]}" >"$file.out" 2>&1 || {
                tail -n 60 "$file.out"
                fail "$how: exit status above"
        }
        "$PYTHON" "$PROGRAM_FILES/test-results.py" "$file.xml" >"$file"
}

program_start 36 1G
suite natively native
suite paged paged
check_num "tests" "$(grep -c 'completed$' native)" -ge 200
diff native paged || fail "results differ"
check_paged "Python's tests" 200 20000
