#!/usr/bin/env bash
# format.sh [--fix]: checks, or repairs, the format of C++ files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(--dry-run --Werror)
[[ "${1:-}" == --fix ]] && mode=(-i)
git ls-files -z -- '*.h' '*.cc' | xargs -0 -r clang-format-14 "${mode[@]}"
echo "clang-format: $(git ls-files -- '*.h' '*.cc' | wc -l) files"
