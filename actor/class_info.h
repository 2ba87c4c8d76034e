// ClassInfo: what an actor's cell needs to know of the class of its instance. Any class works; one that declares
//   void or absl::Status OnStart(ActorContext&)   runs it before its first call; an error is the end of the actor
//   void OnStop(ActorContext&)                    runs it at a graceful end, before the destructor
//   void or absl::Status OnMessage(Message&, ActorContext&)   takes plain messages
#ifndef RUSTYRAY_ACTOR_CLASS_INFO_H_
#define RUSTYRAY_ACTOR_CLASS_INFO_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "core/type_name.h"

namespace rustyray::actor {

class ActorContext;
class Message;

struct ClassInfo {
  std::string_view raw_name;
  void (*destroy)(void*) noexcept;
  absl::Status (*on_start)(void*, ActorContext&);              // null: not declared
  void (*on_stop)(void*, ActorContext&);                       // null: not declared
  absl::Status (*on_message)(void*, Message&, ActorContext&);  // null: takes no messages

  std::string Readable() const { return core::ReadableTypeName(raw_name); }
};

namespace internal {

template <class Call>
absl::Status StatusOf(Call call) {
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    return absl::OkStatus();
  } else {
    return call();
  }
}

template <class C>
constexpr ClassInfo MakeClassInfo() {
  ClassInfo info{.raw_name = core::RawTypeName<C>(),
                 .destroy = [](void* object) noexcept { delete static_cast<C*>(object); },
                 .on_start = nullptr,
                 .on_stop = nullptr,
                 .on_message = nullptr};
  if constexpr (requires(C & object, ActorContext & context) { object.OnStart(context); }) {
    info.on_start = [](void* object, ActorContext& context) {
      return StatusOf([&] { return static_cast<C*>(object)->OnStart(context); });
    };
  }
  if constexpr (requires(C & object, ActorContext & context) { object.OnStop(context); }) {
    info.on_stop = [](void* object, ActorContext& context) { static_cast<C*>(object)->OnStop(context); };
  }
  if constexpr (requires(C & object, Message & message, ActorContext & context) {
                  object.OnMessage(message, context);
                }) {
    info.on_message = [](void* object, Message& message, ActorContext& context) {
      return StatusOf([&] { return static_cast<C*>(object)->OnMessage(message, context); });
    };
  }
  return info;
}

template <class C>
inline constexpr ClassInfo kClassInfo = MakeClassInfo<C>();

}  // namespace internal

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_CLASS_INFO_H_
