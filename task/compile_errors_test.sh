#!/usr/bin/env bash
# What a wrong call says when it is compiled: our own sentence, not only the compiler's.
set -euo pipefail
program="$TEST_TMPDIR/snippets.cc"
begin() {
  cat > "$program" <<'CODE'
#include <memory>
#include <string>
#include "task/task_system.h"
using namespace rustyray;
constexpr core::FunctionInfo kInfo{.name = "f"};
int Add(int a, int b) { return a + b; }
void Test(task::TaskSystem& tasks, core::ObjectRef ref) {
CODE
}
compile() { g++ -std=c++20 -fsyntax-only -I. "$program" 2>&1; }

# What is right compiles: otherwise what follows would fail for any reason.
begin
echo '  tasks.Run(kInfo, &Add, 1, ref); }' >> "$program"
compile

begin
texts=()
snippet() { texts+=("$1"); echo "  $2" >> "$program"; }
snippet 'the function takes another number of arguments' 'tasks.Run(kInfo, &Add, 1);'
snippet 'the function takes another number of arguments' 'tasks.Run(kInfo, &Add, 1, 2, 3);'
snippet "the argument given for this parameter does not convert to the parameter's type" \
  'tasks.Run(kInfo, &Add, 1, std::string("text"));'
snippet 'T cannot be copied: use View, or Take (of the only ref)' '(void)ref.Get<std::unique_ptr<int>>();'
echo '}' >> "$program"
output="$(compile)" && { echo "FAIL: it compiles"; exit 1; }
for text in "${texts[@]}"; do
  times=$(printf '%s\n' "${texts[@]}" | grep -cxF "$text")
  found=$(grep -F 'static assertion failed' <<< "$output" | grep -cF "$text" || true)
  if (( found < times )); then
    echo "FAIL: the compiler says '$text' $found times, not $times:"
    head -60 <<< "$output"
    exit 1
  fi
done
echo "${#texts[@]} messages"
