#include "actor/actor_system.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actor/actor_context.h"
#include "actor/message.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/waiting.h"
#include "task/typed_call.h"

namespace rustyray::actor {
namespace {

absl::Status Invalid(const std::string& message) {
  return core::MakeStatus(absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid, message);
}

}  // namespace

AnyActorRef ActorContext::Self() const {
  cell_.AddHandle();
  return AnyActorRef::Adopt(&cell_);
}

absl::Status Deliver(ActorCell& cell, Message& message) {
  if (cell.info().on_message == nullptr) {
    return Invalid(absl::StrCat("actor ", cell.Name(), " takes no messages: ", cell.info().Readable(),
                                " declares no OnMessage; this one was a ", message.TypeName()));
  }
  ActorContext context(cell);
  if (absl::Status status = cell.info().on_message(cell.object(), message, context); !status.ok()) return status;
  if (!message.handled_) {
    return Invalid(absl::StrCat("actor ", cell.Name(), " does not handle messages of type ", message.TypeName()));
  }
  if (!message.wrong_reply_.empty()) {
    return Invalid(absl::StrCat("the reply is a ", core::ReadableTypeName(message.wrong_reply_), ", but a ",
                                core::ReadableTypeName(message.raw_reply_), " was asked for"));
  }
  return absl::OkStatus();
}

ActorSystem::~ActorSystem() { Shutdown(core::Time::min()); }

absl::StatusOr<ActorCell*> ActorSystem::MakeCell(ActorOptions options, const ClassInfo& info) {
  if (options.mailbox_capacity == 0) {
    return Invalid("ActorOptions::mailbox_capacity must be 1 or more: a mailbox of size 0 takes no call");
  }
  if (options.max_concurrency < 1) {
    return Invalid(
        absl::StrCat("ActorOptions::max_concurrency must be 1 or more, but it is ", options.max_concurrency));
  }
  if (options.restart.max_restarts < -1) {
    return Invalid(absl::StrCat("ActorOptions::restart.max_restarts must be -1 or more, but it is ",
                                options.restart.max_restarts));
  }
  if (options.restart.max_in_window < 0) {
    return Invalid(absl::StrCat("ActorOptions::restart.max_in_window must be 0 or more, but it is ",
                                options.restart.max_in_window));
  }
  for (const auto& [name, duration] :
       {std::pair("window", options.restart.window), std::pair("backoff", options.restart.backoff),
        std::pair("max_backoff", options.restart.max_backoff)}) {
    if (duration < core::Duration::zero()) {
      return Invalid(absl::StrCat("ActorOptions::restart.", name, " must not be negative, but it is ",
                                  std::chrono::duration<double, std::milli>(duration).count(), " ms"));
    }
  }
  if (options.max_task_retries < -1) {
    return Invalid(
        absl::StrCat("ActorOptions::max_task_retries must be -1 or more, but it is ", options.max_task_retries));
  }
  const NameKey key{options.name_space, options.name};
  const std::size_t quota = options.quota_bytes;
  auto* const cell = new ActorCell(*this, std::move(options), info);
  if (quota != kNoQuota) {
    core::AccountPtr account;
    if (accounts_ != nullptr) {
      account = accounts_->OpenAccount(core::AccountId::Random(), quota, absl::StrCat("actor ", cell->Name()));
    }
    if (!account) {
      cell->DropRef();
      return Invalid("ActorOptions::quota_bytes needs a store that keeps accounts");
    }
    cell->set_account(std::move(account));
  }
  {
    core::MutexLock lock(mutex_);
    const bool taken = !key.name.empty() && names_.contains(key);
    if (!stopped_ && !taken) {
      if (!key.name.empty()) names_[key] = cell;
      cells_.insert(cell);
      cell->AddRef();
      return cell;
    }
    if (!taken) {
      cell->DropRef();
      return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kShutdown,
                              "the actor system was shut down");
    }
  }
  cell->DropRef();
  return core::MakeStatus(absl::StatusCode::kAlreadyExists, core::ErrorKind::kActor,
                          std::string(absl::StrCat("there is an actor named '", key.name, "'",
                                                   key.name_space.empty() ? "" : " in namespace '", key.name_space,
                                                   key.name_space.empty() ? "" : "'")));
}

AnyActorRef ActorSystem::GetByName(std::string_view name, std::string_view name_space) {
  core::MutexLock lock(mutex_);
  const auto at = names_.find(NameKey{std::string(name_space), std::string(name)});
  if (at == names_.end() || !at->second->AddHandleIfAlive()) return AnyActorRef();
  return AnyActorRef::Adopt(at->second);
}

std::size_t ActorSystem::size() {
  core::MutexLock lock(mutex_);
  return cells_.size();
}

void ActorSystem::OnEnding(ActorCell& cell) {
  if (cell.options().name.empty()) return;
  core::MutexLock lock(mutex_);
  const auto at = names_.find(NameKey{cell.options().name_space, cell.options().name});
  if (at != names_.end() && at->second == &cell) names_.erase(at);
}

void ActorSystem::OnDead(ActorCell& cell) {
  OnEnding(cell);
  bool listed = false;
  {
    core::MutexLock lock(mutex_);
    listed = cells_.erase(&cell) > 0;
  }
  if (listed) cell.DropRef();
}

std::vector<CellPtr> ActorSystem::Cells() {
  core::MutexLock lock(mutex_);
  // Oldest first, whatever their addresses: schedules can be replayed.
  std::vector<ActorCell*> ordered(cells_.begin(), cells_.end());
  std::sort(ordered.begin(), ordered.end(),
            [](const ActorCell* a, const ActorCell* b) { return a->number() < b->number(); });
  std::vector<CellPtr> cells;
  for (ActorCell* const cell : ordered) cells.emplace_back(*cell);
  return cells;
}

void ActorSystem::StopAll() {
  {
    core::MutexLock lock(mutex_);
    stopped_ = true;
  }
  for (CellPtr& cell : Cells()) cell->Stop("ended: its runtime was shut down");
}

void ActorSystem::Shutdown(core::Time deadline) {
  {
    core::MutexLock lock(mutex_);
    stopped_ = true;
  }
  std::vector<CellPtr> cells = Cells();
  // What is queued now is done once a call behind it is; new calls do not hold this up for longer.
  std::vector<core::ObjectRef> ends;
  std::vector<core::RecordHold> held;
  if (clock_.Now() < deadline) {
    for (CellPtr& cell : cells) {
      if (cell->queued() > 0) ends.push_back(cell->Drain(held));
    }
  }
  for (core::RecordHold& call : held) (void)tasks_.owner().waiting().WaitForRecord(*call, deadline);
  for (const core::ObjectRef& end : ends) (void)end.Wait(deadline);
  StopAll();
  if (clock_.Now() < deadline) return;
  for (CellPtr& cell : cells) cell->Kill(/*no_restart=*/true);
}

}  // namespace rustyray::actor
