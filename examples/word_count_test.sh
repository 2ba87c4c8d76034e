#!/usr/bin/env bash
# Holds word_count against an independent count by standard tools, and its behaviour against what --help says.
set -uo pipefail
export LC_ALL=C
word_count="$PWD/$1"
scratch="$(mktemp -d)"
trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset BUILD_WORKING_DIRECTORY RAY_ADDRESS RAY_ENGINE
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# The count of the files given, each on its own, by other tools.
reference() {
  local file
  for file; do
    cat -- "$file"
    echo
  done | tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | sed '/^$/d' | sort | uniq -c |
    sed -E 's/^ *([0-9]+) (.*)$/\2\t\1/' | sort -t $'\t' -k2,2nr -k1,1
}

# same NAME EXPECTED_CODE EXPECTED_COUNTS ARGUMENTS...: runs word_count, and compares code and counts.
same() {
  local name="$1" code="$2" expected="$3"
  shift 3
  "$word_count" --output=counts "$@" >out 2>err
  local got=$?
  [[ $got == "$code" ]] || fail "$name: exit code $got, not $code: $(cat err)"
  cmp -s counts "$expected" || fail "$name: counts differ: $(diff counts "$expected" | head -5 | cut -c -200)"
}

# refuses NAME CODE MESSAGE ARGUMENTS...: word_count must end with the code and say the message on stderr.
refuses() {
  local name="$1" code="$2" message="$3"
  shift 3
  "$word_count" "$@" >out 2>err
  local got=$?
  [[ $got == "$code" ]] || fail "$name: exit code $got, not $code"
  grep -qF -e "$message" err || fail "$name: stderr does not say '$message': $(cat err)"
}

# --- What is counted.

mkdir -p tree/deep/er tree/empty others
printf 'The quick brown fox; the lazy dog. THE end' >tree/text
printf 'a1b2c3 na\xc3\xafve \x00\x01zero\x00Zero \xff\xfe end' >tree/deep/binary
: >tree/deep/er/nothing
printf 'two words\nand a last without newline' >'tree/deep/a name with spaces'
printf 'not counted' >others/linked
ln -s ../others/linked tree/link
ln -s ../others tree/folder_link
mkfifo tree/pipe
find tree -type f -print0 | sort -z >list
mapfile -d '' -t files <list
reference "${files[@]}" >expected
same "a folder, as find sees it" 0 expected tree
grep -q '^4 files, ' out || fail "a folder: summary is: $(tail -1 out)"
same "a folder with a slash" 0 expected tree/
same "files by name" 0 expected "${files[@]}"
BUILD_WORKING_DIRECTORY="$scratch" && export BUILD_WORKING_DIRECTORY
(cd / && "$word_count" --output=counts tree >/dev/null) || fail "BUILD_WORKING_DIRECTORY: exit code"
cmp -s counts expected || fail "relative paths do not go by BUILD_WORKING_DIRECTORY"
unset BUILD_WORKING_DIRECTORY

reference tree/text tree/text others/linked >expected
same "a file given twice, and a link" 0 expected tree/text tree/text tree/link
reference tree/deep/er/nothing >expected
same "an empty file" 0 expected tree/deep/er/nothing
printf 'word' >joined1
printf 'word' >joined2
reference joined1 joined2 >expected
same "no word goes from one file to the next" 0 expected joined1 joined2
printf 'word\t2\n' | cmp -s - counts || fail "the count of two words is: $(cat counts)"
printf 'pipe pipe' >piped
reference piped >expected
same "a pipe" 0 expected <(cat piped)
printf 'dash' >-dash
reference ./-dash >expected
same "a name that looks like a flag" 0 expected -- -dash

# --- Pieces. With the least limit they have 8 KiB.
head -c 300000 /dev/urandom >random
same "random bytes" 0 <(reference random) random
reference random >expected
same "random bytes, least limit" 0 expected --store-limit=64KiB --threads=4 random
# Words around each border, and one that is longer than several pieces.
for length in 8190 8191 8192 8193 16384; do
  head -c "$length" /dev/zero | tr '\0' x
  printf ' '
done >borders
head -c 100000 /dev/zero | tr '\0' 'Q' >>borders
printf ' end ' >>borders
head -c 100000 /dev/zero | tr '\0' 'q' >>borders
reference borders >expected
same "words longer than pieces" 0 expected --store-limit=64KiB borders
for shift in 0 1 2 3 4 5 6 7; do
  head -c "$shift" /dev/zero | tr '\0' ' '
  yes abcdefg | tr '\n' ' ' | head -c 40000
