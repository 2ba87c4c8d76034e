// TurnLock: guards what an actor's turns work on: what runs, and what comes next. Turns take it for each call, others
// hardly ever.
//
// A biased one is for actors with one turn at a time: whoever has the turn changes that state within a Section, which
// takes no atomic step (core/biased_lock.h). Others, who have the owner's mutex, intrude: that costs them about a
// microsecond. Who has both the turn and the mutex need not. In one that is not biased, for several turns, or for
// others who look often, a Section takes the mutex, and nobody intrudes.
// Invariant: one thread at a time has the lock, provided that Sections of a biased one are begun by who has the turn.
// (Who gave the turn away within a Section may still be in it, and touches nothing.)
// Rules: those of BiasedLock's sections; the mutex is not taken within one. Threads: any.
#ifndef RUSTYRAY_ACTOR_TURN_LOCK_H_
#define RUSTYRAY_ACTOR_TURN_LOCK_H_

#include <optional>

#include "absl/base/thread_annotations.h"
#include "core/biased_lock.h"
#include "core/mutex.h"

namespace rustyray::actor {

class ABSL_LOCKABLE TurnLock {
 public:
  // `mutex`, the owner's, outlives it.
  TurnLock(core::Mutex& mutex, bool biased) : mutex_(mutex), biased_(biased) {}
  TurnLock(const TurnLock&) = delete;
  TurnLock& operator=(const TurnLock&) = delete;

  bool biased() const { return biased_; }

  // For who has the turn, and not the mutex.
  class ABSL_SCOPED_LOCKABLE Section {
   public:
    explicit Section(TurnLock& lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) { Begin(); }
    ~Section() ABSL_UNLOCK_FUNCTION() { End(); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

   private:
    void Begin() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (lock_.biased_) [[likely]] {
        section_.emplace(lock_.others_);
      } else {
        lock_.mutex_.Lock();
      }
    }
    void End() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (!lock_.biased_) lock_.mutex_.Unlock();
    }
    TurnLock& lock_;
    std::optional<core::BiasedLock::Section> section_;
  };

  // For who has the mutex.
  enum class Who { kHasTurn, kOther };
  class ABSL_SCOPED_LOCKABLE WithMutex {
   public:
    WithMutex(TurnLock& lock, Who who) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock)
        : intruded_(lock.biased_ && who == Who::kOther ? &lock.others_ : nullptr) {
      Begin();
    }
    ~WithMutex() ABSL_UNLOCK_FUNCTION() { End(); }
    WithMutex(const WithMutex&) = delete;
    WithMutex& operator=(const WithMutex&) = delete;

   private:
    void Begin() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (intruded_ != nullptr) intruded_->Intrude();
    }
    void End() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (intruded_ != nullptr) intruded_->Leave();
    }
    core::BiasedLock* const intruded_;
  };

 private:
  core::Mutex& mutex_;
  core::BiasedLock others_;
  const bool biased_;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_TURN_LOCK_H_
