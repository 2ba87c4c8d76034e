#!/usr/bin/env bash
# output_test.sh PROGRAM EXPECTED: runs the program, which must print the text. Hosts and process ids may differ.
set -euo pipefail
"$1" | sed -E 's/host [^ ,)]+, pid [0-9]+/host HOST, pid PID/g' >"$TEST_TMPDIR/printed"
diff "$2" "$TEST_TMPDIR/printed"
