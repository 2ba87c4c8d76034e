#!/usr/bin/env bash
# Workspaces that depend on this one. examples/consumer_workspace is built, tested and run by the commands of its README,
# and its programs carry only the layers that they use; the README's program is built as the README says.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
consumer="$root/examples/consumer_workspace"
scratch="$(mktemp -d)"
finish() {
  (cd "$scratch/hello" && bazel --output_base="$scratch/base_hello" shutdown) >/dev/null 2>&1 || true
  (cd "$consumer" && bazel --output_base="$scratch/base" shutdown) >/dev/null 2>&1 || true
  chmod -R u+w "$scratch"
  rm -rf "$scratch"
}
trap finish EXIT
fail() {
  echo "consumer: $*"
  exit 1
}

# The flags keep the folder clean, and let the second workspace take what the first one built.
flags=(--noshow_progress --color=no --nosandbox_debug --incompatible_strict_action_env --disk_cache="$scratch/cache")
mapfile -t commands < <(grep -E '^\.\./\.\./bazelw [a-z]+ //\.\.\.$' "$consumer/README.md")
[[ "${commands[*]}" == "../../bazelw build //... ../../bazelw test //..." ]] ||
  fail "examples/consumer_workspace/README.md does not have the two commands"
cd "$consumer"
for command in "${commands[@]}"; do
  read -r -a words <<<"$command"
  "${words[0]}" --output_base="$scratch/base" "${words[1]}" --symlink_prefix=/ "${flags[@]}" "${words[@]:2}"
done
bin="$(bazel --output_base="$scratch/base" info bazel-bin 2>/dev/null)"
diff <("$bin/store_only") <(printf '3 numbers, the last is 3\n2 MB: no room in 1 MB\n')
diff <("$bin/actors_only") <(echo '42; Ada has 42')
diff <("$bin/facade") <(echo 'mean: 20.5')

# What only the facade may bring along.
facade=('(^|[^a-z_])ray::' msgpack '[gG][rR][pP][cC]' protobuf glog 'google::')
"$root/checks/symbols_check.sh" "$bin/store_only" "${facade[@]}" 'rustyray::(actor|task|runtime|ownership)::'
"$root/checks/symbols_check.sh" "$bin/actors_only" "${facade[@]}" 'rustyray::runtime::'
! "$root/checks/symbols_check.sh" "$bin/facade" "${facade[@]}" >/dev/null || fail "the check finds no facade in a program that uses it"

mkdir "$scratch/hello"
ln -s "$root" "$scratch/rustyray"
cd "$scratch/hello"
# The README's block whose first line is "# NAME".
block() {
  awk -v first="# $1" '
    /^```/ { inside = 0; opened = !opened; next }
    opened && $0 == first { inside = 1; found = 1 }
    inside { print }
    END { exit !found }' "$root/README.md"
}
for name in WORKSPACE .bazelrc BUILD.bazel; do
  block "$name" >"$name" || fail "README.md has no block that begins with '# $name'"
done
cp "$root/examples/readme_program.cc" hello.cc
bazel --output_base="$scratch/base_hello" build "${flags[@]}" //:hello
bazel-bin/hello | head -1 | diff <(echo "49 1049") -
