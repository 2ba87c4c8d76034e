// Counts the atomic read-modify-writes that a thread executes, so that a test can hold a path to a number of them.
//
// The processor traps after each instruction (the trap flag), and the signal's handler looks at the next one: a LOCK
// prefix, or an XCHG with memory (what a sequentially consistent store compiles to). What libraries execute counts,
// too. Only on x86-64, and not under a sanitizer: CountsSteps() says. Threads: one at a time in the process; other
// threads run on and are not counted.
#ifndef RUSTYRAY_CORE_TESTING_ATOMIC_COUNT_H_
#define RUSTYRAY_CORE_TESTING_ATOMIC_COUNT_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace rustyray::core {

struct Steps {
  std::uint64_t instructions = 0;
  std::uint64_t atomics = 0;  // read-modify-writes
};

bool CountsSteps();
// Runs `body` step by step; it takes about a microsecond an instruction.
Steps CountSteps(absl::FunctionRef<void()> body);

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TESTING_ATOMIC_COUNT_H_
