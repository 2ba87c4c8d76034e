#!/usr/bin/env bash
# build_format.sh [--fix]: checks, or repairs, the format of Bazel files. Takes buildifier from $BUILDIFIER, from PATH, or
# from npm into $BUILDIFIER_CACHE (by default in ~/.cache).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=6.4.0

buildifier="${BUILDIFIER:-$(command -v buildifier || true)}"
if [[ -z "$buildifier" ]]; then
  cache="${BUILDIFIER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rustyray/buildifier-$version}"
  buildifier="$cache/node_modules/.bin/buildifier"
  if [[ ! -x "$buildifier" ]]; then
    command -v npm >/dev/null || { echo "build_format: neither buildifier nor npm (apt-get install npm)"; exit 1; }
    mkdir -p "$cache"
    # Node brings its own list of authorities: trust what the machine trusts.
    system_authorities=/etc/ssl/certs/ca-certificates.crt
    [[ ! -e "$system_authorities" ]] || export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$system_authorities}"
    npm install --prefix "$cache" --no-audit --no-fund --loglevel=error "@bazel/buildifier@$version" </dev/null >&2
  fi
fi

mode=(-mode=check)
[[ "${1:-}" == --fix ]] && mode=(-mode=fix)
tracked="$(git ls-files -- '*.bzl' '*BUILD' '*BUILD.bazel' '*WORKSPACE')"
mapfile -t files <<<"$tracked"
"$buildifier" "${mode[@]}" -lint=off "${files[@]}"
echo "buildifier: ${#files[@]} files"
