// Message: a plain message, as OnMessage sees it.
//
//   void OnMessage(Message& message, ActorContext&) {
//     if (const auto* add = message.As<Add>()) message.Reply(total_ += add->amount);
//   }
//
// A message of which no type was asked for successfully is an error that names its type.
// Threads: the one that runs OnMessage.
#ifndef RUSTYRAY_ACTOR_MESSAGE_H_
#define RUSTYRAY_ACTOR_MESSAGE_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_call.h"
#include "actor/actor_cell.h"
#include "actor/class_info.h"
#include "core/type_name.h"
#include "task/result.h"

namespace rustyray::actor {

class Message {
 public:
  // The message, if it is an M; else null.
  template <class M>
  const M* As() {
    if (raw_type_.data() != core::RawTypeName<M>().data() && raw_type_ != core::RawTypeName<M>()) return nullptr;
    handled_ = true;
    return static_cast<const M*>(message_);
  }
  // Answers who asked. An error of the ask when it wanted another type; nothing for what was sent without asking.
  template <class R>
  void Reply(R value) {
    if (raw_reply_ == core::RawTypeName<R>()) {
      static_cast<std::optional<R>*>(reply_)->emplace(std::move(value));
    } else if (raw_reply_ != core::RawTypeName<task::Nothing>()) {
      wrong_reply_ = core::RawTypeName<R>();
    }
  }
  std::string TypeName() const { return core::ReadableTypeName(raw_type_); }

 private:
  friend absl::Status Deliver(ActorCell& cell, Message& message);
  template <class R, class M>
  friend absl::StatusOr<R> DeliverFor(ActorCell& cell, const M& message);

  Message(std::string_view raw_type, const void* message, std::string_view raw_reply, void* reply)
      : raw_type_(raw_type), message_(message), raw_reply_(raw_reply), reply_(reply) {}

  const std::string_view raw_type_;
  const void* const message_;
  const std::string_view raw_reply_;
  void* const reply_;
  bool handled_ = false;
  std::string_view wrong_reply_;
};

// Gives the message to the instance; what was wrong with it or the reply.
absl::Status Deliver(ActorCell& cell, Message& message);

template <class R, class M>
absl::StatusOr<R> DeliverFor(ActorCell& cell, const M& message) {
  std::optional<R> reply;
  if constexpr (std::is_same_v<R, task::Nothing>) reply.emplace();
  Message delivered(core::RawTypeName<M>(), &message, core::RawTypeName<R>(), &reply);
  if (absl::Status status = Deliver(cell, delivered); !status.ok()) return status;
  if (!reply.has_value()) {
    return absl::FailedPreconditionError("the message was not answered: OnMessage did not call Reply");
  }
  return *std::move(reply);
}

namespace internal {

template <class R, class M>
struct MessageCall {
  static constexpr bool kMayRunAgain = true;
  MessageCall(ActorCell& to, M text) : cell(to), message(std::move(text)) {}
  CellPtr cell;
  M message;
  absl::StatusOr<R> operator()() const { return DeliverFor<R>(*cell, message); }
};

}  // namespace internal

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_MESSAGE_H_
