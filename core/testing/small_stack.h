// OnAStackOf: runs a function on a thread with little stack, where recursion over a long chain would crash.
#ifndef RUSTYRAY_CORE_TESTING_SMALL_STACK_H_
#define RUSTYRAY_CORE_TESTING_SMALL_STACK_H_

#include <pthread.h>
#include <sys/mman.h>

#include <cstddef>

#include "gtest/gtest.h"

namespace rustyray::core {

// Runs `run` on a new thread with a stack of `bytes`, and waits for its end. The stack is memory of its own: those of
// the system are reused, and may be larger than asked for.
template <class F>
void OnAStackOf(std::size_t bytes, F run) {
#if defined(__SANITIZE_THREAD__)
  bytes += 1024 * 1024;  // what the sanitizer keeps for each thread lies on its stack
#endif
  void* const stack = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  ASSERT_NE(stack, MAP_FAILED);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, bytes);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* self) -> void* {
                  (*static_cast<F*>(self))();
                  return nullptr;
                },
                &run),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  munmap(stack, bytes);
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TESTING_SMALL_STACK_H_