done >shifted
reference shifted >expected
same "words that straddle pieces" 0 expected --store-limit=64KiB --threads=2 shifted
head -c 8192 /dev/zero | tr '\0' z >one_piece
reference one_piece >expected
same "a word as long as a piece" 0 expected --store-limit=64KiB --threads=1 one_piece
mkdir many
for i in $(seq 300); do printf 'file %d of Many\n' "$i" >"many/$i"; done
reference many/* >expected
same "many small files" 0 expected many
# Every piece full of different words: the counts are as large as they get.
awk 'BEGIN { for (i = 0; i < 26^4; ++i) { n = i; w = ""; for (k = 0; k < 4; ++k) { w = w sprintf("%c", 97 + n % 26); n = int(n / 26) } print w } }' >different
reference different >expected
same "nothing but different words" 0 expected --store-limit=64KiB different
same "nothing but different words, more room" 0 expected --store-limit=1MiB --threads=3 different

# --- What cannot be read.
reference tree/text >expected
same "a missing file" 1 expected tree/text missing
grep -q 'word_count: missing: No such file' err || fail "a missing file is not named: $(cat err)"
if [[ $(id -u) != 0 ]]; then
  mkdir locked && cp tree/text locked_file && chmod 000 locked locked_file
  same "an unreadable file" 1 expected tree/text locked_file
  grep -q 'locked_file: Permission denied' err || fail "an unreadable file is not named: $(cat err)"
  same "an unreadable folder" 1 expected tree/text locked
  grep -q 'locked: Permission denied' err || fail "an unreadable folder is not named: $(cat err)"
fi
same "a file that cannot be read to its end" 1 expected tree/text /proc/self/mem
grep -q '/proc/self/mem: ' err || fail "a file that fails while it is read is not named: $(cat err)"
refuses "an empty folder" 1 "there are no files to count in tree/empty" tree/empty
refuses "only a missing file" 1 "missing: No such file" missing
refuses "an output that cannot be written" 1 "/nowhere/out" --output=/nowhere/out tree
refuses "a full output" 1 "/dev/full: No space left" --output=/dev/full tree

# --- Bad flags.
refuses "an unknown flag" 2 "unknown flag --tops" --tops=3
refuses "a bad top" 2 "--top takes a whole number, 0 or more, but 'x' was given" --top=x
refuses "a negative top" 2 "--top takes" --top=-1
refuses "no top" 2 "--top takes" --top
refuses "no threads" 2 "--threads takes a whole number from 1 to 512, but '0' was given" --threads=0
refuses "a bad limit" 2 "--store-limit takes a size of at least 64KiB, such as 32MiB, but '32XiB' was given" --store-limit=32XiB
refuses "a small limit" 2 "--store-limit takes" --store-limit=1000
refuses "a limit past all numbers" 2 "--store-limit takes" --store-limit=99999999999999GiB
refuses "no output" 2 "--output takes the name of a file" --output=
RAY_ENGINE=process refuses "an engine that is not there" 1 "process" tree
"$word_count" --help | grep -q -e '--store-limit=SIZE' || fail "--help"

# --- What is printed.
"$word_count" --top=2 tree/text >out 2>err || fail "a small count fails: $(cat err)"
[[ -s err ]] && fail "something is on stderr, which is not a terminal: $(cat err)"
[[ "$(awk '$1 ~ /^[0-9]+$/ && NF == 5 { print $1, $2, $3 }' out)" == $'1 the 3\n2 brown 1' ]] || fail "the table is: $(cat out)"
grep -qE '^1 files, 42 bytes, 9 words \(7 different\) in [0-9.]+ s: [0-9.]+ MB/s, 1 tasks, peak store [0-9]+ bytes$' out ||
  fail "the summary is: $(tail -1 out)"
"$word_count" --top=0 tree/text | grep -q rank && fail "--top=0 prints a table"

# --- Memory: peak RSS at most 1.5 times the limit and 32 MiB.
awk 'BEGIN { srand(7); for (i = 0; i < 400000; ++i) { w = ""; n = 1 + int(rand() * 7); for (k = 0; k < n; ++k) w = w substr("etaoinshrd", 1 + int(rand() * 10), 1); printf "%s ", w; if (i % 12 == 0) print "" } }' >text
for i in $(seq 20); do cat text; done >large
/usr/bin/env python3 - "$word_count" <<'PYTHON' || fail "peak memory"
import os, resource, subprocess, sys
subprocess.run([sys.argv[1], '--store-limit=8MiB', '--output=counts', '--top=0', 'large'], check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
limit = int(1.5 * 8 * 1024 + 32 * 1024)
print(os.path.getsize('large'), 'bytes of text, peak RSS', peak, 'KiB, at most', limit)
sys.exit(peak > limit)
PYTHON
reference large >expected
cmp -s counts expected || fail "a large file: counts differ"

((failures == 0)) || exit 1
echo "all counts are as expected"
