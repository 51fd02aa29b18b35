#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# The benchmarks run, short, and write figures; what they read is compared with what was written.
set -euo pipefail

"$BUILD/tests/bench/bench-store" --dir "$TESTDIR" --short --json store.json
jq -e '(.beside_ring | length) >= 9 and ([.beside_ring[] | .ring? // . | .median] | all(. > 0))' store.json
jq -e '(.put_get | length) >= 3' store.json
jq -e '.put_get | all(.put_pages_per_s > 0 and .get_pages_per_s > 0 and .compression_ratio > 0)' store.json
[ -z "$(find "$TESTDIR" -name 'store.[0-9]*')" ]

"$BUILD/tests/bench/bench-churn" --size 64 --pages 100000 --json churn.json
jq -e '.pages_put >= 100000 and .pages_freed >= 100000 and .end.pieces_per_256_pages >= 1' churn.json
