// Account: whom the bytes of values are charged to: an actor that was given a quota, or whom a store's user names.
//
// Counted by the records charged to it and by those who may charge more; a store closes it with the last of these.
// What a call makes while it runs (objects put, calls submitted) is charged to the account of its actor; in a task, to
// the account that the task's own result is charged to. So it is always the actor that began it all. The driver, and
// actors without a quota, have no account: the store's limit is theirs, and nothing more is counted.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_CORE_ACCOUNT_H_
#define RUSTYRAY_CORE_ACCOUNT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "core/id.h"

namespace rustyray::core {

class RecordOwner;

class Account {
 public:
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  void AddRef() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void DropRef() {
    std::uint32_t refs = refs_.load(std::memory_order_relaxed);
    while (refs > 1) {
      if (refs_.compare_exchange_weak(refs, refs - 1, std::memory_order_acq_rel)) return;
    }
    DropMaybeLastRef();
  }
  const AccountId& id() const { return id_; }
  // For people; may be empty.
  const std::string& holder() const { return holder_; }
  // The store whose values it counts.
  const RecordOwner* store() const { return store_; }

 protected:
  Account(const AccountId& id, std::string holder, const RecordOwner* store)
      : id_(id), holder_(std::move(holder)), store_(store) {}
  ~Account() = default;
  // Says whether it was the last; under the lock under which refs are given out anew.
  bool DropRefLocked() { return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  virtual void DropMaybeLastRef() = 0;

 private:
  const AccountId id_;
  const std::string holder_;
  const RecordOwner* const store_;
  std::atomic<std::uint32_t> refs_{1};
};

class AccountPtr {
 public:
  AccountPtr() = default;
  // Takes over a ref.
  explicit AccountPtr(Account* counted) : account_(counted) {}
  AccountPtr(AccountPtr&& other) noexcept : account_(std::exchange(other.account_, nullptr)) {}
  AccountPtr& operator=(AccountPtr other) noexcept {
    std::swap(account_, other.account_);
    return *this;
  }
  ~AccountPtr() {
    if (account_ != nullptr) account_->DropRef();
  }
  explicit operator bool() const { return account_ != nullptr; }
  Account* get() const { return account_; }

 private:
  Account* account_ = nullptr;
};

// Who opens accounts: stores.
class AccountBook {
 public:
  // The account with this id, which may take `quota` bytes in all from now on. `holder` names it in errors. Null when
  // no accounts are kept.
  virtual AccountPtr OpenAccount(const AccountId& id, std::size_t quota, std::string holder) = 0;

 protected:
  ~AccountBook() = default;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_ACCOUNT_H_
