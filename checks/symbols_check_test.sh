#!/usr/bin/env bash
# symbols_check.sh finds a symbol and a library, and passes a program that has none of those forbidden.
set -uo pipefail
check=checks/symbols_check.sh
probe=checks/symbols_probe
failures=0
expect() {
  local status="$1" text="$2"
  shift 2
  local output
  output="$("$check" "$@" 2>&1)"
  local got=$?
  if ((got != status)) || [[ "$output" != *"$text"* ]]; then
    echo "FAILED: $check $*: exit $got, expected $status and \"$text\": $output"
    failures=$((failures + 1))
  fi
}
expect 1 "probe::Answer" "$probe" "msgpack" "^probe::"
expect 1 "forbidden libraries" "$probe" "^libc\.so"
expect 0 "none forbidden" "$probe" "msgpack" "grpc"
expect 1 "no symbol main" /lib64/ld-linux-x86-64.so.2 "msgpack"
exit $((failures != 0))
