#!/usr/bin/env bash
# Builds and runs the README's program in a workspace of its own that depends on this one as the README says.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
scratch="$(mktemp -d)"
finish() {
  (cd "$scratch/consumer" && bazel --output_base="$scratch/base" shutdown) >/dev/null 2>&1 || true
  chmod -R u+w "$scratch"
  rm -rf "$scratch"
}
trap finish EXIT
mkdir "$scratch/consumer"
ln -s "$root" "$scratch/rustyray"
cd "$scratch/consumer"

# The README's block whose first line is "# NAME".
block() {
  awk -v first="# $1" '
    /^```/ { inside = 0; opened = !opened; next }
    opened && $0 == first { inside = 1; found = 1 }
    inside { print }
    END { exit !found }' "$root/README.md"
}
for name in WORKSPACE .bazelrc BUILD.bazel; do
  block "$name" >"$name" || { echo "consumer: README.md has no block that begins with '# $name'"; exit 1; }
done
cp "$root/examples/readme_program.cc" hello.cc

bazel --output_base="$scratch/base" build --noshow_progress --color=no --nosandbox_debug //:hello
bazel-bin/hello | head -1 | diff <(echo "49 1049") -
