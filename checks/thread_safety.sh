#!/usr/bin/env bash
# Compiles each file of the layers with clang's -Wthread-safety, with the macros that its targets give it: once for each
# set of them. THREAD_SAFETY_JOBS: how many at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

layers=(core object_store ownership task actor runtime)
tracked="$(git ls-files -- "${layers[@]}")"
mapfile -t files < <(grep -E '\.(h|cc)$' <<<"$tracked")
targets="$(printf ' + //%s/...' "${layers[@]}")"
targets="$(bazel query --output=xml "kind('cc_(library|binary|test) rule', ${targets# + })" 2>/dev/null)" || {
  echo "thread safety: bazel cannot list the targets of: ${layers[*]}" >&2
  exit 1
}
targets="$(python3 checks/target_defines.py <<<"$targets")"

# Code that needs generated headers is compiled once these exist.
generated="$(bazel info bazel-bin 2>/dev/null || true)"
checked=()
for file in "${files[@]}"; do
  if [[ -d "$generated" ]] || ! grep -qE '#include ".*\.pb\.h"' "$file"; then
    mapfile -t ways < <(awk -v file="$file" '$NF == file' <<<"$targets")
    checked+=("${ways[@]:-$file}")
  fi
done
if ((${#checked[@]} == 0)); then
  echo "thread safety: no files"
  exit 0
fi

# Each line is a file after its options.
printf '%s\n' "${checked[@]}" | xargs -L 1 -P "${THREAD_SAFETY_JOBS:-$(nproc)}" \
  clang++-14 -x c++ -fsyntax-only -std=c++20 -Wthread-safety -Werror -Wno-pragma-once-outside-header \
  -I . ${generated:+-I "$generated"}
echo "thread safety: ${#files[@]} files, compiled in ${#checked[@]} ways"
