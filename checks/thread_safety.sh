#!/usr/bin/env bash
# Compiles each file of the layers with clang's -Wthread-safety. THREAD_SAFETY_JOBS: how many at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tracked="$(git ls-files -- core object_store ownership task actor runtime)"
mapfile -t files < <(grep -E '\.(h|cc)$' <<<"$tracked")
# Code that needs generated headers is compiled once these exist.
generated="$(bazel info bazel-bin 2>/dev/null || true)"
checked=()
for file in "${files[@]}"; do
  if [[ -d "$generated" ]] || ! grep -qE '#include ".*\.pb\.h"' "$file"; then
    checked+=("$file")
  fi
done
if ((${#checked[@]} == 0)); then
  echo "thread safety: no files"
  exit 0
fi

printf '%s\0' "${checked[@]}" | xargs -0 -n 1 -P "${THREAD_SAFETY_JOBS:-$(nproc)}" \
  clang++-14 -x c++ -fsyntax-only -std=c++20 -Wthread-safety -Werror -Wno-pragma-once-outside-header \
  -I . ${generated:+-I "$generated"}
echo "thread safety: ${#checked[@]} files"
