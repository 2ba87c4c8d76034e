// Counts what a thread allocates, so that a test can hold a path to an exact number of allocations.
//
// Linking this library puts a counter in front of malloc and its relatives (operator new ends there) and of mmap, which
// pools get their memory from. Under a sanitizer, which has its own allocator, nothing is counted.
// Threads: any; each has its own counts.
#ifndef RUSTYRAY_CORE_TESTING_ALLOCATION_COUNT_H_
#define RUSTYRAY_CORE_TESTING_ALLOCATION_COUNT_H_

#include <cstdint>

namespace rustyray::core {

// False under a sanitizer: tests of counts then have nothing to say.
bool AllocationsAreCounted();

// How often this thread has called malloc, calloc, realloc, one of the aligned forms, or mmap, since it started.
std::uint64_t AllocationsOfThisThread();

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TESTING_ALLOCATION_COUNT_H_
