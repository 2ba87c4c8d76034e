// What the layers know of the calling thread: which call it runs, how much stack is left, how it parks.
//
// All of it belongs to one thread and is touched by that thread alone, but for Parker::Unpark.
#ifndef RUSTYRAY_CORE_THREAD_CONTEXT_H_
#define RUSTYRAY_CORE_THREAD_CONTEXT_H_

#include <cstddef>
#include <cstdint>

#include "core/parker.h"

namespace rustyray::core {

class Call;

// One call on a thread's stack of inline runs: a thread that waits may run the call it waits for, inside the call that
// waits.
struct CallFrame {
  Call* call;
  CallFrame* outer;
};

// The innermost call this thread runs; null outside of calls.
inline thread_local constinit CallFrame* current_frame = nullptr;

// A small number that names this thread for as long as the process lives, from 1. A plain load after the first call.
inline thread_local constinit std::uint32_t this_thread_number = 0;
std::uint32_t AssignThreadNumber();
inline std::uint32_t ThisThreadNumber() { return this_thread_number != 0 ? this_thread_number : AssignThreadNumber(); }

// The parker this thread sleeps on in waits. A token may be left over from an earlier wait: check, then park.
Parker& ThisThreadParker();

// Bytes of stack between here and the end of this thread's stack.
std::size_t StackLeft();

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_THREAD_CONTEXT_H_
