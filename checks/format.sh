#!/usr/bin/env bash
# format.sh [--fix]: checks, or repairs, the format of C++ files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(--dry-run --Werror)
[[ "${1:-}" == --fix ]] && mode=(-i)
tracked="$(git ls-files -- '*.h' '*.cc')"
mapfile -t files <<<"$tracked"
clang-format-14 "${mode[@]}" "${files[@]}"
echo "clang-format: ${#files[@]} files"
