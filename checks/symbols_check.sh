#!/usr/bin/env bash
# symbols_check.sh PROGRAM REGEX...: fails if a symbol, demangled, or a shared library the program loads matches.
set -euo pipefail
program="$1"
shift

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
# Names alone: "0000 T name" or "         U name".
{
  nm -C "$program"
  nm -D -C "$program"
} | sed -E 's/^[0-9a-f ]{16} +[A-Za-z] //' | sort -u >"$scratch/symbols"
ldd "$program" | awk '{print $1}' >"$scratch/libraries"
if ! grep -qx main "$scratch/symbols"; then
  echo "$program has no symbol main: is it stripped, or not a program?"
  exit 1
fi

failed=0
for pattern in "$@"; do
  for kind in symbols libraries; do
    if grep -E -m 5 -e "$pattern" "$scratch/$kind" >"$scratch/found"; then
      echo "$program: forbidden $kind match '$pattern', among them:"
      cut -c 1-200 "$scratch/found" | sed 's/^/  /'
      failed=1
    fi
  done
done
((failed)) || echo "$program: $(wc -l <"$scratch/symbols") symbols, none forbidden"
exit "$failed"
