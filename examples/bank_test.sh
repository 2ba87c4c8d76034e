#!/usr/bin/env bash
# Money is conserved over many seeds, 10,000 with RUSTYRAY_SOAK=1; and the program says what it did.
set -uo pipefail
bank="$1"
fail() {
  echo "FAILED: $*"
  exit 1
}

out="$("$bank")" || fail "one day: $out"
[[ "$out" == "account  opened with  balance  entries  instances"*"money conserved" ]] || fail "one day prints: $out"
awk '$1 == "sum" { found = $2 == $3 } END { exit !found }' <<<"$out" || fail "the sums differ: $out"

seeds=300
[[ "${RUSTYRAY_SOAK:-}" != 1 ]] || seeds=10000
out="$("$bank" --first-seed=1000 --seeds="$seeds")" || fail "$out"
echo "$out"
grep -qE "^$seeds seeds: [1-9][0-9]* transfers done, [1-9][0-9]* refused; [1-9][0-9]* kills, [1-9][0-9]* accounts replaced$" <<<"$out" ||
  fail "something never happened"
[[ "$(tail -n 1 <<<"$out")" == "money conserved" ]] || fail "the last line"

# A seed replays its schedule, in another process too: the accounts, their instances, and who ran when.
replays="$("$bank" --replay --first-seed=1000 --seeds=100)" || fail "$replays"
[[ "$("$bank" --replay --first-seed=1000 --seeds=100)" == "$replays" ]] || fail "a seed gives two schedules: $replays"
schedules="$(grep -oE '^seed [0-9]+: schedule [0-9a-f]{16}$' <<<"$replays" | awk '{ print $4 }' | sort -u | wc -l)"
[[ "$schedules" == 100 ]] || fail "100 seeds give $schedules schedules: $replays"
day="$("$bank" --replay --first-seed=1042)" || fail "$day"
grep -qxF "$(grep '^seed 1042: ' <<<"$replays")" <<<"$day" || fail "a seed alone has another schedule: $day"
out="$("$bank" --replay --first-seed=2000 --seeds="$seeds")" || fail "$out"
echo "$out"
[[ "$(tail -n 1 <<<"$out")" == "money conserved" ]] || fail "the last line of a replay"

"$bank" --seeds=many >/dev/null 2>"$TEST_TMPDIR/err"
[[ $? == 2 ]] || fail "a bad flag is taken"
grep -q -e 'bank: it does not take --seeds=many' "$TEST_TMPDIR/err" || fail "a bad flag is not named"
grep -q 'usage: bank \[--seeds=N\]' "$TEST_TMPDIR/err" || fail "a bad flag is not explained"
RAY_ENGINE=process "$bank" >/dev/null 2>"$TEST_TMPDIR/err"
[[ $? == 1 ]] || fail "an engine that is not there is no error"
grep -q "^bank: the engine 'process' is not there" "$TEST_TMPDIR/err" || fail "it says: $(cat "$TEST_TMPDIR/err")"
"$bank" --help | grep -q '^usage: bank' || fail "--help"
