// ThreadPool: the executor with threads. Work stealing, running places, and growth for threads that sleep.
//
// Places: at most `places` threads run scheduled work at once, workers and helping outside threads together. An outside
// thread keeps the place with which it helped for the next time, until somebody wants one. A thread in a wait lends its
// place. Code that sleeps otherwise (sleep, I/O, a lock of the user's) is found out by a timer that
// is armed only while work waits and no place is free: a place is lent when the thread's CPU clock stood still over a
// tick and the kernel says that it sleeps. Such a thread gives its place up when it ends its work. CPU-bound work never
// gets more threads than places.
// Invariant: whoever makes work available (pushes it, or stops searching with work left) makes sure that a thread
// searches, is woken, is started, or that releasing a place will do so. An idle pool has no timer armed and no thread
// that wakes.
// Threads: workers start on demand and retire when more are idle than there are places.
#ifndef RUSTYRAY_CORE_THREAD_POOL_H_
#define RUSTYRAY_CORE_THREAD_POOL_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/executor.h"

namespace rustyray::core {

struct ThreadPoolOptions {
  // How many threads may run work at once. 0: as many as the machine has processors for this process.
  int places = 0;
  // The hard cap of worker threads, blocked ones included. Past it a wait fails rather than hangs.
  int max_threads = 1024;
  // How often sleeping user code is looked for while work waits.
  Duration tick = std::chrono::milliseconds(5);
};

struct ThreadPoolStatistics {
  int places = 0;
  int threads = 0;  // workers alive
  int parked = 0;   // of them, idle
  int blocked = 0;  // of them, in a wait
  int lent = 0;     // places lent for threads that sleep in user code
};

class ThreadPool : public Executor {
 public:
  // Stops: schedules nothing more, discards what is queued, asks what runs to end (stopping()), waits for it until
  // `deadline` by the clock, then abandons it. What outside threads run here (helping) counts too. Returns the names of
  // what was abandoned; their threads go on, and keep the pool's memory. Once: a later Stop, such as the one of the
  // destructor, waits for nothing. Not from scheduled work.
  virtual std::vector<std::string> Stop(Time deadline) = 0;
  virtual ThreadPoolStatistics Statistics() = 0;
};

// `clock` outlives the pool. Destroying the pool stops it first, with no deadline.
std::shared_ptr<ThreadPool> MakeThreadPool(const ThreadPoolOptions& options, Clock& clock);

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_THREAD_POOL_H_
