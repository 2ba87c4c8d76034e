#include "core/testing/atomic_count.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <ucontext.h>

#include <csignal>
#include <cstring>

namespace rustyray::core {
namespace {

Steps counted;

// Whether the instruction at `code` reads, changes and writes memory in one step. See the Intel 64 manual, volume 2,
// "Instruction prefixes" and XCHG.
bool IsAtomic(const unsigned char* code) {
  for (;; ++code) {
    switch (*code) {
      case 0xf0:  // LOCK
        return true;
      case 0x66:
      case 0x67:
      case 0xf2:
      case 0xf3:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x26:
      case 0x64:
      case 0x65:
        continue;
      default:
        break;
    }
    if ((*code & 0xf0) == 0x40) continue;  // REX
    return (*code == 0x86 || *code == 0x87) && (code[1] & 0xc0) != 0xc0;
  }
}

void OnTrap(int, siginfo_t*, void* context) {
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  ++counted.instructions;
  counted.atomics += IsAtomic(reinterpret_cast<const unsigned char*>(registers[REG_RIP]));
}

void SetTrapFlag() { asm volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "memory", "cc"); }
void ClearTrapFlag() { asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc"); }

}  // namespace

bool CountsSteps() { return true; }

Steps CountSteps(absl::FunctionRef<void()> body) {
  struct sigaction action, before;
  std::memset(&action, 0, sizeof(action));
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &before);
  counted = {};
  SetTrapFlag();
  body();
  ClearTrapFlag();
  const Steps steps = counted;
  sigaction(SIGTRAP, &before, nullptr);
  return steps;
}

}  // namespace rustyray::core

#else

namespace rustyray::core {

bool CountsSteps() { return false; }
Steps CountSteps(absl::FunctionRef<void()> body) {
  body();
  return {};
}

}  // namespace rustyray::core

#endif
