#!/usr/bin/env bash
# Every BUILD file of the layers must end with package_checks(), through which its C++ targets are checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tracked="$(git ls-files -- core object_store ownership task actor runtime api)"
mapfile -t files < <(grep -E '(^|/)BUILD(\.bazel)?$' <<<"$tracked")
failed=0
for file in "${files[@]}"; do
  if [[ "$(grep -v '^[[:space:]]*$' "$file" | tail -n 1)" != "package_checks()" ]]; then
    echo "$file must end with package_checks()"
    failed=1
  fi
done
((failed)) || echo "packages: ${#files[@]} BUILD files"
exit "$failed"
